/*
 * A network that falls silent (F22): packets are dropped, nobody is told. In a network namespace of the test's
 * own, with real agents behind their fronts. All that can be under way is under way at once, for waiting is what
 * takes the time.
 */
#include "controller/client/client.h"
#include "controller/client/client_node.h"
#include "controller/client/stream.h"
#include "controller/exec/exec.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/forward.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/logs.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "tests/support/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* F22: the client reports within this, and what the machine's load adds. */
#define REPORT_MS 15000
#define LOAD_MS   5000
/* Half-open connections are gone within this. */
#define HALF_OPEN_MS 60000

/* --- the network ---------------------------------------------------------------------------------------- */

/* 0, or why there is no network of our own to be had. */
static const char *enter_network(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return "needs root, for a network namespace";
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return "no loopback device";
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return "the loopback device cannot be used";
	close(fd);
	return NULL;
}

static void iptables(const char *verb, const char *side, int port)
{
	struct exec_options options = { .by = deadline_in_ms(30000) };
	cleanup_with(strv) struct strv argv = { 0 };
	struct exec_result result = { 0 };
	char number[16];
	struct err err;

	snprintf(number, sizeof(number), "%d", port);
	for (const char *const *word = (const char *[]){ "iptables", "-w", verb, "INPUT", "-p",
							 "tcp", side, number, "-j", "DROP", NULL };
	     *word; word++)
		strv_add(&argv, *word);
	if (exec_run(&argv, &options, &result, &err) < 0 || result.exit_code != 0)
		fail_msg("iptables: %s", result.errs.len ? text_str(&result.errs) : err.msg);
	exec_result_release(&result);
}

/* Nothing arrives from the node; nor at it, unless 'one_way'. */
static void fall_silent(int port, bool one_way)
{
	iptables("-A", "--sport", port);
	if (!one_way)
		iptables("-A", "--dport", port);
}

static void heal(int port)
{
	iptables("-D", "--sport", port);
}

/* --- what is under way --------------------------------------------------------------------------------- */

/* One user of the agent, in a thread: where it ends, and when. */
struct user {
	const char *name;
	void (*run)(struct user *user);
	struct client *client;
	struct client_stream *stream;
	struct err err;
	int result;
	int64_t ended_ms;
	atomic_bool works; /* it has had an answer */
	atomic_bool ended;
	pthread_t thread;
};

static void on_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	atomic_store(&((struct user *)arg)->works, true);
}

static int check(struct user *user, int64_t ms)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct rpc rpc = rpc_to(user->client, &berth__node__v1__health__descriptor,
				deadline_in_ms(ms), &user->err);

	berth__node__v1__health__check(&rpc.base, &req, on_health, user);
	return rpc.result;
}

static void read_again_and_again(struct user *user)
{
	while (check(user, 600000) == 0)
		poll(NULL, 0, 50); /* load is not what is tried here */
	user->result = -1;
}

static void on_unit(const Berth__Node__V1__UnitActionReply *reply, void *arg)
{
	(void)reply;
	atomic_store(&((struct user *)arg)->works, true);
}

static void change(struct user *user)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	struct rpc rpc = rpc_to(user->client, &berth__node__v1__units__descriptor,
				deadline_in_ms(600000), &user->err);

	req.name = (char *)"kubelet.service";
	berth__node__v1__units__restart(&rpc.base, &req, on_unit, user);
	user->result = rpc.result;
}

static void change_again_and_again(struct user *user)
{
	do {
		poll(NULL, 0, 50);
		change(user);
	} while (user->result == 0);
}

static int take_bytes(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	(void)channel;
	(void)bytes;
	(void)len;
	(void)err;
	atomic_store(&((struct user *)arg)->works, true);
	return 0;
}

static void read_session(struct user *user)
{
	struct client_stream_end end;
	bool ended = false;

	do
		user->result = client_stream_read(user->stream, DEADLINE_NEVER, take_bytes, user,
						  &ended, &end, &user->err);
	while (user->result == 0 && !ended);
}

static void open_session(struct user *user, const struct rpc *rpc,
			 const struct client_stream_id *id)
{
	assert_int_equal(rpc->result, 0);
	assert_int_equal(
		client_stream_open(user->client, id->bytes, id->len, &user->stream, &user->err), 0);
	user->run = read_session;
}

static struct rpc to(struct user *user, const ProtobufCServiceDescriptor *service)
{
	return rpc_to(user->client, service, deadline_in_ms(30000), &user->err);
}

static void start_exec(struct user *user, const char *script)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script };
	struct rpc rpc = to(user, &berth__node__v1__exec__descriptor);
	struct client_stream_id id = { .len = 0 };

	req.argv = argv;
	req.n_argv = 3;
	berth__node__v1__exec__start(&rpc.base, &req, client_stream_take_id, &id);
	open_session(user, &rpc, &id);
}

