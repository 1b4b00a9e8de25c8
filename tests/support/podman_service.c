#include "tests/support/podman_service.h"

#include "controller/exec/exec.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 30000
#define END_MS   20000
/* What runs in containers on this host may be allowed less than its shells are (test-hosts.md). */
#define NPROC_MAX 30000

extern char **environ;

struct podman_service {
	char dir[64], url[64], connection[96];
	const struct machine *machine;
	pid_t pid;
};

static int run_words(const char *const *words, int timeout_ms)
{
	struct exec_options options = { .by = deadline_in_ms(timeout_ms) };
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	struct err err;

	for (; *words; words++)
		strv_add(&argv, *words);
	if (exec_run(&argv, &options, &result, &err) < 0)
		return -1;
	return result.exit_code;
}

#define RUN(timeout_ms, ...) run_words((const char *const[]){ __VA_ARGS__, NULL }, timeout_ms)

static void write_limits(const struct podman_service *s)
{
	struct rlimit files = { 0 };
	cleanup_free char *text = NULL;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	text = text_format("[containers]\ndefault_ulimits = [\"nofile=%llu:%llu\", "
			   "\"nproc=%d:%d\"]\n",
			   (unsigned long long)files.rlim_max, (unsigned long long)files.rlim_max,
			   NPROC_MAX, NPROC_MAX);
	control_write(s->dir, "service.conf", text);
	control_write(s->dir, "networks/none", "");
}

static void add_words(const struct podman_service *s, struct strv *argv)
{
	machine_add_words(s->machine, argv);
	strv_add(argv, "env");
	strv_addf(argv, "CONTAINERS_CONF=%s/service.conf", s->dir);
	strv_add(argv, "podman");
	strv_add(argv, "--runtime=runc");
	strv_add(argv, "--cgroup-manager=cgroupfs");
	strv_addf(argv, "--root=%s/root", s->dir);
	strv_addf(argv, "--runroot=%s/run", s->dir);
	strv_addf(argv, "--network-config-dir=%s/networks", s->dir);
	strv_add(argv, "--storage-opt=overlay.additionalimagestore=/var/lib/containers/storage");
	strv_add(argv, "system");
	strv_add(argv, "service");
	strv_add(argv, "--time=0");
	strv_add(argv, s->url);
}

static void spawn(struct podman_service *s)
{
	cleanup_free char *log = text_format("%s/log", s->dir);
	cleanup_with(strv) struct strv argv = { 0 };
	posix_spawn_file_actions_t files;

	add_words(s, &argv);
	assert_false(strv_failed(&argv));
	assert_int_equal(posix_spawn_file_actions_init(&files), 0);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	assert_int_equal(posix_spawnp(&s->pid, argv.items[0], &files, NULL, argv.items, environ),
			 0);
	posix_spawn_file_actions_destroy(&files);
}

static bool answers(struct podman_service *s)
{
	struct deadline by = deadline_in_ms(START_MS);

	while (!deadline_is_over(by)) {
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			return false;
		}
		if (RUN(5000, "podman", "--url", s->url, "version") == 0)
			return true;
		poll(NULL, 0, 50);
	}
	return false;
}

struct podman_service *podman_service_start(const struct machine *machine, const char **ret_why)
{
	struct podman_service *s;

	*ret_why = NULL;
	if (RUN(10000, "podman", "--version") != 0)
		*ret_why = "podman is not installed";
	else if (RUN(10000, "runc", "--version") != 0)
		*ret_why = "runc is not installed";
	if (*ret_why)
		return NULL;
	s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->machine = machine;
	snprintf(s->dir, sizeof(s->dir), "/var/tmp/berth-podman-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->url, sizeof(s->url), "tcp://%s:2376", machine_address(machine));
	write_limits(s);
	spawn(s);
	if (answers(s)) {
		setenv("CONTAINER_HOST", s->url, 1);
		return s;
	}
	podman_service_stop(s);
	*ret_why = "podman's service does not start here";
	return NULL;
}

const char *podman_service_url(const struct podman_service *s)
{
	return s->url;
}

const char *podman_service_connection(const struct podman_service *s, const char *name)
{
	cleanup_free char *text =
		text_format("[engine.service_destinations.%s]\nuri = \"%s\"\n", name, s->url);

	control_write(s->dir, "client.conf", text);
	snprintf(((struct podman_service *)s)->connection, sizeof(s->connection), "%s/client.conf",
		 s->dir);
	return s->connection;
}

static void end(struct podman_service *s)
{
	struct deadline by = deadline_in_ms(END_MS);

	RUN(60000, "podman", "--url", s->url, "rm", "--all", "--force", "--volumes", "--time=0");
	kill(s->pid, SIGTERM);
	while (waitpid(s->pid, NULL, WNOHANG) == 0) {
		if (deadline_is_over(by)) {
			kill(s->pid, SIGKILL);
			waitpid(s->pid, NULL, 0);
			return;
		}
		poll(NULL, 0, 20);
	}
}

void podman_service_stop(struct podman_service *s)
{
	if (!s)
		return;
	if (s->pid > 0)
		end(s);
	RUN(60000, "rm", "-rf", "--one-file-system", s->dir);
	unsetenv("CONTAINER_HOST");
	free(s);
}
