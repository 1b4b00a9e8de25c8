#pragma once
/*
 * A program started from a process with threads and a loop that must not wait: fork, a few raw system
 * calls, exec. Nothing of nng, of malloc or of NSS is touched after the fork, every descriptor but the
 * three is closed, signals are back to their defaults.
 */
#include "agent/streams/cgroup.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Who it runs as. */
struct spawn_user {
	bool change; /* false: as the agent itself, and nothing else here counts but the texts */
	uid_t uid;
	gid_t gid;
	gid_t groups[64];
	size_t groups_count;
	char name[64];
	char home[256];
};

/* "name", "uid", "name:group", "uid:gid"; NULL or "": root, that is the agent's own. Looked up in
 * /etc/passwd and /etc/group below 'etc' ("/etc") alone, as container runtimes do: NSS would load
 * libraries into the agent and may ask a directory server while everybody waits. ERR_NOT_FOUND, reason
 * USER_NOT_FOUND. */
int spawn_user_find(const char *etc, const char *user, struct spawn_user *ret, struct err *err);

struct spawn {
	const char *const *argv; /* ends with NULL */
	const char *const *env;  /* all of it; PATH of it finds argv[0] */
	const char *directory;   /* NULL: the user's home, or / when there is none */
	const struct spawn_user *user;
	int fds[3];                        /* become 0, 1, 2 */
	bool tty;                          /* fds[0] becomes the controlling terminal */
	const struct cgroup_entry *cgroup; /* where it begins; NULL: in the agent's own */
};

/* In a session and process group of its own. Waits SPAWN_WAIT_MS at most for the exec; one that takes
 * longer (a file system that does not answer) goes on alone and says what fails by exit code 127.
 * ERR_NOT_FOUND, reason PROGRAM_NOT_FOUND or DIRECTORY_NOT_FOUND; ERR_FAILED_PRECONDITION, reason
 * PROGRAM_NOT_EXECUTABLE. The caller reaps '*ret_pid' through '*ret_pidfd', which is its to close. */
#define SPAWN_WAIT_MS 100
int spawn_start(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct err *err);
