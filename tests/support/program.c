#include "tests/support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void program_beside(const char *name, char *ret, size_t size)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *tests;

	assert_true(len > 0);
	self[len] = '\0';
	tests = strstr(self, "/tests/");
	assert_non_null(tests);
	*tests = '\0';
	assert_true((size_t)snprintf(ret, size, "%s/%s", self, name) < size);
}

bool process_is_alive(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d %*s %c", &state) != 1)
		state = 0;
	fclose(f);
	return state && state != 'Z';
}
