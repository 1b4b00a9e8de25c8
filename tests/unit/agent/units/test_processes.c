/*
 * Real processes: this program copies itself under the names of victims and decoys, and run with
 * "--sleep" it sleeps, with "--sleep-on" it ignores SIGTERM as well.
 */
#include "agent/units/processes_impl.h"

#include "shared/base/cleanup.h"
#include "tests/support/units.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHILDREN 8

struct rig {
	struct sd_event *loop;
	char dir[64];
	char name[32]; /* stands for "kube-apiserver": nobody else's process has it */
	pid_t children[CHILDREN];
	size_t count;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_true(sd_event_new(&rig->loop) >= 0);
	make_dir(rig->dir);
	snprintf(rig->name, sizeof(rig->name), "apisrv-%d", (int)getpid() % 1000000);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < rig->count; i++) {
		kill(rig->children[i], SIGKILL);
		waitpid(rig->children[i], NULL, 0);
	}
	sd_event_unref(rig->loop);
	remove_dir(rig->dir);
	free(rig);
	return 0;
}

static void copy_self(const char *path)
{
	cleanup_fd int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	cleanup_fd int out = -1;
	struct stat st;
	off_t at = 0;

	unlink(path); /* a program that runs cannot be written */
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	assert_true(in >= 0 && out >= 0 && fstat(in, &st) == 0);
	while (at < st.st_size)
		assert_true(sendfile(out, in, &at, (size_t)(st.st_size - at)) > 0);
}

/* Starts 'path' and waits until it says that it is there. */
static pid_t start(struct rig *rig, const char *path, char *const argv[])
{
	int ends[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execv(path, argv);
		_exit(127);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	assert_true(rig->count < CHILDREN);
	rig->children[rig->count++] = pid;
	return pid;
}

/* A copy of this program called 'file', told that it is 'argv0'. */
static pid_t start_copy(struct rig *rig, const char *file, const char *argv0, const char *how)
{
	char path[128];
	char *argv[] = { (char *)argv0, (char *)how, NULL };

	snprintf(path, sizeof(path), "%s/%s", rig->dir, file);
	copy_self(path);
	return start(rig, path, argv);
}

static bool is_alive(pid_t pid)
{
	siginfo_t info = { 0 };

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	return info.si_pid == 0;
}

static void end_all(struct rig *rig, int64_t grace_ms, int64_t by_ms, struct units_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	processes_end(rig->loop, "/proc", rig->name, grace_ms, deadline_in_ms(by_ms),
		      answer_processes, ret);
	assert_int_equal(ret->calls, 0);
	loop_until_answered(rig->loop, ret, by_ms + 500);
}

static const char *result_of(const struct units_answer *answer, pid_t pid)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (answer->processes[i].pid == pid)
			return answer->processes[i].result;
	}
	return "not listed";
}

/* NS-152 */
static void none_found_is_success(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	end_all(rig, 0, 1000, &answer);
	assert_false(answer.failed);
	assert_int_equal(answer.count, 0);
}

static pid_t start_zombie(struct rig *rig)
{
	siginfo_t info;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_NAME, rig->name);
		_exit(0);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	rig->children[rig->count++] = pid;
	return pid;
}

/* NS-244, NS-150 */
static void only_the_real_ones_die(void **state)
{
	char proxy_name[64], script[128];
	char *shell[] = { (char *)"sh", (char *)"-c", script, NULL };
	pid_t real, second, renamed, proxy, sh, zombie;
	struct rig *rig = *state;
	struct units_answer answer;

	snprintf(proxy_name, sizeof(proxy_name), "%s-proxy", rig->name);
	snprintf(script, sizeof(script), "echo; kill -STOP $$; : %s", rig->name);
	real = start_copy(rig, rig->name, "/usr/local/bin/other-name", "--sleep");
	second = start_copy(rig, rig->name, rig->name, "--sleep");
	renamed = start_copy(rig, "other-file", rig->name, "--sleep");
	proxy = start_copy(rig, proxy_name, proxy_name, "--sleep");
	sh = start(rig, "/bin/sh", shell);
	zombie = start_zombie(rig);

	end_all(rig, 0, 5000, &answer);
	assert_false(answer.failed);
	assert_int_equal(answer.count, 3);
	assert_string_equal(result_of(&answer, real), "killed");
	assert_string_equal(result_of(&answer, second), "killed");
	assert_string_equal(result_of(&answer, renamed), "killed");
	assert_false(is_alive(real));
	assert_false(is_alive(second));
	assert_false(is_alive(renamed));
	assert_true(is_alive(proxy));
	assert_true(is_alive(sh));
	assert_string_equal(result_of(&answer, zombie), "not listed");
}

