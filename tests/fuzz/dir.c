#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level ? remove(path) : 0;
}

static void remove_all(void)
{
	fuzz_dir_clear();
	rmdir(fuzz_dir());
}

const char *fuzz_dir(void)
{
	static char path[64];

	if (!path[0]) {
		snprintf(path, sizeof(path), "/dev/shm/berth-fuzz-XXXXXX");
		PROMISE(mkdtemp(path));
		atexit(remove_all);
	}
	return path;
}

void fuzz_dir_clear(void)
{
	nftw(fuzz_dir(), remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fuzz_dir_write(const char *path, const void *bytes, size_t len)
{
	char full[4096];
	int fd;

	PROMISE((size_t)snprintf(full, sizeof(full), "%s/%s", fuzz_dir(), path) < sizeof(full));
	for (char *slash = full + strlen(fuzz_dir()) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	PROMISE(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}
