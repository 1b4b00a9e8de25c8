/*
 * Which way to the agent `auto` takes when the first one leads to nobody, and when it stays: real agents, and
 * sockets that refuse or accept and never speak, as those on another kernel's file share do.
 */
#include "controller/client/client.h"
#include "controller/client/client_node.h"
#include "controller/node/node.h"
#include "shared/base/cleanup.h"
#include "tests/support/cli_rig.h"
#include "tests/support/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- sockets that lead nowhere -------------------------------------------------------------------- */

/* A socket at '<dir>/agent.sock' that accepts by the kernel alone. Caller closes, which makes it stale. */
static int silent_socket(const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent.sock", dir);
	assert_true(fd >= 0);
	assert_true(mkdir(dir, 0700) == 0 || access(dir, X_OK) == 0);
	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void stale_socket(const char *dir)
{
	close(silent_socket(dir));
}

/* --- an engine whose exec reaches the agent of the rig ----------------------------------------------- */

static char calls[128];

static void make_engine(const struct cli_rig *rig)
{
	char bin[96], path[128];
	FILE *f;

	snprintf(bin, sizeof(bin), "%s/bin", rig->dir);
	mkdir(bin, 0700);
	snprintf(path, sizeof(path), "%s/berth-fake-engine", bin);
	snprintf(calls, sizeof(calls), "%s/calls", bin);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\necho called >>%s\nexec %s relay --socket %s\n", calls,
		agent_process_binary(), rig->agent.socket);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
	setenv("PATH", bin, 1);
}

static bool engine_was_called(void)
{
	return access(calls, F_OK) == 0;
}

/* The rig's node, with a directory that leads nowhere: "<rig>/lost". */
static const char *lose_node(const struct cli_rig *rig)
{
	static char dir[96];

	snprintf(dir, sizeof(dir), "%s/lost", rig->dir);
	cli_rig_remember(rig, "loop-w1", dir);
	return dir;
}

/* What a command says on the process's own standard error, where -v goes. */
static void expect_chatter(const char *words, const char *command)
{
	char path[] = "/tmp/berth-chatter-XXXXXX", text[4096] = "";
	int file = mkstemp(path), kept = dup(STDERR_FILENO);
	struct cli_output output;
	ssize_t n;

	assert_true(file >= 0 && kept >= 0);
	unlink(path);
	assert_true(dup2(file, STDERR_FILENO) >= 0);
	output = cli_run(command, "-v", "-N", "loop-w1", NULL);
	dup2(kept, STDERR_FILENO);
	close(kept);
	n = pread(file, text, sizeof(text) - 1, 0);
	close(file);
	text[n > 0 ? n : 0] = '\0';
	assert_int_equal(output.exit_code, 0);
	cli_release(&output);
	if (!strstr(text, words))
		fail_msg("wanted \"%s\" in: %s", words, text);
}

/* --- auto ------------------------------------------------------------------------------------------- */

/* D7: at once, and -v says so */
static void a_stale_socket_is_left_for_the_relay(void **state)
{
	struct cli_rig *rig = *state;

	make_engine(rig);
	stale_socket(lose_node(rig));
	expect_chatter("node 'loop-w1': not by ipc: the agent does not answer at", "health");
	assert_true(engine_was_called());
	expect_chatter("node 'loop-w1': now by relay", "health");
}

/* The way that `get nodes` shows, which has two seconds for an agent and its ways. */
static bool is_shown_with(const char *channel)
{
	struct json_object *rows =
		cli_rows(cli_run("get", "nodes", "--name", "loop", "-o", "json", NULL));
	struct json_object *agent =
		json_object_object_get(cli_find(rows, "name", "loop-w1"), "agent");
	bool is = strcmp(cli_text(agent, "channel"), channel) == 0;

	json_object_put(rows);
	return is;
}

