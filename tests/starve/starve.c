/* The allocator of build/berthd-starved: glibc's, but for the one allocation that a test has chosen. */
#include "tests/starve/starve.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static struct starve *starve; /* NULL: nobody chooses */

__attribute__((constructor)) static void map_choice(void)
{
	const char *path = getenv(STARVE_ENV);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1, nobody = 0;
	struct starve *mapped;

	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof(*mapped), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	/* A program that the agent starts finds that the place is taken. */
	if (mapped != MAP_FAILED &&
	    atomic_compare_exchange_strong(&mapped->pid, &nobody, (int)getpid()))
		starve = mapped;
}

/* Whether this is the one. */
static int is_refused(void)
{
	long chosen = starve ? atomic_load(&starve->fails) : 0;

	if (!chosen || syscall(SYS_gettid) != atomic_load(&starve->pid))
		return 0;
	if (atomic_fetch_add(&starve->seen, 1) + 1 != chosen)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return is_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return is_refused() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
	return is_refused() ? NULL : __libc_realloc(block, size);
}