static void program_whose_file_is_deleted_is_found(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	char path[128];
	pid_t pid;

	pid = start_copy(rig, rig->name, "x", "--sleep-unnamed");
	snprintf(path, sizeof(path), "%s/%s", rig->dir, rig->name);
	assert_int_equal(unlink(path), 0);
	end_all(rig, 0, 5000, &answer);
	assert_string_equal(result_of(&answer, pid), "killed");
}

/* NS-152: SIGTERM, the grace, SIGKILL. */
static void grace_lets_the_willing_go_by_themselves(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	int64_t start_ms;
	pid_t willing, stubborn;

	willing = start_copy(rig, rig->name, rig->name, "--sleep");
	end_all(rig, 5000, 10000, &answer);
	assert_string_equal(result_of(&answer, willing), "terminated");
	stubborn = start_copy(rig, rig->name, rig->name, "--sleep-on");
	start_ms = clock_now_ms();
	end_all(rig, 300, 10000, &answer);
	assert_string_equal(result_of(&answer, stubborn), "killed");
	assert_in_range(answer.at_ms - start_ms, 299, 6000);
}

static void grace_beyond_the_deadline_still_kills(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	pid_t stubborn;

	stubborn = start_copy(rig, rig->name, rig->name, "--sleep-on");
	end_all(rig, 60000, 600, &answer);
	assert_string_equal(result_of(&answer, stubborn), "killed");
	assert_false(is_alive(stubborn));
}

/* A /proc that lies. */
static void write_fake(struct rig *rig, pid_t pid, const char *comm, unsigned flags,
		       const char *start_ticks)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d", rig->dir, (int)pid);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%d/stat", rig->dir, (int)pid);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "%d (%s) S 1 1 1 0 -1 %u 1 2 3 4 5 6 7 8 9 10 11 12 %s 13 14\n", (int)pid,
		comm, flags, start_ticks);
	assert_int_equal(fclose(file), 0);
}

/* I13: the pid belongs to another process now. */
static void pid_used_again_is_not_the_victim(void **state)
{
	struct rig *rig = *state;
	struct process_ids ids;
	struct err err;
	int fd = -1;
	pid_t pid;

	pid = start_copy(rig, rig->name, rig->name, "--sleep");
	assert_int_equal(process_find("/proc", rig->name, &ids, &err), 0);
	assert_int_equal(ids.count, 1);
	assert_int_equal(ids.items[0].pid, pid);
	ids.items[0].start_ticks++;
	assert_int_equal(process_open("/proc", ids.items[0], &fd, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(fd, -1);
	ids.items[0].start_ticks--;
	assert_int_equal(process_open("/proc", ids.items[0], &fd, &err), 0);
	close(fd);
	free(ids.items);
}

static void process_that_is_gone_is_gone(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer = { 0 };
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	write_fake(rig, pid, rig->name, 0, "77");
	processes_end(rig->loop, rig->dir, rig->name, 0, deadline_in_ms(1000), answer_processes,
		      &answer);
	loop_until_answered(rig->loop, &answer, 1000);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.processes[0].result, "gone");
}

static void kernel_threads_and_strange_names_are_read_rightly(void **state)
{
	struct rig *rig = *state;
	struct process_ids ids;
	struct err err;

	write_fake(rig, 11, rig->name, 0x00200000, "1"); /* a kernel thread */
	write_fake(rig, 12, "a) R 1 (b", 0, "1234567890123");
	write_fake(rig, 13, "kube-apiserver-", 0, "1"); /* cut off: might be anything */
	write_fake(rig, getpid(), rig->name, 0, "1");
	assert_int_equal(process_find(rig->dir, rig->name, &ids, &err), 0);
	assert_int_equal(ids.count, 0);
	free(ids.items);
	assert_int_equal(process_find(rig->dir, "kube-apiserver-x", &ids, &err), 0);
	assert_int_equal(ids.count, 0);
	free(ids.items);
	assert_int_equal(process_find(rig->dir, "a) R 1 (b", &ids, &err), 0);
	assert_int_equal(ids.count, 1);
	assert_int_equal(ids.items[0].pid, 12);
	assert_true(ids.items[0].start_ticks == 1234567890123ULL);
	free(ids.items);
}

static void missing_proc_is_an_error_from_the_loop(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer = { 0 };

	processes_end(rig->loop, "/nonexistent", rig->name, 0, deadline_in_ms(1000),
		      answer_processes, &answer);
	assert_int_equal(answer.calls, 0);
	loop_until_answered(rig->loop, &answer, 1000);
	assert_int_equal(answer.err.code, ERR_INTERNAL);
}

static void node_without_processes_has_none_to_end(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer = { 0 };

	processes_end(rig->loop, NULL, "sh", 0, deadline_in_ms(1000), answer_processes, &answer);
	loop_until_answered(rig->loop, &answer, 1000);
	assert_false(answer.failed);
	assert_int_equal(answer.count, 0);
}

/* What a copy of this program does. */
static int sleep_as_told(const char *how)
{
	if (strcmp(how, "--sleep-on") == 0)
		signal(SIGTERM, SIG_IGN);
	if (strcmp(how, "--sleep-unnamed") == 0)
		prctl(PR_SET_NAME, "unnamed");
	if (write(STDOUT_FILENO, "!", 1) != 1)
		return 1;
	alarm(60); /* nobody is left behind, should the test itself be killed */
	for (;;)
		pause();
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- the list ------------------------------------------------------------------------------------- */

static const struct process_info *listed(const struct process_list *list, pid_t pid)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].pid == pid)
			return &list->items[i];
	}
	return NULL;
}

