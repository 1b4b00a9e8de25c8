/* Real cgroups of this host, in a directory of the test's own. */
#include "agent/streams/spawn.h"

#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "tests/support/program.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	const char *root;
	char name[32];
	struct cgroup_place *place; /* NULL: this host lets nobody make any */
};

static int set_up_in(void **state, const char *root)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->root = root;
	snprintf(rig->name, sizeof(rig->name), "berth-test-%d", (int)getpid());
	if (cgroup_place_open(root, rig->name, &rig->place, &err) < 0)
		print_message("no cgroups below %s: %s\n", root, err.msg);
	*state = rig;
	return 0;
}

static int set_up(void **state)
{
	return set_up_in(state, "/sys/fs/cgroup");
}

/* On a host with both, the second hierarchy has neither memory nor pids. */
static int set_up_v2(void **state)
{
	bool hybrid = access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0;

	return set_up_in(state, hybrid ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup");
}

static void remove_at(const char *root, const char *tree, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s/%s", root, tree, name);
	rmdir(path);
}

static void remove_place(const struct rig *rig)
{
	static const char *const trees[] = { ".", "systemd", "memory", "pids" };

	for (size_t i = 0; i < ARRAY_LEN(trees); i++)
		remove_at(rig->root, trees[i], rig->name);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	cgroup_place_close(rig->place);
	remove_place(rig);
	free(rig);
	return 0;
}

/* Starts a script in the cgroup "one"; '*ret_out' reads its output. */
static pid_t start(struct rig *rig, const char *script, bool helper, int *ret_out)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct spawn_user user = { .home = "/" };
	struct cgroup_entry entry;
	struct spawn spawn = { .argv = argv, .env = env, .user = &user, .cgroup = &entry };
	struct err err;
	int out[2], pidfd;
	pid_t pid;

	assert_int_equal(cgroup_make(rig->place, "one", helper, &entry, &err), 0);
	assert_int_equal(pipe(out), 0);
	spawn.fds[0] = spawn.fds[1] = spawn.fds[2] = out[1];
	if (spawn_start(&spawn, &pid, &pidfd, &err) < 0)
		fail_msg("%s", err.msg);
	close(out[1]);
	close(pidfd);
	cgroup_entry_close(&entry);
	*ret_out = out[0];
	return pid;
}

static void wait_removed(struct rig *rig)
{
	struct deadline by = deadline_in_ms(10000);

	while (!cgroup_remove(rig->place, "one")) {
		assert_false(deadline_is_over(by));
		cgroup_kill(rig->place, "one");
		usleep(1000);
	}
}

static void read_line(int fd, char *line, size_t size)
{
	size_t at = 0;

	while (at + 1 < size && read(fd, line + at, 1) == 1 && line[at] != '\n')
		at++;
	line[at] = '\0';
}

/* Another systemd on the host may remove what is empty, on v1: the next program finds a place all the same. */
static void a_place_that_was_removed_is_made_again(void **state)
{
	struct rig *rig = *state;
	char line[64];
	pid_t pid;
	int out;

	if (!rig->place)
		skip();
	remove_place(rig);
	pid = start(rig, "cat /proc/self/cgroup | grep -c /one; exit 3", true, &out);
	read_line(out, line, sizeof(line));
	assert_true(line[0] > '0');
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	wait_removed(rig);
	close(out);
}

/* NS-283: a process that left session and group is ended all the same. */
static void who_fled_the_group_is_ended(void **state)
{
	struct rig *rig = *state;
	char line[64];
	int out, fled, pidfd;
	pid_t pid;

	if (!rig->place)
		skip();
	pid = start(rig, "setsid sh -c 'echo $$; exec sleep 100' & wait", false, &out);
	read_line(out, line, sizeof(line));
	assert_int_equal(sscanf(line, "%d", &fled), 1);
	assert_true(process_is_alive(fled));
	pidfd = (int)syscall(SYS_pidfd_open, fled, 0);
	cgroup_kill(rig->place, "one");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	wait_removed(rig);
	/* It leaves its cgroup a little before it is dead. */
	assert_int_equal(poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 5000), 1);
	close(pidfd);
	close(out);
}

