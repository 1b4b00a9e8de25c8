/* Files, forwarded ports and images on a real node. */
#include "tests/support/e2e.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char pod_yaml[] = "apiVersion: v1\n"
			       "kind: Pod\n"
			       "metadata: {name: web}\n"
			       "spec: {containers: [{name: c, image: 'localhost/berth/demo:1'}]}\n";

static const char *cluster(void)
{
	return e2e_cluster_name("files");
}

static const char *node(void)
{
	static char name[128];

	snprintf(name, sizeof(name), "%s-control-plane", cluster());
	return name;
}

/* "NODE:PATH" */
static const char *there(const char *path)
{
	static char words[4][256];
	static size_t next;
	char *word = words[next++ % 4];

	snprintf(word, sizeof(words[0]), "%s:%s", node(), path);
	return word;
}

static const char *here(const char *name)
{
	static char paths[4][256];
	static size_t next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", e2e_state_dir(), name);
	return path;
}

/* What a shell here, or in the node, prints. Caller frees. */
static char *shell(const char *script)
{
	return e2e_stdout_of("sh", "-c", script, NULL);
}

static char *node_shell(const char *script)
{
	return e2e_stdout_of("podman", "exec", node(), "sh", "-c", script, NULL);
}

static int setup(void **state)
{
	(void)state;
	e2e_ok("create", "cluster", "--name", cluster(), "--image", e2e_image(), NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	e2e_clean(cluster());
	return 0;
}

static void assert_same_output(char *a, char *b)
{
	assert_true(strlen(a) > 0);
	assert_string_equal(a, b);
	free(a);
	free(b);
}

/* F23, NS-268: 64 MiB, and the same bytes after each way */
static void a_large_file_is_the_same_after_both_ways(void **state)
{
	char script[512];

	(void)state;
	snprintf(script, sizeof(script), "head -c 64M /dev/urandom > %s", here("big"));
	free(shell(script));
	e2e_ok("cp", here("big"), there("/root/big"), NULL);
	e2e_ok("cp", there("/root/big"), here("back"), NULL);
	snprintf(script, sizeof(script), "sha256sum < %s", here("big"));
	assert_same_output(shell(script), node_shell("sha256sum < /root/big"));
	snprintf(script, sizeof(script), "cmp %s %s && echo same", here("big"), here("back"));
	assert_same_output(shell(script), strdup("same"));
}

#define LOOK "find . -printf '%%P %%y %%m %%T@ %%l %%n\\n' | sort"

/* NS-208, NS-282 */
static void a_tree_keeps_modes_times_and_links(void **state)
{
	char script[1024], look[256];
	char *first;

	(void)state;
	snprintf(script, sizeof(script),
		 "mkdir -p %1$s/a/b && cd %1$s && echo x > a/b/f && chmod 751 a/b/f && ln a/b/f "
		 "hard "
		 "&& ln -s ../nowhere soft && chmod 700 a/b && touch -d '2001-02-03 04:05:06.7' a",
		 here("tree"));
	free(shell(script));
	e2e_ok("cp", here("tree"), there("/root/"), NULL);
	snprintf(script, sizeof(script), "cd %s && " LOOK, here("tree"));
	first = shell(script);
	snprintf(look, sizeof(look), "cd /root/tree && " LOOK);
	assert_same_output(strdup(first), node_shell(look));
	e2e_ok("cp", there("/root/tree"), here("again"), NULL);
	snprintf(script, sizeof(script), "cd %s && " LOOK, here("again"));
	assert_same_output(first, shell(script));
}

/* --- port-forward ---------------------------------------------------------------------------------- */

/* `berth port-forward`, and the port that it says it listens on. */
static pid_t start_forward(const char *target, const char *ports, uint16_t *ret_port)
{
	char line[256] = "";
	unsigned port = 0;
	int fds[2];
	FILE *out;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		execl(e2e_berth(), "berth", "port-forward", "--state-dir", e2e_state_dir(), target,
		      ports, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	out = fdopen(fds[0], "r");
	assert_non_null(fgets(line, sizeof(line), out));
	assert_int_equal(sscanf(line, "Forwarding from 127.0.0.1:%u ->", &port), 1);
	fclose(out);
	*ret_port = (uint16_t)port;
	return pid;
}

/* What a server that sends back what it gets makes of a word. */
static bool echoes(void *arg)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(*(uint16_t *)arg) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char answer[16] = "";
	size_t got = 0;
	ssize_t n = 0;

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, "are you there", 13, MSG_NOSIGNAL), 13);
	shutdown(fd, SHUT_WR);
	while (got < sizeof(answer) - 1 &&
	       (n = read(fd, answer + got, sizeof(answer) - 1 - got)) > 0)
		got += (size_t)n;
	close(fd);
	return strcmp(answer, "are you there") == 0;
}