/* D7 */
static void a_silent_socket_is_left_for_the_relay(void **state)
{
	struct cli_rig *rig = *state;
	struct deadline by = deadline_in_ms(30000);
	int fd = silent_socket(lose_node(rig));

	make_engine(rig);
	cli_expect(0, "kubelet", "", "restart", "unit", "kubelet", "-N", "loop-w1", NULL);
	assert_true(engine_was_called());
	cli_rig_engine_has(rig, "loop-w1", lose_node(rig), "running");
	setenv("BERTH_PROVIDER", "fake", 1);
	while (!is_shown_with("relay"))
		assert_false(deadline_is_over(by));
	unsetenv("BERTH_PROVIDER");
	close(fd);
}

/* Said to be the way, it is the way. */
static void a_forced_channel_is_not_left(void **state)
{
	struct cli_rig *rig = *state;

	make_engine(rig);
	stale_socket(lose_node(rig));
	cli_expect(6, "", "/lost/agent.sock", "health", "-N", "loop-w1", "--channel", "ipc", NULL);
	assert_false(engine_was_called());
}

/* No engine: the error is the socket's, not that of what was tried in its place. */
static void where_no_way_leads_the_first_is_to_blame(void **state)
{
	struct cli_rig *rig = *state;

	stale_socket(lose_node(rig));
	cli_expect(6, "", "/lost/agent.sock", "health", "-N", "loop-w1", NULL);
}

/* --- the client's rule ------------------------------------------------------------------------------ */

struct ways {
	const struct front_rig
		*front; /* whose TLS is the only other way; NULL: none can be opened */
	pid_t wake;     /* goes on when all have been asked for */
	unsigned asked;
};

static bool open_way(void *arg, unsigned n, struct bridge **ret_bridge)
{
	struct ways *ways = arg;

	ways->asked++;
	if (n > 0) {
		if (ways->wake)
			kill(ways->wake, SIGCONT);
		return false;
	}
	*ret_bridge = ways->front ? front_rig_bridge(ways->front, NULL, "admin") : NULL;
	return true;
}

static struct client *client_at(const char *dir, struct ways *ways)
{
	struct client *client;
	char path[128];
	struct err err;

	snprintf(path, sizeof(path), "%s/agent.sock", dir);
	assert_int_equal(client_open(path, "n1", &client, &err), 0);
	client_set_ways(client, open_way, ways);
	return client;
}

/* D7: patient or not makes no difference once there was an answer */
static void an_agent_that_has_spoken_is_never_left(void **state)
{
	struct cli_rig *rig = *state;
	struct ways ways = { 0 };
	cleanup_with(client) struct client *client = client_at(rig->run_dir, &ways);
	struct err err;
	pid_t waker;

	assert_int_equal(client_wait_answer(client, deadline_in_ms(30000), &err), 0);
	kill(rig->agent.pid, SIGSTOP);
	waker = fork();
	if (waker == 0) {
		sleep(2); /* what is proven: longer than a silent socket is given */
		kill(rig->agent.pid, SIGCONT);
		_exit(0);
	}
	assert_int_equal(client_wait_answer(client, deadline_in_ms(30000), &err), 0);
	assert_int_equal(waitpid(waker, NULL, 0), waker);
	agent_process_kill(&rig->agent);
	agent_process_respawn(&rig->agent);
	assert_int_equal(client_wait_answer(client, deadline_in_ms(30000), &err), 0);
	assert_int_equal(ways.asked, 0);
	assert_string_equal(client_channel_name(client), "ipc");
}

/* D7: an agent too slow to greet is found on its socket, when no other way leads to it */
static void a_silent_one_is_waited_for_where_there_is_no_other_way(void **state)
{
	struct cli_rig *rig = *state;
	struct ways ways = { .wake = rig->agent.pid };
	cleanup_with(client) struct client *client = client_at(rig->run_dir, &ways);
	struct err err;

	kill(rig->agent.pid, SIGSTOP);
	assert_int_equal(client_quiesce(client, 0, deadline_in_ms(30000),
					&(struct quiesce_summary){ 0 }, &err),
			 0);
	assert_int_equal(ways.asked,
			 2); /* the one that cannot be opened, and that there is none after it */
	assert_string_equal(client_channel_name(client), "ipc");
}

