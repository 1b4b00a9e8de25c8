/* cp, port-forward and images from the command line, against a real agent with fake backends. The
 * "node" is this machine: a path there is a path here. */
#include "controller/client/stream.h"
#include "node/v1/files.pb-c.h"
#include "shared/base/cleanup.h"
#include "tests/support/cli.h"
#include "tests/support/cli_rig.h"
#include "tests/support/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

#define NODE "loop-w1"

/* Paths below the rig's directory: several at a time. */
static char *at(const struct cli_rig *rig, const char *name)
{
	static char paths[8][256];
	static size_t next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", rig->dir, name);
	return path;
}

static char *on_node(const struct cli_rig *rig, const char *name)
{
	static char words[4][300];
	static size_t next;
	char *word = words[next++ % ARRAY_LEN(words)];

	snprintf(word, sizeof(words[0]), NODE ":%s/%s", rig->dir, name);
	return word;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void assert_content(const char *path, const char *text)
{
	char content[256] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	content[fread(content, 1, sizeof(content) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(content, text);
}

static struct stat look(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void make_tree(const struct cli_rig *rig)
{
	assert_int_equal(mkdir(at(rig, "tree"), 0755), 0);
	assert_int_equal(mkdir(at(rig, "tree/sub"), 0750), 0);
	write_file(at(rig, "tree/sub/file"), "content", 0640);
	assert_int_equal(link(at(rig, "tree/sub/file"), at(rig, "tree/hard")), 0);
	assert_int_equal(symlink("sub/file", at(rig, "tree/soft")), 0);
}

static void assert_tree(const struct cli_rig *rig, const char *name)
{
	char sub[64];

	snprintf(sub, sizeof(sub), "%s/sub/file", name);
	assert_content(at(rig, sub), "content");
	assert_int_equal(look(at(rig, sub)).st_mode, S_IFREG | 0640);
	assert_int_equal(look(at(rig, sub)).st_nlink, 2);
	snprintf(sub, sizeof(sub), "%s/sub", name);
	assert_int_equal(look(at(rig, sub)).st_mode, S_IFDIR | 0750);
	snprintf(sub, sizeof(sub), "%s/soft", name);
	assert_true(S_ISLNK(look(at(rig, sub)).st_mode));
}

/* NS-208, NS-268 */
static void trees_are_copied_both_ways_and_between_nodes(void **state)
{
	const struct cli_rig *rig = *state;

	make_tree(rig);
	cli_expect(0, "", "", "cp", at(rig, "tree"), on_node(rig, "there"), NULL);
	assert_tree(rig, "there");
	cli_expect(0, "", "", "cp", on_node(rig, "there"), at(rig, "back"), NULL);
	assert_tree(rig, "back");
	cli_expect(0, "", "", "cp", on_node(rig, "there"), on_node(rig, "across"), NULL);
	assert_tree(rig, "across");
	/* Into a directory that exists goes the name; of "/." only what is in it. */
	cli_expect(0, "", "", "cp", at(rig, "tree"), on_node(rig, "across"), NULL);
	assert_tree(rig, "across/tree");
	assert_int_equal(mkdir(at(rig, "plain"), 0755), 0);
	cli_expect(0, "", "", "cp", on_node(rig, "tree/."), at(rig, "plain"), NULL);
	assert_tree(rig, "plain");
}

static void a_file_gets_its_new_name_and_keeps_its_mode(void **state)
{
	const struct cli_rig *rig = *state;

	write_file(at(rig, "one"), "first", 0755);
	cli_expect(0, "", "", "cp", at(rig, "one"), on_node(rig, "two"), NULL);
	assert_content(at(rig, "two"), "first");
	assert_int_equal(look(at(rig, "two")).st_mode, S_IFREG | 0755);
	write_file(at(rig, "one"), "second", 04755);
	cli_expect(0, "", "", "cp", on_node(rig, "one"), at(rig, "two"), NULL);
	assert_content(at(rig, "two"), "second");
	assert_int_equal(look(at(rig, "two")).st_mode, S_IFREG | 0755);
	assert_int_equal(symlink("one", at(rig, "link")), 0);
	cli_expect(0, "", "", "cp", on_node(rig, "link"), at(rig, "three"), NULL);
	assert_int_equal(look(at(rig, "three")).st_mode, S_IFREG | 0755);
}

static void what_cannot_be_copied_is_told(void **state)
{
	const struct cli_rig *rig = *state;

	write_file(at(rig, "one"), "first", 0644);
	cli_expect(3, "", "No such file or directory", "cp", on_node(rig, "none"), at(rig, "x"),
		   NULL);
	cli_expect(3, "", "No such file or directory", "cp", at(rig, "none"), on_node(rig, "x"),
		   NULL);
	cli_expect(3, "", "there is no directory", "cp", at(rig, "one"), on_node(rig, "no/x"),
		   NULL);
	cli_expect(3, "", "berth: there is no directory", "cp", on_node(rig, "one"),
		   at(rig, "no/x"), NULL);
	cli_expect(3, "", "there is no directory", "cp", at(rig, "one"), on_node(rig, "no/"), NULL);
	cli_expect(2, "", "is on a node", "cp", at(rig, "one"), at(rig, "two"), NULL);
	cli_expect(2, "", "begins with a slash", "cp", at(rig, "one"), NODE ":two", NULL);
	assert_int_equal(access(at(rig, "x"), F_OK), -1);
}

/* NS-282: nothing is left of a copy whose place is taken by something else */
static void a_directory_is_not_replaced_by_a_file(void **state)
{
	const struct cli_rig *rig = *state;

	write_file(at(rig, "one"), "first", 0644);
	assert_int_equal(mkdir(at(rig, "dir"), 0755), 0);
	assert_int_equal(mkdir(at(rig, "dir/one"), 0755), 0);
	cli_expect(4, "", "put in place 'one'", "cp", at(rig, "one"), on_node(rig, "dir"), NULL);
	assert_int_equal(rmdir(at(rig, "dir/one")), 0);
	assert_int_equal(rmdir(at(rig, "dir")), 0);
}

struct listed {
	size_t count;
	bool truncated;
	char names[512];
	uint32_t first_mode;
};

static void note_list(const Berth__Node__V1__FileListReply *rep, void *arg)
{
	struct listed *listed = arg;

	listed->count = rep->n_files;
	listed->truncated = rep->truncated;
	listed->first_mode = rep->n_files ? rep->files[0]->mode : 0;
	for (size_t i = 0; i < rep->n_files; i++) {
		size_t used = strlen(listed->names);

		snprintf(listed->names + used, sizeof(listed->names) - used, "%s;",
			 rep->files[i]->name);
	}
}

static int list(const struct cli_rig *rig, const char *path, uint32_t depth, struct listed *ret,
		struct err *err)
{
	cleanup_with(client) struct client *client = agent_process_client(&rig->agent);
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__files__descriptor, deadline_in_ms(10000), err);
	Berth__Node__V1__FileListRequest req = BERTH__NODE__V1__FILE_LIST_REQUEST__INIT;

	req.path = (char *)path;
	req.depth = depth;
	*ret = (struct listed){ 0 };
	berth__node__v1__files__list(&rpc.base, &req, note_list, ret);
	return rpc.result;
}

/* NS-208 */
static void files_are_listed_as_deep_as_asked(void **state)
{
	const struct cli_rig *rig = *state;
	struct listed listed;
	struct err err;

	make_tree(rig);
	assert_int_equal(list(rig, at(rig, "tree"), 0, &listed, &err), 0);
	assert_int_equal(listed.count, 4);
	assert_int_equal(listed.first_mode, S_IFDIR | 0755);
	assert_memory_equal(listed.names, ".;", 2);
	assert_null(strstr(listed.names, "sub/file;"));
	assert_int_equal(list(rig, at(rig, "tree"), 5, &listed, &err), 0);
	assert_int_equal(listed.count, 5);
	assert_non_null(strstr(listed.names, "sub/file;"));
	assert_false(listed.truncated);
	assert_int_equal(list(rig, at(rig, "none"), 0, &listed, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(list(rig, "relative", 0, &listed, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
}

static void a_list_that_is_too_long_says_so(void **state)
{
	const struct cli_rig *rig = *state;
	struct listed listed;
	struct err err;

	assert_int_equal(mkdir(at(rig, "many"), 0755), 0);
	for (int i = 0; i < 4100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/%d", i);
		assert_int_equal(symlink("x", at(rig, name)), 0);
	}
	if (list(rig, at(rig, "many"), 0, &listed, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(listed.truncated);
	assert_true(listed.count >= 2000);
}

/* --- port-forward ---------------------------------------------------------------------------------- */

/* A server on the loopback that sends back what it gets, upside down in nothing; one connection. */
struct echo {
	int fd;
	uint16_t port;
	pthread_t thread;
};

static void *echo_thread(void *arg)
{
	const struct echo *echo = arg;
	int fd = accept(echo->fd, NULL, NULL);
	char bytes[65536];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t done = 0, put; done<n; done += put> 0 ? put : n)
			put = write(fd, bytes + done, (size_t)(n - done));
	}
	close(fd);
	return NULL;
}

static void echo_start(struct echo *echo)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	echo->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(echo->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(echo->fd, 4), 0);
	assert_int_equal(getsockname(echo->fd, (struct sockaddr *)&address, &len), 0);
	echo->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&echo->thread, NULL, echo_thread, echo), 0);
}

/* `berth port-forward` beside this program, and the port that it says it listens on. */
static pid_t start_forward(const struct cli_rig *rig, const char *target, const char *ports,
			   uint16_t *ret_port)
{
	char berth[4096], line[256];
	unsigned port = 0;
	int pipe_fds[2];
	FILE *out;
	pid_t pid;

	snprintf(berth, sizeof(berth), "%s", agent_process_binary());
	berth[strlen(berth) - 1] = '\0'; /* "berthd" */
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(pipe_fds[1], 1);
		close(pipe_fds[0]);
		execl(berth, "berth", "port-forward", "--state-dir", rig->state, target, ports,
		      (char *)NULL);
		_exit(127);
	}
	close(pipe_fds[1]);
	out = fdopen(pipe_fds[0], "r");
	assert_non_null(fgets(line, sizeof(line), out));
	assert_int_equal(sscanf(line, "Forwarding from 127.0.0.1:%u ->", &port), 1);
	fclose(out);
	*ret_port = (uint16_t)port;
	return pid;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void *send_all(void *arg)
{
	int fd = *(int *)arg;
	char bytes[4096];

	for (size_t i = 0; i < 512; i++) {
		memset(bytes, (int)i & 0xff, sizeof(bytes));
		if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) != (ssize_t)sizeof(bytes))
			break;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

/* Half of the connection is closed long before the other half has come back. */
static void a_port_of_the_node_is_reached_with_both_halves(void **state)
{
	const struct cli_rig *rig = *state;
	struct echo echo;
	pthread_t sender;
	size_t got = 0;
	uint16_t port;
	char ports[16];
	uint8_t byte;
	pid_t pid;
	int fd;

	echo_start(&echo);
	snprintf(ports, sizeof(ports), ":%u", echo.port);
	pid = start_forward(rig, NODE, ports, &port);
	fd = connect_to(port);
	assert_int_equal(pthread_create(&sender, NULL, send_all, &fd), 0);
	while (read(fd, &byte, 1) == 1) {
		assert_int_equal(byte, got / 4096 & 0xff);
		got++;
	}
	assert_int_equal(got, 512 * 4096);
	pthread_join(sender, NULL);
	pthread_join(echo.thread, NULL);
	close(fd);
	close(echo.fd);
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Nobody listens: the connection ends, the forwarding goes on. */
static void a_port_that_nobody_listens_on_ends_the_connection(void **state)
{
	const struct cli_rig *rig = *state;
	uint16_t port;
	int status;
	char byte;
	pid_t pid = start_forward(rig, NODE, ":1", &port);

	for (int i = 0; i < 3; i++) {
		int fd = connect_to(port);

		assert_true(read(fd, &byte, 1) <= 0);
		close(fd);
	}
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void forwarding_words_are_checked(void **state)
{
	(void)state;
	cli_expect(2, "", "is no LOCAL:REMOTE", "port-forward", NODE, "80:http", NULL);
	cli_expect(2, "", "is no LOCAL:REMOTE", "port-forward", NODE, "70000", NULL);
	cli_expect(2, "", "is no LOCAL:REMOTE", "port-forward", NODE, "80:", NULL);
	cli_expect(2, "", "is no pod name", "port-forward", NODE "/Web", "80", NULL);
	cli_expect(2, "", "is no IP address", "port-forward", NODE, ":80", "--address", "all",
		   NULL);
}

static void forwarding_to_nobody_is_told_at_once(void **state)
{
	struct cli_rig *rig = *state;

	cli_expect(3, "", "no pod 'none' in namespace 'default' on this node", "port-forward",
		   NODE "/none", ":80", NULL);
	cli_rig_engine_has(rig, NODE, rig->run_dir, "stopped");
	agent_process_kill(&rig->agent);
	cli_expect(6, "", "'berth start node " NODE, "port-forward", NODE, ":80", "--provider",
		   "fake", NULL);
}

/* --- images ---------------------------------------------------------------------------------------- */

/* NS-070 */
static void images_are_listed(void **state)
{
	const struct cli_rig *rig = *state;
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/effects", rig->agent.runtime_dir);
	file = fopen(path, "a");
	assert_non_null(file);
	fputs("pull remote/app:1 1\n", file);
	fclose(file);
	cli_expect(0, "remote/app:1", "", "get", "images", "-N", NODE, NULL);
	cli_expect(0, "\"id\": \"sha256:remote/app:1\"", "", "get", "images", "remote/*", "-N",
		   NODE, "-o", "json", NULL);
	cli_expect(0, "[]\n", "", "get", "images", "other", "-N", NODE, "-o", "json", NULL);
}

/* NS-071 */
static void an_archive_is_fed_to_the_import(void **state)
{
	const struct cli_rig *rig = *state;

	char tar[512] = { 0 };

	memset(tar, 'x', sizeof(tar) - 1);
	memcpy(tar + 257, "ustar", 5);
	write_file(at(rig, "app.tar"), tar, 0644);
	cli_expect(0, "app.tar loaded on " NODE, "", "load", "archive", at(rig, "app.tar"), "-N",
		   NODE, NULL);
	cli_expect(3, "", "No such file", "load", "archive", at(rig, "none.tar"), "-N", NODE, NULL);
	write_file(at(rig, "no.tar"), "not one", 0644);
	cli_expect(2, "", "no.tar' is no image archive\n  'podman save'", "load", "archive",
		   at(rig, "no.tar"), "-N", NODE, NULL);
}

/* NS-075: a byte that changes on its way, and after it one archive that does not */
static void an_archive_that_changed_on_its_way_is_not_imported(void **state)
{
	const struct cli_rig *rig = *state;
	struct door *door = door_open(rig->agent.socket, "#fragile");
	char tar[512] = { 0 };

	memset(tar, 'x', sizeof(tar) - 1);
	memcpy(tar + 257, "ustar", 5);
	write_file(at(rig, "good.tar"), tar, 0644);
	memcpy(tar + 400, "#fragile", 8);
	write_file(at(rig, "bad.tar"), tar, 0644);
	cli_expect(1, "", "what arrived is not what was sent: its SHA-256 differs", "load",
		   "archive", at(rig, "bad.tar"), "-N", NODE, NULL);
	assert_true(door_changes(door) > 0);
	cli_expect(0, "good.tar loaded on " NODE, "", "load", "archive", at(rig, "good.tar"), "-N",
		   NODE, NULL);
	door_close(door);
	cli_expect(0, "bad.tar loaded on " NODE, "", "load", "archive", at(rig, "bad.tar"), "-N",
		   NODE, NULL);
}

/* --- lost connections ------------------------------------------------------------------------------ */

#define BIG_BYTES ((size_t)48 * 1024 * 1024)

/* No two blocks are alike, so that what is lost or doubled shows. */
static void write_big(const char *path)
{
	static uint64_t block[8192];
	FILE *file = fopen(path, "we");
	uint64_t n = 1;

	assert_non_null(file);
	for (size_t len = 0; len < BIG_BYTES; len += sizeof(block)) {
		for (size_t i = 0; i < ARRAY_LEN(block); i++)
			block[i] = n++ * 0x9e3779b97f4a7c15u;
		assert_int_equal(fwrite(block, sizeof(block), 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
}

static void assert_same(const char *first, const char *second)
{
	static char a[65536], b[65536];
	FILE *one = fopen(first, "re"), *two = fopen(second, "re");
	size_t n, all = 0;

	assert_non_null(one);
	assert_non_null(two);
	while ((n = fread(a, 1, sizeof(a), one)) > 0) {
		assert_int_equal(fread(b, 1, sizeof(b), two), n);
		assert_memory_equal(a, b, n);
		all += n;
	}
	assert_int_equal(fread(b, 1, 1, two), 0);
	assert_int_equal(all, BIG_BYTES);
	fclose(one);
	fclose(two);
}

/* Its connections are cut again and again while it copies. How often. */
static unsigned copy_with_cuts(const char *from, const char *to)
{
	char *argv[] = { (char *)"berth", (char *)"cp", (char *)from, (char *)to, NULL };
	struct pollfd over = { .events = POLLIN };
	unsigned cuts = 0;
	int status;
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, cli_berth_binary(), NULL, NULL, argv, environ), 0);
	over.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(over.fd >= 0);
	while (poll(&over, 1, 40) == 0)
		cuts += cli_cut_connections(pid);
	close(over.fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return cuts;
}

/* D5, F22, NS-208: a copy goes on where it was, both ways */
static void a_copy_survives_lost_connections(void **state)
{
	const struct cli_rig *rig = *state;
	unsigned in, out;

	write_big(at(rig, "big"));
	cli_leaks_do_not_count();
	in = copy_with_cuts(at(rig, "big"), on_node(rig, "there"));
	assert_same(at(rig, "big"), at(rig, "there"));
	out = copy_with_cuts(on_node(rig, "there"), at(rig, "back"));
	cli_leaks_count();
	assert_same(at(rig, "big"), at(rig, "back"));
	print_message("cut %u times on the way in, %u on the way out\n", in, out);
	assert_true(in >= 2 && out >= 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cli_rig_setup, cli_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(trees_are_copied_both_ways_and_between_nodes),
		TEST(a_file_gets_its_new_name_and_keeps_its_mode),
		TEST(what_cannot_be_copied_is_told),
		TEST(a_directory_is_not_replaced_by_a_file),
		TEST(files_are_listed_as_deep_as_asked),
		TEST(a_list_that_is_too_long_says_so),
		TEST(a_port_of_the_node_is_reached_with_both_halves),
		TEST(a_port_that_nobody_listens_on_ends_the_connection),
		TEST(forwarding_words_are_checked),
		TEST(forwarding_to_nobody_is_told_at_once),
		TEST(images_are_listed),
		TEST(a_copy_survives_lost_connections),
		TEST(an_archive_is_fed_to_the_import),
		TEST(an_archive_that_changed_on_its_way_is_not_imported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