static void try_forward(const char *target, const char *ports)
{
	uint16_t port;
	pid_t pid = start_forward(target, ports, &port);

	e2e_eventually(echoes, &port, 5000);
	for (int i = 0; i < 10; i++)
		assert_true(echoes(&port));
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define ECHO_ON(port) "systemd-socket-activate -a --inetd -l 127.0.0.1:" port " cat"

/* Both listen on a loopback of their own: the node's, and the pod's, which the node does not see. */
static void ports_of_the_node_and_of_a_pod_are_reached(void **state)
{
	char target[160];

	(void)state;
	e2e_ok("apply", "-f", e2e_file("pod.yaml", pod_yaml), "-N", node(), "--wait", NULL);
	free(node_shell("systemd-run --unit=node-echo " ECHO_ON("7001")));
	free(node_shell("pid=$(ctr -n k8s.io task ls | awk '$3 == \"RUNNING\" {print $2; exit}');"
			"systemd-run --unit=pod-echo nsenter -t $pid -n " ECHO_ON("7002")));
	try_forward(node(), ":7001");
	snprintf(target, sizeof(target), "%s/web", node());
	try_forward(target, ":7002");
}

/* --- images ---------------------------------------------------------------------------------------- */

static const char *app(void)
{
	static char name[96];

	snprintf(name, sizeof(name), "localhost/%s-app:1", cluster());
	return name;
}

static void assert_result(const char *word, const char *what, const char *expected)
{
	json_object *rows = e2e_json("load", word, what, "-N", node(), NULL);

	assert_string_equal(e2e_text(e2e_find(rows, "node", node()), "result"), expected);
	json_object_put(rows);
}

/* NS-070, NS-071, NS-072 */
static void images_of_the_host_are_loaded_where_they_are_missing(void **state)
{
	struct e2e_output removed;
	char script[512];
	json_object *rows;

	(void)state;
	snprintf(script, sizeof(script),
		 "mkdir -p %1$s && echo %2$s > %1$s/file && tar -C %1$s -cf - . | podman import -q "
		 "- "
		 "%2$s && podman save -q -o %1$s.tar %2$s",
		 here("app"), app());
	free(shell(script));
	assert_result("image", app(), "loaded");
	assert_result("image", app(), "present");
	rows = e2e_json("get", "images", app(), "-N", node(), NULL);
	assert_int_equal(json_object_array_length(rows), 1);
	json_object_put(rows);
	assert_result("archive", here("app.tar"), "loaded");
	removed = e2e_program(30, "podman", "image", "rm", app(), NULL);
	assert_int_equal(removed.exit_code, 0);
	e2e_release(&removed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_file_is_the_same_after_both_ways),
		cmocka_unit_test(a_tree_keeps_modes_times_and_links),
		cmocka_unit_test(ports_of_the_node_and_of_a_pod_are_reached),
		cmocka_unit_test(images_of_the_host_are_loaded_where_they_are_missing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