static void start_logs(struct user *user)
{
	Berth__Node__V1__LogsDmesgRequest req = BERTH__NODE__V1__LOGS_DMESG_REQUEST__INIT;
	Berth__Node__V1__LogsRange range = BERTH__NODE__V1__LOGS_RANGE__INIT;
	struct rpc rpc = to(user, &berth__node__v1__logs__descriptor);
	struct client_stream_id id = { .len = 0 };

	range.follow = true;
	range.tail_lines = 5;
	req.range = &range;
	berth__node__v1__logs__dmesg(&rpc.base, &req, client_stream_take_id, &id);
	open_session(user, &rpc, &id);
}

/* To a server in the node that says hello and waits. */
static void start_forward(struct user *user, int port)
{
	Berth__Node__V1__ForwardOpenRequest req = BERTH__NODE__V1__FORWARD_OPEN_REQUEST__INIT;
	struct rpc rpc = to(user, &berth__node__v1__forward__descriptor);
	struct client_stream_id id = { .len = 0 };

	req.port = (uint32_t)port;
	berth__node__v1__forward__open(&rpc.base, &req, client_stream_take_id, &id);
	open_session(user, &rpc, &id);
}

static void *run_user(void *arg)
{
	struct user *user = arg;

	user->run(user);
	user->ended_ms = clock_now_ms();
	atomic_store(&user->ended, true);
	return NULL;
}

static void launch(struct user *user)
{
	assert_int_equal(pthread_create(&user->thread, NULL, run_user, user), 0);
}

static void until_it_works(struct user *user)
{
	struct deadline by = deadline_in_ms(30000);

	while (!atomic_load(&user->works)) {
		if (deadline_is_over(by) || atomic_load(&user->ended))
			fail_msg("%s does not work: %s", user->name, user->err.msg);
		poll(NULL, 0, 10);
	}
}

static void connect_user(struct user *user, const struct front_rig *rig)
{
	struct err err;

	assert_int_equal(client_open_bridge(front_rig_bridge(rig, NULL, "admin"), user->name,
					    &user->client, &err),
			 0);
}

static void end_user(struct user *user)
{
	client_stream_close(user->stream);
	client_close(user->client);
}

/* --- what is left at the agent -------------------------------------------------------------------------- */

static void take_streams(const Berth__Node__V1__HealthMetricsReply *reply, void *arg)
{
	const char *at = strstr(reply->text, "\nberth_agent_streams ");

	*(long *)arg = at ? strtol(strchr(at + 1, ' '), NULL, 10) : -1;
}

/* By its own socket. */
static long count_streams(const struct front_rig *rig)
{
	Berth__Node__V1__HealthMetricsRequest req = BERTH__NODE__V1__HEALTH_METRICS_REQUEST__INIT;
	cleanup_with(client) struct client *client = agent_process_client(&rig->agent);
	long count = -1;
	struct err err;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(30000), &err);

	berth__node__v1__health__metrics(&rpc.base, &req, take_streams, &count);
	assert_int_equal(rpc.result, 0);
	return count;
}

/* --- tests ------------------------------------------------------------------------------------------------ */

static const char *no_network;

static int start(void **state)
{
	struct front_rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	if (!no_network)
		front_rig_start(rig, NULL);
	return 0;
}

static int stop(void **state)
{
	if (!no_network)
		front_rig_stop(*state);
	free(*state);
	return 0;
}

#define NEED_NETWORK()                                     \
	do {                                               \
		if (no_network) {                          \
			print_message("%s\n", no_network); \
			skip();                            \
		}                                          \
	} while (0)

static void *say_hello(void *arg)
{
	int fd = accept4((int)(intptr_t)arg, NULL, NULL, SOCK_CLOEXEC);
	char byte;

	send(fd, "hello\n", 6, MSG_NOSIGNAL);
	recv(fd, &byte, 1, 0);
	close(fd);
	return NULL;
}

/* A server for one that says hello and is silent then. */
static int listen_hello(int *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&thread, NULL, say_hello, (void *)(intptr_t)fd), 0);
	pthread_detach(thread);
	return fd;
}

