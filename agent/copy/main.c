/*
 * berthd-copy: what reads and writes files for the agent (service Files), one short-lived process a
 * copy. It is apart because libarchive and hostile archives have no place in the worker, and because a
 * file system that hangs may hang this process and nothing else. Archives go through stdin and
 * stdout; why it failed goes to stderr, and EXIT_BASE + the error's code is its exit code.
 */
#include "agent/copy/list.h"
#include "shared/base/cleanup.h"
#include "shared/base/parse.h"
#include "shared/copy/path.h"
#include "shared/copy/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_BASE  100
#define PIPE_BYTES (1024 * 1024)

static const char usage[] = "usage: berthd-copy out follow|nofollow PATH\n"
			    "       berthd-copy in keep-owner|root DIRECTORY NAME\n"
			    "       berthd-copy list DEPTH PATH\n";

/* Fewer turns of the agent's loop; a pipe that cannot be enlarged still works. */
static void enlarge_pipe(int fd)
{
	(void)!fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

static int copy_out(bool follow, const char *path, struct err *err)
{
	char name[COPY_NAME_BYTES];
	struct copy_totals totals;
	struct copy_pack pack = { .path = path, .name = name, .follow = follow };
	int fd = STDOUT_FILENO;

	if (!copy_base_name(path, name))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "the path is too long");
	pack.sink = copy_sink_fd;
	pack.arg = &fd;
	enlarge_pipe(fd);
	return copy_pack(&pack, &totals, err);
}

static int open_directory(const char *directory, int *ret_fd, struct err *err)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, 0, "there is no directory '%s'", directory);
	if (fd < 0 && errno == ENOTDIR) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "'%s' is no directory", directory);
		return err_explain(err, "NOT_A_DIRECTORY", NULL);
	}
	if (fd < 0)
		return err_set(err, ERR_PERMISSION_DENIED, errno, "open directory '%s'", directory);
	*ret_fd = fd;
	return 0;
}

static int copy_in(bool keep_owner, const char *directory, const char *name, struct err *err)
{
	struct copy_fd source = { .fd = STDIN_FILENO };
	struct copy_unpack unpack = { .name = name, .keep_owner = keep_owner, .sync = true };
	cleanup_fd int fd = -1;
	struct copy_totals totals;
	int result;

	if (open_directory(directory, &fd, err) < 0)
		return -1;
	unpack.dir_fd = fd;
	unpack.source = copy_source_fd;
	unpack.arg = &source;
	enlarge_pipe(source.fd);
	result = copy_unpack(&unpack, &totals, err);
	copy_fd_release(&source);
	return result;
}

static int run(int argc, char **argv, struct err *err)
{
	const char *verb = argc > 1 ? argv[1] : "";
	int64_t depth;

	if (strcmp(verb, "out") == 0 && argc == 4)
		return copy_out(strcmp(argv[2], "follow") == 0, argv[3], err);
	if (strcmp(verb, "in") == 0 && argc == 5)
		return copy_in(strcmp(argv[2], "keep-owner") == 0, argv[3], argv[4], err);
	if (strcmp(verb, "list") == 0 && argc == 4 && parse_int(argv[2], 0, LIST_DEPTH_MAX, &depth))
		return list_files(argv[3], (unsigned)depth, stdout, err);
	return err_set(err, ERR_INVALID_ARGUMENT, 0, "%s", usage);
}

int main(int argc, char **argv)
{
	struct err err = { 0 };

	if (run(argc, argv, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.msg);
	return EXIT_BASE + (int)err.code;
}
