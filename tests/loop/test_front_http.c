/* /healthz, /readyz and /metrics of a real front, and the health command of the image. */
#include "shared/base/cleanup.h"
#include "shared/base/text.h"
#include "tests/support/frames.h"
#include "tests/support/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX 200000
#define STRANGE    500

extern char **environ;

static int setup(void **state)
{
	struct front_rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	front_rig_start(rig, NULL);
	return 0;
}

static int teardown(void **state)
{
	front_rig_stop(*state);
	free(*state);
	return 0;
}

static int http_connect(const struct front_rig *rig)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)rig->http_port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The whole answer to one request. Caller frees. */
static char *answer_to(const struct front_rig *rig, const char *request)
{
	int fd = http_connect(rig);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *answer = calloc(1, ANSWER_MAX);
	size_t len = 0;
	ssize_t n = 1;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while (n > 0 && len < ANSWER_MAX - 1) {
		assert_int_equal(poll(&p, 1, 10000), 1);
		n = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return answer;
}

static char *get(const struct front_rig *rig, const char *path)
{
	cleanup_free char *request =
		text_format("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);

	return answer_to(rig, request);
}

static void assert_status(const char *answer, int status)
{
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	if (strncmp(answer, line, strlen(line)) != 0)
		fail_msg("not %d: %.300s", status, answer);
}

static void assert_says(const char *answer, const char *what)
{
	if (!strstr(answer, what))
		fail_msg("no '%s' in: %.3000s", what, answer);
}

/* DESIGN.md section 4 */
static void a_healthy_node_says_so_part_by_part(void **state)
{
	cleanup_free char *answer = get(*state, "/healthz");

	assert_status(answer, 200);
	assert_says(answer, "\r\n\r\nok\n");
	assert_says(answer, "\nruntime ");
	assert_says(answer, "\nsystemd ");
}

static void wait_status(struct front_rig *rig, const char *path, int status)
{
	struct deadline by = deadline_in_ms(15000);
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	for (;;) {
		cleanup_free char *answer = get(rig, path);

		if (strncmp(answer, line, strlen(line)) == 0)
			return;
		assert_false(deadline_is_over(by));
		poll(NULL, 0, 20); /* asks again: the agent looks at its parts in rounds */
	}
}

static void ready_and_healthy_are_503_when_the_runtime_is_down(void **state)
{
	struct front_rig *rig = *state;
	cleanup_free char *down = text_format("%s/down", rig->agent.runtime_dir);
	int fd;

	wait_status(rig, "/readyz", 200);
	fd = open(down, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	wait_status(rig, "/readyz", 503);
	wait_status(rig, "/healthz", 503);
	assert_int_equal(unlink(down), 0);
	wait_status(rig, "/healthz", 200);
}

static void metrics_are_what_prometheus_reads(void **state)
{
	static const char *const names[] = {
		"berth_agent_build_info{version=\"",
		"berth_agent_uptime_seconds ",
		"process_resident_memory_bytes ",
		"berth_node_ready ",
		"berth_node_part_state{part=\"runtime\",state=\"",
		"berth_runtime_latency_seconds ",
		"berth_pods_wanted 0\n",
		"berth_agent_requests_in_flight 1\n", /* this one */
		"berth_agent_connections ",
		"berth_agent_connections_refused_total{reason=\"header\"} ",
		"berth_agent_requests_total{method=\"Health/Check\",code=\"OK\"} ",
		"berth_agent_request_duration_seconds_bucket{method=\"Health/"
		"Check\",le=\"0.0005\"} ",
		"berth_agent_request_duration_seconds_bucket{method=\"Health/Check\",le=\"+Inf\"} ",
		"berth_agent_request_duration_seconds_count{method=\"Health/Check\"} ",
	};
	cleanup_free char *first = get(*state, "/healthz"), *answer = get(*state, "/metrics");

	assert_status(first, 200);
	assert_status(answer, 200);
	assert_says(answer, "Content-Type: text/plain; version=0.0.4");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_says(answer, names[i]);
}

/* Every sample belongs to a family that was declared right before, and no family is declared twice. */
static void every_sample_has_its_head(void **state)
{
	cleanup_free char *answer = get(*state, "/metrics");
	char family[128] = "", heads[4096] = "", *save = NULL, *body = strstr(answer, "\r\n\r\n");

	assert_non_null(body);
	for (char *line = strtok_r(body + 4, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0)
			continue;
		if (sscanf(line, "# TYPE %127s", family) == 1) {
			char head[140];

			snprintf(head, sizeof(head), " %s ", family);
			assert_null(strstr(heads, head));
			assert_true(strlen(heads) + strlen(head) < sizeof(heads));
			strncat(heads, head, sizeof(heads) - strlen(heads) - 1);
			continue;
		}
		assert_memory_equal(line, family, strlen(family));
		assert_non_null(strchr("{ _", line[strlen(family)]));
	}
}

static void other_paths_and_methods_are_refused(void **state)
{
	cleanup_free char *root = get(*state, "/"), *encoded = get(*state, "/%41");
	cleanup_free char *post =
		answer_to(*state, "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				  "Content-Length: 5\r\n\r\nhello");

	assert_status(root, 404);
	assert_status(encoded, 404);
	assert_status(post, 405);
	assert_says(post, "Allow: GET, HEAD");
}

static void an_agent_that_does_not_answer_is_a_503_that_says_so(void **state)
{
	struct front_rig *rig = *state;
	cleanup_free char *answer = NULL;

	agent_process_kill(&rig->agent);
	answer = get(rig, "/healthz");
	assert_status(answer, 503);
	assert_says(answer, "no agent answers");
}

/* Security-faults.md section 0.3: what nng's own server dies of, and more of the kind */
static void strange_requests_change_nothing(void **state)
{
	static const char *const requests[] = {
		"GET /%41 HTTP/1.1\r\n\r\n",
		"GET /healthz HTTP/9.9\r\n\r\n",
		"\r\n\r\n\r\n",
		"GET /%",
		"\x16\x03\x01\x02garbage",
		"GET /healthz HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	};
	struct front_rig *rig = *state;
	cleanup_free char *answer = NULL;

	for (unsigned i = 0; i < STRANGE; i++) {
		const char *request = requests[i % ARRAY_LEN(requests)];
		int fd = http_connect(rig);

		(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
		close(fd);
	}
	answer = get(rig, "/healthz");
	assert_status(answer, 200);
}

static int run_check(int port)
{
	char text[16], *argv[] = { (char *)"berthd-front", (char *)"--check", (char *)"--port",
				   text, NULL };
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "%d", port);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawn(&pid, front_binary(), &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_health_command_tells_by_its_exit_code(void **state)
{
	struct front_rig *rig = *state;

	assert_int_equal(run_check(rig->http_port), 0);
	agent_process_kill(&rig->agent);
	assert_int_equal(run_check(rig->http_port), 1);
	front_rig_kill(rig);
	close(rig->http_fd);
	rig->http_fd = -1;
	assert_int_equal(run_check(rig->http_port), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_healthy_node_says_so_part_by_part),
		TEST(ready_and_healthy_are_503_when_the_runtime_is_down),
		TEST(metrics_are_what_prometheus_reads),
		TEST(every_sample_has_its_head),
		TEST(other_paths_and_methods_are_refused),
		TEST(an_agent_that_does_not_answer_is_a_503_that_says_so),
		TEST(strange_requests_change_nothing),
		TEST(the_health_command_tells_by_its_exit_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
