/*
 * Secrets on a real node (S11, S12): what a run hands on or makes is looked for where others could read it: in the
 * arguments and environments of all processes, in the node's journal, in what berth says.
 */
#include "shared/base/cleanup.h"
#include "shared/base/file.h"
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANARY      "canary-6b1f0e5c2d"
#define SECRETS_MAX 16

extern char **environ;

static const char *name;
static char node[96], proxied[96];

/* --- what must not be seen ------------------------------------------------------------------------------- */

static char *secrets[SECRETS_MAX];
static size_t secret_count;

static char *read_all(const char *path)
{
	struct text text = { 0 };
	char buffer[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < n; i++) /* words of /proc end with NUL bytes */
			buffer[i] = buffer[i] ? buffer[i] : ' ';
		text_add_bytes(&text, buffer, (size_t)n);
	}
	if (fd >= 0)
		close(fd);
	return text_take(&text);
}

/* A line of the key's own text: of 64 characters, none of another key. */
static void add_key(const char *path)
{
	cleanup_free char *text = read_all(path);
	char *line = text ? strchr(text, '\n') : NULL;

	if (!line || secret_count == SECRETS_MAX)
		fail_msg("no key in '%s'", path);
	secrets[secret_count] = strndup(line + 1, 60);
	assert_int_equal(strlen(secrets[secret_count]), 60);
	secret_count++;
}

/* The keys of the cluster and of the node, as they are now. */
static void add_keys(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/clusters/%s/tls/ca.key", e2e_state_dir(), name);
	add_key(path);
	snprintf(path, sizeof(path), "%s/clusters/%s/tls/admin.key", e2e_state_dir(), name);
	add_key(path);
	snprintf(path, sizeof(path), "%s/nodes/%s/tls/node.key", e2e_state_dir(), node);
	add_key(path);
}

static void assert_clean(const char *text, const char *where)
{
	for (size_t i = 0; text && i < secret_count; i++) {
		if (strstr(text, secrets[i]))
			fail_msg("secret %zu is in %s", i, where);
	}
}

static bool is_ours(pid_t pid)
{
	return pid == getpid();
}

/* All processes, those of the node among them; but for those that the test itself gave the secret to. */
static unsigned look_at_processes(const pid_t *given, size_t count)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	unsigned seen = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		bool skip = pid <= 0 || is_ours(pid);

		for (size_t i = 0; i < count; i++)
			skip |= pid == given[i];
		for (const char *const *what = (const char *[]){ "cmdline", "environ", NULL };
		     !skip && *what; what++) {
			cleanup_free char *text = NULL;
			char path[64];

			snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, *what);
			text = read_all(path);
			seen += text && *text;
			assert_clean(text, path);
		}
	}
	closedir(dir);
	return seen;
}

static void look_at_journals(void)
{
	cleanup_free char *inside = e2e_stdout_of("podman", "exec", node, "journalctl",
						  "--no-pager", "-o", "export", (char *)NULL);
	struct e2e_output console = e2e_program(30, "podman", "logs", node, (char *)NULL);

	assert_true(strlen(inside) > 1000);
	assert_clean(inside, "the node's journal");
	assert_clean(console.out, "the node's console");
	assert_clean(console.errs, "the node's console");
	e2e_release(&console);
}

static void run_and_look(struct e2e_output output, const char *what)
{
	if (output.exit_code != 0)
		fail_msg("%s: %s", what, output.errs);
	assert_clean(output.out, what);
	assert_clean(output.errs, what);
	e2e_release(&output);
}

/* --- tests ------------------------------------------------------------------------------------------------ */

static int setup(void **state)
{
	(void)state;
	name = e2e_cluster_name("secrets");
	snprintf(node, sizeof(node), "%s-control-plane", name);
	snprintf(proxied, sizeof(proxied), "%s-proxied", name);
	run_and_look(e2e_run(180, "-v", "create", "cluster", "--name", name, "--image", e2e_image(),
			     "--agent-tls", (char *)NULL),
		     "create");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	e2e_clean(name);
	for (size_t i = 0; i < secret_count; i++)
		free(secrets[i]);
	return 0;
}

/* S11: the keys of a cluster that is made, used, asked for its certificates and given new ones */
static void keys_are_seen_by_nobody(void **state)
{
	(void)state;
	add_keys();
	run_and_look(e2e_run(60, "-v", "health", "-N", node, "--name", name, "--channel", "tls",
			     (char *)NULL),
		     "health");
	run_and_look(e2e_run(60, "-v", "get", "certs", "--name", name, "-o", "json", (char *)NULL),
		     "get certs");
	run_and_look(e2e_run(60, "-v", "renew", "certs", "--name", name, (char *)NULL),
		     "renew certs");
	add_keys();
	run_and_look(e2e_run(60, "-v", "health", "-N", node, "--name", name, "--channel", "tls",
			     (char *)NULL),
		     "health after renewal");
	assert_true(look_at_processes(NULL, 0) > 20);
	look_at_journals();
}

/* Runs `berth exec -e` in the node for as long as it takes to look. */
static pid_t start_exec(void)
{
	const char *argv[] = { e2e_berth(),
			       "--state-dir",
			       e2e_state_dir(),
			       "exec",
			       "-N",
			       node,
			       "--name",
			       name,
			       "-e",
			       "BERTH_SECRET=" CANARY,
			       "--",
			       "sh",
			       "-c",
			       "touch /run/secret-started; exec sleep 987654",
			       NULL };
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ), 0);
	return pid;
}

static bool has_started(void *arg)
{
	struct e2e_output output = e2e_program(20, "podman", "exec", node, "test", "-e",
					       "/run/secret-started", (char *)NULL);
	bool started = output.exit_code == 0;

	(void)arg;
	e2e_release(&output);
	return started;
}