/* NS-203 */
static void list_tells_what_a_process_is(void **state)
{
	cleanup_with(process_list) struct process_list list = { 0 };
	struct rig *rig = *state;
	pid_t pid = start_copy(rig, rig->name, "argument zero", "--sleep");
	const struct process_info *info;
	char path[128];
	struct err err;

	snprintf(path, sizeof(path), "%s/%s", rig->dir, rig->name);
	assert_int_equal(processes_list("/proc", true, &list, &err), 0);
	info = listed(&list, pid);
	assert_non_null(info);
	assert_int_equal(info->ppid, getpid());
	assert_int_equal(info->threads, 1);
	assert_true(info->state == 'S' || info->state == 'R');
	assert_false(info->kernel);
	assert_true(info->resident_bytes > 0 && info->resident_bytes < info->virtual_bytes);
	assert_true(info->start_ticks > 0);
	assert_string_equal(info->comm, rig->name);
	assert_string_equal(info->executable, path);
	assert_int_equal(info->args_len, sizeof("argument zero") + sizeof("--sleep"));
	assert_memory_equal(info->args, "argument zero\0--sleep", info->args_len);
}

/* S4: arguments may hold secrets; who does not ask for them does not have them read. */
static void list_without_arguments_has_none(void **state)
{
	cleanup_with(process_list) struct process_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(processes_list("/proc", false, &list, &err), 0);
	assert_non_null(listed(&list, getpid()));
	assert_null(listed(&list, getpid())->args);
}

/* I13 */
static void signal_goes_to_that_process_and_no_later_one(void **state)
{
	cleanup_with(process_list) struct process_list list = { 0 };
	struct rig *rig = *state;
	pid_t pid = start_copy(rig, rig->name, rig->name, "--sleep");
	uint64_t ticks;
	siginfo_t info;
	char comm[64];
	struct err err;

	assert_int_equal(processes_list("/proc", false, &list, &err), 0);
	ticks = listed(&list, pid)->start_ticks;
	assert_int_equal(process_send_signal("/proc", pid, ticks + 1, SIGKILL, comm, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "PROCESS_GONE");
	assert_true(is_alive(pid));
	assert_int_equal(process_send_signal("/proc", pid, ticks, SIGKILL, comm, &err), 0);
	assert_string_equal(comm, rig->name);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, SIGKILL);
	assert_int_equal(process_send_signal("/proc", pid, 0, SIGKILL, comm, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void what_is_no_process_or_signal_is_refused(void **state)
{
	char comm[64];
	struct err err;

	(void)state;
	assert_int_equal(process_send_signal("/proc", 1, 0, SIGKILL, comm, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(process_send_signal("/proc", -1, 0, SIGKILL, comm, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(process_send_signal("/proc", getpid(), 0, 65, comm, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		test(none_found_is_success),
		test(only_the_real_ones_die),
		test(program_whose_file_is_deleted_is_found),
		test(grace_lets_the_willing_go_by_themselves),
		test(grace_beyond_the_deadline_still_kills),
		test(pid_used_again_is_not_the_victim),
		test(process_that_is_gone_is_gone),
		test(kernel_threads_and_strange_names_are_read_rightly),
		test(missing_proc_is_an_error_from_the_loop),
		test(node_without_processes_has_none_to_end),
		test(list_tells_what_a_process_is),
		test(list_without_arguments_has_none),
		test(signal_goes_to_that_process_and_no_later_one),
		test(what_is_no_process_or_signal_is_refused),
	};

	if (argc > 1 && strncmp(argv[1], "--sleep", 7) == 0)
		return sleep_as_told(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
