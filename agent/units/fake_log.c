#include "agent/units/fake_log.h"

#include "shared/base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>

int fake_log_open(const char *path, fake_log_each_fn *each, void *arg)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	char verb[16], unit[64];
	FILE *f = fopen(path, "re");

	while (f && fscanf(f, "%15s %63s", verb, unit) == 2)
		each(arg, verb, unit);
	if (f)
		fclose(f);
	return take_fd(&fd);
}

void fake_log_add(int fd, const char *verb, const char *unit)
{
	if (fd >= 0)
		dprintf(fd, "%s %s\n", verb, unit);
}
