#include "controller/exec/exec_impl.h"

#include "shared/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>

#define ERRS_MAX ((size_t)64 * 1024)

extern char **environ;

static atomic_uint started;

unsigned exec_count(void)
{
	return atomic_load(&started);
}

int exec_make_pipe(int ret_ends[2], struct err *err)
{
#ifdef __linux__
	if (pipe2(ret_ends, O_CLOEXEC) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "cannot make a pipe");
#else
	if (pipe(ret_ends) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "cannot make a pipe");
	fcntl(ret_ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ret_ends[1], F_SETFD, FD_CLOEXEC);
#endif
	fcntl(ret_ends[0], F_SETFL, O_NONBLOCK);
	return 0;
}

/* A process group of its own, so that the whole of it can be ended and a Ctrl-C on the terminal
 * reaches only us; no signal blocked or ignored, whatever our threads do. */
static int set_attributes(posix_spawnattr_t *attr)
{
	short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;

#ifdef __APPLE__
	flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawnattr_setflags(attr, flags) || posix_spawnattr_setpgroup(attr, 0) ||
	    posix_spawnattr_setsigmask(attr, &none) || posix_spawnattr_setsigdefault(attr, &all))
		return -1;
	return 0;
}

static bool is_same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strncmp(a, b, len) == 0 && b[len] == '=';
}

static bool has_name_of(const struct strv *env, const char *pair)
{
	for (size_t i = 0; i < env->count; i++) {
		if (is_same_name(env->items[i], pair))
			return true;
	}
	return false;
}

/* Ours, but for the names that 'env' has. */
static bool merge_environment(const struct strv *env, struct strv *ret)
{
	for (char *const *own = environ; *own; own++) {
		if (!has_name_of(env, *own))
			strv_add(ret, *own);
	}
	strv_add_all(ret, env);
	return !strv_failed(env) && !strv_failed(ret);
}

static int spawn(const struct strv *argv, char *const *env, int in, int out, int errs,
		 pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc = ENOMEM;

	if (posix_spawn_file_actions_init(&files))
		return rc;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return rc;
	}
	if (set_attributes(&attr) == 0 &&
	    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO) == 0 &&
	    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO) == 0 &&
	    posix_spawn_file_actions_adddup2(&files, errs, STDERR_FILENO) == 0)
		rc = posix_spawnp(ret_pid, argv->items[0], &files, &attr, argv->items, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int spawn_failed(int sys, const char *program, struct err *err)
{
	if (sys == ENOENT) {
		err_set(err, ERR_NOT_FOUND, 0, "no program '%s' in PATH", program);
		return err_explain(err, "PROGRAM_NOT_FOUND", NULL);
	}
	if (sys == EACCES)
		return err_set(err, ERR_PERMISSION_DENIED, sys, "cannot run '%s'", program);
	return err_set(err, ERR_RESOURCE_EXHAUSTED, sys, "cannot start '%s'", program);
}

int exec_spawn(const struct strv *argv, const struct strv *env, int in, int out, int errs,
	       pid_t *ret_pid, struct err *err)
{
	cleanup_with(strv) struct strv merged = { 0 };
	pid_t pid;
	int rc;

	if (env && env->count && !merge_environment(env, &merged))
		return err_oom(err);
	rc = spawn(argv, merged.count ? merged.items : environ, in, out, errs, &pid);
	if (rc)
		return spawn_failed(rc, argv->items[0], err);
	atomic_fetch_add(&started, 1);
	*ret_pid = pid;
	return 0;
}

void exec_keep_tail(struct text *t, const char *bytes, size_t len)
{
	text_add_bytes(t, bytes, len);
	if (t->len > ERRS_MAX && t->data) {
		memmove(t->data, t->data + t->len - ERRS_MAX, ERRS_MAX);
		t->len = ERRS_MAX;
		t->data[t->len] = '\0';
	}
}
