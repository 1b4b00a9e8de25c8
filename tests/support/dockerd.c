#include "tests/support/dockerd.h"

#include "controller/exec/exec.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/text.h"
#include "tests/support/control.h"
#include "tests/support/machine.h"

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
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM  "/usr/sbin/dockerd"
#define START_MS 30000

extern char **environ;

struct dockerd {
	char dir[64];
	char host[96];
	const struct machine *machine; /* NULL: this one */
	pid_t pid;
};

/* What test-hosts.md found: `runc` gets the bundle or the process without CAP_SYS_RESOURCE, which this
 * host may not be able to hand out. */
static const char wrapper[] = "#!/bin/sh\n"
			      "before=\n"
			      "for word; do\n"
			      "	case $before in\n"
			      "	--bundle | -b) file=$word/config.json ;;\n"
			      "	--process | -p) file=$word ;;\n"
			      "	*) file= ;;\n"
			      "	esac\n"
			      "	before=$word\n"
			      "	[ -n \"$file\" ] && sed -i -e 's/,\"CAP_SYS_RESOURCE\"//g' "
			      "-e 's/\"CAP_SYS_RESOURCE\",//g' \"$file\"\n"
			      "done\n"
			      "exec runc \"$@\"\n";

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

static void add_words(const struct dockerd *d, struct strv *argv)
{
	if (d->machine)
		machine_add_words(d->machine, argv);
	strv_add(argv, PROGRAM);
	strv_addf(argv, "--host=%s", d->host);
	strv_addf(argv, "--data-root=%s/data", d->dir);
	strv_addf(argv, "--exec-root=%s/exec", d->dir);
	strv_addf(argv, "--pidfile=%s/pid", d->dir);
	strv_addf(argv, "--config-file=%s/daemon.json", d->dir);
	strv_addf(argv, "--add-runtime=wrapped=%s/runtime", d->dir);
	strv_add(argv, "--default-runtime=wrapped");
	strv_add(argv, "--bridge=none");
	strv_add(argv, "--iptables=false");
	strv_add(argv, "--ip-masq=false");
	/* Said outright, it does not wait for somebody to think better of it. */
	if (d->machine)
		strv_add(argv, "--tls=false");
}

/* Its own process group, and its words in a file. */
static void spawn(struct dockerd *d)
{
	cleanup_free char *log = text_format("%s/log", d->dir);
	cleanup_with(strv) struct strv argv = { 0 };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;

	add_words(d, &argv);
	assert_false(strv_failed(&argv));
	assert_int_equal(posix_spawn_file_actions_init(&files), 0);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	assert_int_equal(posix_spawnattr_init(&attr), 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	assert_int_equal(posix_spawnp(&d->pid, argv.items[0], &files, &attr, argv.items, environ),
			 0);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
}

static bool answers(struct dockerd *d)
{
	struct deadline by = deadline_in_ms(START_MS);

	while (!deadline_is_over(by)) {
		if (waitpid(d->pid, NULL, WNOHANG) == d->pid) {
			d->pid = 0;
			return false;
		}
		if (RUN(5000, "docker", "version") == 0)
			return true;
		poll(NULL, 0, 50);
	}
	return false;
}

static void write_files(const struct dockerd *d)
{
	cleanup_free char *runtime = text_format("%s/runtime", d->dir);

	control_write(d->dir, "daemon.json", "{}\n");
	control_write(d->dir, "runtime", wrapper);
	assert_int_equal(chmod(runtime, 0755), 0);
}

struct dockerd *dockerd_start(const char **ret_why)
{
	return dockerd_start_on(NULL, ret_why);
}

struct dockerd *dockerd_start_on(const struct machine *machine, const char **ret_why)
{
	struct dockerd *d;

	*ret_why = NULL;
	if (access(PROGRAM, X_OK) < 0)
		*ret_why = "dockerd is not installed";
	else if (geteuid() != 0)
		*ret_why = "dockerd needs root";
	else if (RUN(10000, "docker", "--version") != 0)
		*ret_why = "there is no docker program";
	if (*ret_why)
		return NULL;
	d = calloc(1, sizeof(*d));
	assert_non_null(d);
	snprintf(d->dir, sizeof(d->dir), "/var/tmp/berth-dockerd-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	d->machine = machine;
	if (machine)
		snprintf(d->host, sizeof(d->host), "tcp://%s:2375", machine_address(machine));
	else
		snprintf(d->host, sizeof(d->host), "unix://%s/docker.sock", d->dir);
	write_files(d);
	setenv("DOCKER_HOST", d->host, 1);
	spawn(d);
	if (!answers(d)) {
		char *log = control_read(d->dir, "log");

		print_message("%s\n", log);
		free(log);
		dockerd_stop(d);
		*ret_why = "dockerd does not start here";
		return NULL;
	}
	return d;
}

const char *dockerd_host(const struct dockerd *d)
{
	return d->host;
}

bool dockerd_load(struct dockerd *d, const char *image)
{
	cleanup_free char *file = text_format("%s/image.tar", d->dir);

	if (RUN(30000, "podman", "image", "exists", image) != 0)
		return false;
	assert_int_equal(RUN(120000, "podman", "save", "--quiet", "--output", file, image), 0);
	assert_int_equal(RUN(120000, "docker", "load", "--quiet", "--input", file), 0);
	unlink(file);
	return true;
}

void dockerd_freeze(struct dockerd *d)
{
	assert_int_equal(kill(d->pid, SIGSTOP), 0);
}

void dockerd_thaw(struct dockerd *d)
{
	assert_int_equal(kill(d->pid, SIGCONT), 0);
}

static void remove_containers(void)
{
	struct exec_options options = { .by = deadline_in_ms(10000) };
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv list = { 0 }, remove = { 0 };
	struct err err;

	for (const char *const *w = (const char *const[]){ "docker", "ps", "-aq", NULL }; *w; w++)
		strv_add(&list, *w);
	if (exec_run(&list, &options, &result, &err) < 0 || !result.out.len)
		return;
	for (const char *const *w = (const char *const[]){ "docker", "rm", "-f", "-v", NULL }; *w;
	     w++)
		strv_add(&remove, *w);
	for (const char *s = text_str(&result.out); *s;) {
		size_t len = strcspn(s, "\n");

		strv_addf(&remove, "%.*s", (int)len, s);
		s += len + (s[len] == '\n');
	}
	exec_result_release(&result);
	options.by = deadline_in_ms(60000);
	exec_run(&remove, &options, &result, &err);
}

/* Its containerd ends with it when it is asked to end; by force only when it does not. */
static void end(struct dockerd *d)
{
	struct deadline by = deadline_in_ms(20000);

	kill(d->pid, SIGCONT);
	remove_containers();
	RUN(20000, "docker", "network", "prune", "--force");
	kill(d->pid, SIGTERM);
	while (waitpid(d->pid, NULL, WNOHANG) == 0) {
		if (deadline_is_over(by)) {
			kill(-d->pid, SIGKILL);
			waitpid(d->pid, NULL, 0);
			return;
		}
		poll(NULL, 0, 20);
	}
}

void dockerd_stop(struct dockerd *d)
{
	if (!d)
		return;
	if (d->pid > 0)
		end(d);
	RUN(60000, "rm", "-rf", "--one-file-system", d->dir);
	unsetenv("DOCKER_HOST");
	free(d);
}