/* The row's numbers: a kind sentence within 15 s, no half-open connection after 60 s. */
static void check_report(const struct user *user, int64_t silent_ms)
{
	const char *reason = user->err.reason;

	if (user->result == 0 || user->ended_ms - silent_ms > REPORT_MS + LOAD_MS)
		fail_msg("%s ended with %d after %lld ms", user->name, user->result,
			 (long long)(user->ended_ms - silent_ms));
	print_message("%-8s %5lld ms: %s (%s)\n", user->name,
		      (long long)(user->ended_ms - silent_ms), user->err.msg, user->err.advice);
	assert_int_equal(user->err.code, ERR_UNAVAILABLE);
	assert_true(strcmp(reason, "STREAM_LOST") == 0 || strcmp(reason, "OUTCOME_UNKNOWN") == 0 ||
		    strcmp(reason, "AGENT_NOT_ANSWERING") == 0);
	assert_non_null(strstr(user->err.msg, "lost"));
}

static void until_agent_is_free(const struct front_rig *rig, int64_t silent_ms)
{
	struct deadline by = { .at_ms = silent_ms + HALF_OPEN_MS };

	while (count_streams(rig) > 0 || agent_process_connections(&rig->agent) > 1) {
		if (deadline_is_over(by))
			fail_msg("%ld sessions and %zu connections are left", count_streams(rig),
				 agent_process_connections(&rig->agent));
		poll(NULL, 0, 200);
	}
	print_message("agent    %5lld ms: nothing left\n", (long long)(clock_now_ms() - silent_ms));
}

/* --- one that heals -------------------------------------------------------------------------------------- */

/* Longer than a connection outlives silence, shorter than a call does. */
#define HEALS_MS 9500

/* A change whose request arrives and whose answer does not. */
struct healed {
	struct front_rig rig;
	struct user user;
	char effects[64];
};

static void begin_healed(struct healed *h)
{
	h->user = (struct user){ .name = "healed", .run = change };
	snprintf(h->effects, sizeof(h->effects), "/tmp/berth-silence-%d", (int)getpid());
	setenv("BERTH_FAKE_EFFECTS", h->effects, 1);
	front_rig_start(&h->rig, NULL);
	unsetenv("BERTH_FAKE_EFFECTS");
	connect_user(&h->user, &h->rig);
	assert_int_equal(check(&h->user, 30000), 0);
	fall_silent(h->rig.tls_port, true);
	launch(&h->user);
}

/* Its answer has come, by its own id, on a connection of its own; it was done once. */
static void end_healed(struct healed *h)
{
	unsigned count = 0;
	char line[256];
	FILE *f;

	pthread_join(h->user.thread, NULL);
	if (h->user.result < 0)
		fail_msg("the change was not told after all: %s", h->user.err.msg);
	f = fopen(h->effects, "re");
	while (f && fgets(line, sizeof(line), f))
		count += strncmp(line, "restart kubelet.service", 23) == 0;
	if (f)
		fclose(f);
	unlink(h->effects);
	assert_int_equal(count, 1);
	end_user(&h->user);
	front_rig_stop(&h->rig);
}

#define LOGS  4
#define USERS 6

/* All of them are served. The kernel's log may be empty. */
static void begin_users(struct user users[USERS], const struct front_rig *rig, int port)
{
	static const char *const names[USERS] = { "reads", "changes", "busy",
						  "quiet", "logs",    "forward" };

	for (size_t i = 0; i < USERS; i++) {
		users[i] = (struct user){ .name = names[i] };
		connect_user(&users[i], rig);
	}
	users[0].run = read_again_and_again;
	users[1].run = change_again_and_again;
	start_exec(&users[2], "while :; do date; sleep 0.05; done");
	start_exec(&users[3], "echo hello; sleep 1000");
	start_logs(&users[LOGS]);
	start_forward(&users[5], port);
	for (size_t i = 0; i < USERS; i++)
		launch(&users[i]);
	for (size_t i = 0; i < USERS; i++) {
		if (i != LOGS)
			until_it_works(&users[i]);
	}
	assert_int_equal(count_streams(rig), 4);
}

/* F22: all of it waits for 15 and 30 s, which are the row's own */
static void a_silent_network_is_told_and_leaves_nothing(void **state)
{
	static struct healed healed;
	struct front_rig *rig = *state;
	struct user users[USERS];
	int64_t silent_ms;
	int port, fd;

	NEED_NETWORK();
	fd = listen_hello(&port);
	begin_healed(&healed);
	begin_users(users, rig, port);
	fall_silent(rig->tls_port, false);
	silent_ms = clock_now_ms();
	poll(NULL, 0, HEALS_MS);
	heal(healed.rig.tls_port);
	for (size_t i = 0; i < USERS; i++) {
		pthread_join(users[i].thread, NULL);
		check_report(&users[i], silent_ms);
	}
	end_healed(&healed);
	until_agent_is_free(rig, silent_ms);
	for (size_t i = 0; i < USERS; i++)
		end_user(&users[i]);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_silent_network_is_told_and_leaves_nothing),
	};

	no_network = enter_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