/* The command itself, which is to have it. */
static pid_t command_with_secret(void)
{
	cleanup_free char *found =
		e2e_stdout_of("pgrep", "-f", "-x", "sleep 987654", "--newest", (char *)NULL);

	return (pid_t)strtol(found, NULL, 10);
}

/* S11: a variable for a command is the command's, and that of the berth it was given to */
static void a_commands_environment_is_its_own(void **state)
{
	pid_t given[2];
	int status;

	(void)state;
	given[0] = start_exec();
	e2e_eventually(has_started, NULL, 60000);
	given[1] = command_with_secret();
	secrets[secret_count++] = strdup(CANARY);
	assert_true(look_at_processes(given, 2) > 20);
	look_at_journals();
	kill(given[0], SIGTERM);
	assert_int_equal(waitpid(given[0], &status, 0), given[0]);
}

/* --- a proxy's password ------------------------------------------------------------------------------------ */

#define PROXY_CANARY "canary-proxy-93ac71d0"
#define PROXY        "http://user:" PROXY_CANARY "@192.0.2.1:9"

/* One more node, made with that proxy in berth's environment; what berth says goes to 'log'. */
static pid_t start_create(const char *log)
{
	const char *argv[] = { e2e_berth(), "-v",      "--state-dir", e2e_state_dir(),
			       "create",    "node",    proxied,       "--name",
			       name,        "--image", e2e_image(),   NULL };
	posix_spawn_file_actions_t files;
	pid_t pid;

	setenv("https_proxy", PROXY, 1);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT, 0600);
	posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
	assert_int_equal(posix_spawn(&pid, argv[0], &files, NULL, (char *const *)argv, environ), 0);
	posix_spawn_file_actions_destroy(&files);
	unsetenv("https_proxy");
	return pid;
}

/* Whether some argv was an engine's create of that node: the moment that matters was looked at. */
static bool look_at_arguments(void)
{
	cleanup_free char *mark = text_format("--name=%s ", proxied);
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool seen = false;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		cleanup_free char *text = NULL;
		char path[64];

		if (pid <= 0 || is_ours(pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
		text = read_all(path);
		if (text && strstr(text, PROXY_CANARY))
			fail_msg("the proxy's password is in an argv: %s", text);
		seen |= text && strstr(text, mark) && strstr(text, "--env=https_proxy ");
	}
	closedir(dir);
	return seen;
}

static void assert_proxy_is_the_nodes(void)
{
	cleanup_free char *environment =
		e2e_stdout_of("podman", "exec", proxied, "sh", "-c",
			      "tr '\\0' '\\n' < /proc/1/environ | grep -i ^https_proxy | sort",
			      (char *)NULL);
	cleanup_free char *words =
		e2e_stdout_of("podman", "inspect", "--format", "{{.Config.CreateCommand}}", proxied,
			      (char *)NULL);

	assert_string_equal(environment, "HTTPS_PROXY=" PROXY "\nhttps_proxy=" PROXY);
	assert_non_null(strstr(words, "--env=https_proxy "));
	assert_null(strstr(words, PROXY_CANARY));
}

/* S11: the engine is looked at for as long as it works; the node has its proxy all the same */
static void proxys_password_is_in_no_arguments(void **state)
{
	cleanup_free char *log = text_format("%s/create-log", e2e_state_dir());
	cleanup_free char *said = NULL;
	bool seen = false;
	int status = -1;
	pid_t pid = start_create(log);

	(void)state;
	while (waitpid(pid, &status, WNOHANG) == 0)
		seen |= look_at_arguments();
	said = read_all(log);
	if (status != 0)
		fail_msg("create: %s", said);
	assert_true(seen);
	assert_null(strstr(said, PROXY_CANARY));
	assert_proxy_is_the_nodes();
}

/* --- no core of what has keys ------------------------------------------------------------------------------ */

/* The main process of a unit of the node, as the node counts. */
static void inside(const char *script, const char *unit, char *ret, size_t size)
{
	char line[256];
	char *text;

	snprintf(line, sizeof(line), "pid=$(systemctl show -P MainPID %s); %s", unit, script);
	text = e2e_stdout_of("podman", "exec", node, "sh", "-c", line, (char *)NULL);
	snprintf(ret, size, "%s", text);
	free(text);
}

/* S12: read back from the running processes. Of a process that cannot be dumped the files in /proc are root's,
 * whoever it runs as (proc(5)); the front runs as a user of its own. */
static void no_core_is_dumped_of_agent_or_front(void **state)
{
	static const char *const units[] = { "berthd", "berthd-front" };
	char text[256];

	(void)state;
	run_and_look(e2e_run(60, "health", "-N", node, "--name", name, "--channel", "tls",
			     (char *)NULL),
		     "health"); /* the front is started by its first client */
	for (size_t i = 0; i < 2; i++) {
		inside("grep 'Max core file size' /proc/$pid/limits | tr -s ' '", units[i], text,
		       sizeof(text));
		assert_non_null(strstr(text, "Max core file size 0 0"));
		inside("stat -c %u /proc/$pid/environ", units[i], text, sizeof(text));
		assert_string_equal(text, "0");
	}
	inside("awk '/^Uid/ { print $2 }' /proc/$pid/status", "berthd-front", text, sizeof(text));
	assert_string_not_equal(text, "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_seen_by_nobody),
		cmocka_unit_test(a_commands_environment_is_its_own),
		cmocka_unit_test(proxys_password_is_in_no_arguments),
		cmocka_unit_test(no_core_is_dumped_of_agent_or_front),
	};

	return cmocka_run_group_tests_name("secrets", tests, setup, teardown);
}