/* A node that boots has no agent yet: its way is not left for that. */
static void the_patient_stay_while_a_node_boots(void **state)
{
	struct cli_rig *rig = *state;
	struct ways ways = { 0 };
	cleanup_with(client) struct client *client = client_at(rig->run_dir, &ways);
	struct err err;

	agent_process_end(&rig->agent);
	client_set_patient(client, true);
	assert_int_equal(client_wait_answer(client, deadline_in_ms(1500), &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
	agent_process_respawn(&rig->agent);
	assert_int_equal(client_wait_answer(client, deadline_in_ms(30000), &err), 0);
	assert_string_equal(client_channel_name(client), "ipc");
	assert_int_equal(ways.asked, 0);
}

/* --- TLS as the next way ----------------------------------------------------------------------------- */

static int start_front(void **state)
{
	static struct front_rig front;

	front_rig_start(&front, NULL);
	*state = &front;
	return 0;
}

static int stop_front(void **state)
{
	front_rig_stop(*state);
	return 0;
}

static void add_port(struct node *node, int host_port)
{
	node->ports = calloc(1, sizeof(*node->ports));
	assert_non_null(node->ports);
	node->ports[0].host = strdup("127.0.0.1");
	node->ports[0].host_port = host_port;
	node->ports[0].container_port = NODE_TLS_PORT;
	node->port_count = 1;
}

/* D7: the rig's agent is of another cluster than its certificates, and says so: it was reached. */
static void a_silent_socket_is_left_for_tls(void **state)
{
	struct front_rig *front = *state;
	cleanup_with(node) struct node *node = NULL;
	struct client *client;
	char dir[128];
	struct err err;
	int fd;

	snprintf(dir, sizeof(dir), "%s/nodes", front->state_dir);
	mkdir(dir, 0700);
	snprintf(dir, sizeof(dir), "%s/nodes/n1", front->state_dir);
	fd = silent_socket(dir);
	node = node_new("n1", "c1", NODE_WORKER, "fake", dir);
	assert_non_null(node);
	add_port(node, front->tls_port);
	assert_int_equal(node_client(node, &client, &err), 0);
	assert_string_equal(client_channel_name(client), "ipc");
	assert_int_equal(client_quiesce(client, 0, deadline_in_ms(30000),
					&(struct quiesce_summary){ 0 }, &err),
			 -1);
	assert_string_equal(err.reason, "WRONG_CLUSTER");
	assert_string_equal(client_channel_name(client), "tls");
	close(fd);
}

/* A call that has changed its way has still happened once, and later ones go the new way at once. */
static void what_was_found_is_kept(void **state)
{
	struct front_rig *front = *state;
	struct ways ways = { .front = front };
	struct client *client, *beside;
	struct err err;
	char dir[64];

	snprintf(dir, sizeof(dir), "%s/empty", front->dir);
	client = client_at(dir, &ways);
	for (int i = 0; i < 3; i++)
		assert_int_equal(client_quiesce(client, 0, deadline_in_ms(30000),
						&(struct quiesce_summary){ 0 }, &err),
				 0);
	assert_int_equal(ways.asked, 1);
	assert_int_equal(client_open_beside(client, &beside, &err), 0);
	assert_int_equal(client_wait_answer(beside, deadline_in_ms(30000), &err), 0);
	assert_string_equal(client_channel_name(beside), "tls");
	client_close(beside);
	client_close(client);
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, cli_rig_setup, cli_rig_teardown)
#define FRONT(name) cmocka_unit_test_setup_teardown(name, start_front, stop_front)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stale_socket_is_left_for_the_relay),
		TEST(a_silent_socket_is_left_for_the_relay),
		TEST(a_forced_channel_is_not_left),
		TEST(where_no_way_leads_the_first_is_to_blame),
		TEST(an_agent_that_has_spoken_is_never_left),
		TEST(a_silent_one_is_waited_for_where_there_is_no_other_way),
		TEST(the_patient_stay_while_a_node_boots),
		FRONT(a_silent_socket_is_left_for_tls),
		FRONT(what_was_found_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
