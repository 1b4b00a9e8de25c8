/* A program from its description: who, where, with what environment and which descriptors. */
#include "agent/streams/child_impl.h"

#include "agent/streams/spawn.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define PLAIN_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* A pipe that holds more than the usual 64 KiB takes fewer turns of the loop for the same bytes. */
#define PIPE_BYTES (256 * 1024)

/* The program's ends of its three descriptors; closed once it has started. */
struct ends {
	int fds[3];
};

static void ends_close(struct ends *ends)
{
	for (int i = 0; i < 3; i++) {
		bool twice = (i > 0 && ends->fds[i] == ends->fds[0]) ||
			     (i > 1 && ends->fds[i] == ends->fds[1]);

		if (ends->fds[i] >= 0 && !twice)
			close(ends->fds[i]);
	}
}

static void cleanup_ends(struct ends *ends)
{
	ends_close(ends);
}

/* --- environment ----------------------------------------------------------------------------------- */

/* A later one of the same name takes the place of the earlier. */
static void set_variable(struct strv *env, const char *assignment)
{
	size_t name = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < env->count; i++) {
		char *copy;

		if (strncmp(env->items[i], assignment, name) != 0)
			continue;
		copy = strdup(assignment);
		env->failed |= !copy;
		if (copy) {
			free(env->items[i]);
			env->items[i] = copy;
		}
		return;
	}
	strv_add(env, assignment);
}

/* The node's way out, which its engine has told the agent (CN-114). */
static void add_proxies(struct strv *env)
{
	static const char *const names[] = { "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
					     "http_proxy", "https_proxy", "no_proxy" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			strv_addf(env, "%s=%s", names[i], value);
	}
}

static int make_env(const struct child_spec *spec, const struct spawn_user *user, struct strv *ret,
		    struct err *err)
{
	strv_add(ret, PLAIN_PATH);
	strv_addf(ret, "HOME=%s", user->home);
	strv_addf(ret, "USER=%s", user->name);
	if (spec->tty)
		strv_add(ret, "TERM=xterm");
	add_proxies(ret);
	for (const char *const *more = spec->env; more && *more; more++)
		set_variable(ret, *more);
	return strv_failed(ret) ? err_oom(err) : 0;
}

/* --- descriptors ----------------------------------------------------------------------------------- */

/* '*ours' does not block, '*theirs' does. */
static int make_pipe(int *ours, int our_end, int *theirs, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a pipe");
	fcntl(fds[our_end], F_SETFL, O_NONBLOCK | (our_end ? O_WRONLY : O_RDONLY));
	/* The kernel may allow less; then it stays as it is. */
	fcntl(fds[our_end], F_SETPIPE_SZ, PIPE_BYTES);
	*ours = fds[our_end];
	*theirs = fds[!our_end];
	return 0;
}

static int make_pipes(struct child *c, const struct child_spec *spec, struct ends *ends,
		      struct err *err)
{
	if (spec->input) {
		if (make_pipe(&c->in_fd, 1, &ends->fds[0], err) < 0)
			return -1;
	} else {
		ends->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (ends->fds[0] < 0)
			return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "open /dev/null");
	}
	if (make_pipe(&c->out[0].fd, 0, &ends->fds[1], err) < 0)
		return -1;
	return make_pipe(&c->out[1].fd, 0, &ends->fds[2], err);
}

static int make_terminal(struct child *c, const struct child_spec *spec, struct ends *ends,
			 struct err *err)
{
	struct winsize size = {
		.ws_row = (unsigned short)(spec->rows ?: 24),
		.ws_col = (unsigned short)(spec->columns ?: 80),
	};
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), slave = -1;
	int off = 0;

	c->out[0].fd = master;
	if (master >= 0 && ioctl(master, TIOCSPTLCK, &off) == 0)
		slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	/* A descriptor for each way: the loop follows each by itself. */
	if (slave >= 0)
		c->in_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	ends->fds[0] = ends->fds[1] = ends->fds[2] = slave;
	if (c->in_fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a terminal");
	ioctl(master, TIOCSWINSZ, &size);
	return 0;
}

/* --- start ----------------------------------------------------------------------------------------- */

static struct child *child_new(struct streams *streams, const struct child_spec *spec)
{
	struct child *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->streams = streams;
	c->kind = spec->kind;
	c->helper = spec->helper;
	c->tty = spec->tty;
	c->pidfd = c->in_fd = -1;
	c->out[0] = (struct child_out){ .child = c, .fd = -1, .channel = STREAM_OUT };
	c->out[1] = (struct child_out){
		.child = c, .fd = -1, .channel = STREAM_ERR, .said = spec->helper
	};
	return c;
}

static void cleanup_entry(struct cgroup_entry *entry)
{
	cgroup_entry_close(entry);
}

static int start(struct child *c, const struct child_spec *spec, struct err *err)
{
	__attribute__((cleanup(cleanup_ends))) struct ends ends = { { -1, -1, -1 } };
	__attribute__((cleanup(cleanup_entry))) struct cgroup_entry cgroup = CGROUP_NOWHERE;
	cleanup_with(strv) struct strv env = { 0 };
	struct spawn_user user;
	struct spawn spawn = {
		.argv = spec->argv,
		.directory = spec->directory,
		.user = &user,
		.tty = spec->tty,
		.cgroup = &cgroup,
	};

	if (spawn_user_find("/etc", spec->user, &user, err) < 0 ||
	    make_env(spec, &user, &env, err) < 0)
		return -1;
	if ((spec->tty ? make_terminal(c, spec, &ends, err) : make_pipes(c, spec, &ends, err)) <
		    0 ||
	    children_make_cgroup(c->streams, spec->helper, &cgroup, c->cgroup, err) < 0)
		return -1;
	spawn.env = (const char *const *)env.items;
	memcpy(spawn.fds, ends.fds, sizeof(spawn.fds));
	return spawn_start(&spawn, &c->pid, &c->pidfd, err);
}

int child_stream_open(struct streams *streams, const struct child_spec *spec, enum method_role role,
		      struct stream **ret_stream, struct err *err)
{
	cleanup_with(child) struct child *c = NULL;

	if (streams_make_room(streams, err) < 0)
		return -1;
	c = child_new(streams, spec);
	if (!c)
		return err_oom(err);
	if (start(c, spec, err) < 0 || child_watch(c, err) < 0 ||
	    stream_new(streams, child_ops(c), c, role, &c->stream, err) < 0)
		return -1;
	*ret_stream = c->stream;
	TAKE(c);
	return 0;
}
