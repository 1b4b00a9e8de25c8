#include "tests/support/machine.h"

#include "controller/exec/exec.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_MS 10000

struct machine {
	pid_t pid;
	char link[16]; /* this host's end */
	char here[32], there[32];
};

static bool run_argv(struct strv *argv, int timeout_ms)
{
	struct exec_options options = { .by = deadline_in_ms(timeout_ms) };
	cleanup_with(exec_result) struct exec_result result = { 0 };
	struct err err;

	assert_false(strv_failed(argv));
	if (exec_run(argv, &options, &result, &err) < 0)
		return false;
	if (result.exit_code != 0)
		print_message("%s: %s\n", argv->items[argv->count - 1], text_str(&result.errs));
	return result.exit_code == 0;
}

static bool run_here(const char *const *words)
{
	cleanup_with(strv) struct strv argv = { 0 };

	for (; *words; words++)
		strv_add(&argv, *words);
	return run_argv(&argv, RUN_MS);
}

#define HERE(...)     run_here((const char *const[]){ __VA_ARGS__, NULL })
#define THERE(m, ...) machine_run(m, RUN_MS, (const char *const[]){ __VA_ARGS__, NULL })

void machine_add_words(const struct machine *m, struct strv *argv)
{
	strv_add(argv, "nsenter");
	strv_addf(argv, "--target=%d", (int)m->pid);
	strv_add(argv, "--net");
	strv_add(argv, "--mount");
	strv_add(argv, "--");
}

bool machine_run(const struct machine *m, int timeout_ms, const char *const *words)
{
	cleanup_with(strv) struct strv argv = { 0 };

	machine_add_words(m, &argv);
	for (; *words; words++)
		strv_add(&argv, *words);
	return run_argv(&argv, timeout_ms);
}

/* The child's part: says by one byte that it is there, and stays until it is ended. */
static void hold(int ready_fd, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0 || write(ready_fd, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static bool spawn(struct machine *m)
{
	pid_t parent = getpid();
	char byte;
	int fds[2];
	bool ready;

	assert_int_equal(pipe(fds), 0);
	m->pid = fork();
	assert_true(m->pid >= 0);
	if (m->pid == 0) {
		close(fds[0]);
		hold(fds[1], parent);
	}
	close(fds[1]);
	ready = read(fds[0], &byte, 1) == 1;
	close(fds[0]);
	return ready;
}

/* 198.18.0.0/15 is for tests of networks (RFC 2544): nobody's. */
static bool connect_it(struct machine *m)
{
	cleanup_free char *pid = text_format("%d", (int)m->pid);
	cleanup_free char *here = text_format("%s/30", m->here);
	cleanup_free char *there = text_format("%s/30", m->there);

	return HERE("ip", "link", "add", m->link, "type", "veth", "peer", "name", "eth0", "netns",
		    pid) &&
	       HERE("ip", "address", "add", here, "dev", m->link) &&
	       HERE("ip", "link", "set", m->link, "up") &&
	       THERE(m, "ip", "address", "add", there, "dev", "eth0") &&
	       THERE(m, "ip", "link", "set", "eth0", "up") &&
	       THERE(m, "ip", "link", "set", "lo", "up") &&
	       THERE(m, "ip", "route", "add", "default", "via", m->here);
}

struct machine *machine_start(const char **ret_why)
{
	struct machine *m;
	int place = (int)getpid() % 16000;

	*ret_why = NULL;
	if (geteuid() != 0)
		*ret_why = "namespaces need root";
	else if (!HERE("ip", "-Version") || !HERE("nsenter", "--version"))
		*ret_why = "there is no ip or nsenter program";
	if (*ret_why)
		return NULL;
	m = calloc(1, sizeof(*m));
	assert_non_null(m);
	snprintf(m->link, sizeof(m->link), "bt%d", (int)getpid());
	snprintf(m->here, sizeof(m->here), "198.18.%d.%d", place / 64, place % 64 * 4 + 1);
	snprintf(m->there, sizeof(m->there), "198.18.%d.%d", place / 64, place % 64 * 4 + 2);
	if (spawn(m) && connect_it(m))
		return m;
	machine_stop(m);
	*ret_why = "this host gives no network of its own";
	return NULL;
}

const char *machine_address(const struct machine *m)
{
	return m->there;
}

static bool network_of(const char *pid, ino_t *ret)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.16s/ns/net", pid);
	if (stat(path, &st) < 0)
		return false;
	*ret = st.st_ino;
	return true;
}

/* Whatever has its network but its holder. Engines leave such behind: podman's service keeps the monitor of a
 * finished exec for five minutes. Returns how many there were. */
static size_t end_others(const struct machine *m, ino_t network)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t found = 0;
	ino_t other;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)atoll(entry->d_name);

		if (pid <= 0 || pid == m->pid || !network_of(entry->d_name, &other) ||
		    other != network)
			continue;
		kill(pid, SIGKILL);
		found++;
	}
	if (dir)
		closedir(dir);
	return found;
}

void machine_stop(struct machine *m)
{
	struct deadline by = deadline_in_ms(RUN_MS);
	char pid[16];
	ino_t network, here;

	if (!m)
		return;
	snprintf(pid, sizeof(pid), "%d", (int)m->pid);
	if (network_of(pid, &network) && network_of("self", &here) && network != here) {
		while (end_others(m, network) && !deadline_is_over(by))
			poll(NULL, 0, 20);
	}
	kill(m->pid, SIGKILL);
	waitpid(m->pid, NULL, 0);
	free(m);
}