/* NS-283 */
static void fork_storm_is_ended(void **state)
{
	struct rig *rig = *state;
	char line[64];
	pid_t pid;
	int out;

	if (!rig->place)
		skip();
	pid = start(rig, "f() { while :; do (setsid sleep 0.01 &) ; done; }; f & f & echo up; wait",
		    false, &out);
	read_line(out, line, sizeof(line));
	assert_string_equal(line, "up");
	cgroup_kill(rig->place, "one");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	wait_removed(rig);
	close(out);
}

/* A command may make cgroups below its own. */
static void cgroups_below_go_too(void **state)
{
	struct rig *rig = *state;
	char line[64], script[512];
	struct stat st;
	pid_t pid;
	int out;

	if (!rig->place)
		skip();
	snprintf(script, sizeof(script),
		 "for d in %s/%s/one %s/systemd/%s/one; do "
		 "[ -d $d ] && mkdir -p $d/a/b && { sleep 100 & echo $! >$d/a/b/cgroup.procs; }; "
		 "done; echo up; wait",
		 rig->root, rig->name, rig->root, rig->name);
	pid = start(rig, script, false, &out);
	read_line(out, line, sizeof(line));
	assert_string_equal(line, "up");
	cgroup_kill(rig->place, "one");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	wait_removed(rig);
	snprintf(script, sizeof(script), "%s/%s/one", rig->root, rig->name);
	assert_int_equal(stat(script, &st), -1);
	close(out);
}

/* I16 */
static void helper_is_limited_and_nobody_else(void **state)
{
	static const char script[] =
		"for f in /sys/fs/cgroup/memory$(sed -n 's/.*:memory://p' /proc/self/cgroup)/"
		"memory.limit_in_bytes /sys/fs/cgroup$(sed -n 's/^0:://p' "
		"/proc/self/cgroup)/memory.max;"
		" do [ -e $f ] && cat $f; done | head -1; read x";
	struct rig *rig = *state;
	char limited[64], free_line[64];
	pid_t pid;
	int out;

	if (!rig->place)
		skip();
	pid = start(rig, script, true, &out);
	read_line(out, limited, sizeof(limited));
	cgroup_kill(rig->place, "one");
	waitpid(pid, NULL, 0);
	wait_removed(rig);
	close(out);
	pid = start(rig, script, false, &out);
	read_line(out, free_line, sizeof(free_line));
	cgroup_kill(rig->place, "one");
	waitpid(pid, NULL, 0);
	wait_removed(rig);
	close(out);
	if (!limited[0] || strstr(rig->root, "unified")) {
		print_message("%s has no memory controller\n", rig->root);
		skip();
	}
	assert_string_equal(limited, CGROUP_HELPER_BYTES);
	assert_string_not_equal(free_line, CGROUP_HELPER_BYTES);
}

static void count_one(void *arg, const char *name)
{
	assert_string_equal(name, "one");
	++*(int *)arg;
}

static void what_was_left_is_found(void **state)
{
	struct rig *rig = *state;
	struct cgroup_entry entry;
	struct err err;
	int count = 0;

	if (!rig->place)
		skip();
	cgroup_each(rig->place, count_one, &count);
	assert_int_equal(count, 0);
	assert_int_equal(cgroup_make(rig->place, "one", false, &entry, &err), 0);
	cgroup_entry_close(&entry);
	cgroup_each(rig->place, count_one, &count);
	assert_int_equal(count, 1);
	assert_true(cgroup_remove(rig->place, "one"));
	assert_true(cgroup_remove(rig->place, "one"));
}

static void no_hierarchy_is_said(void **state)
{
	struct cgroup_place *place = NULL;
	struct err err;

	(void)state;
	assert_int_equal(cgroup_place_open("/tmp", "x", &place, &err), -1);
	assert_int_equal(err.code, ERR_UNIMPLEMENTED);
	assert_null(place);
	assert_false(cgroup_is_service());
}

#define TEST(name)                                              \
	{ #name, name, set_up, tear_down, NULL },               \
	{                                                       \
#name " (v2)", name, set_up_v2, tear_down, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_fled_the_group_is_ended),
		TEST(fork_storm_is_ended),
		TEST(cgroups_below_go_too),
		TEST(helper_is_limited_and_nobody_else),
		TEST(what_was_left_is_found),
		TEST(a_place_that_was_removed_is_made_again),
		cmocka_unit_test(no_hierarchy_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
