/*
 * A tar archive from a node, unpacked into a directory below a fresh one. Whatever it says, nothing beside
 * that directory changes.
 */
#include "shared/base/cleanup.h"
#include "shared/copy/unpack.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t count_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t count = 0;

	while (d && readdir(d))
		count++;
	if (d)
		closedir(d);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct copy_memory memory = { bytes, len };
	struct copy_unpack unpack = {
		.name = "", .max_entries = 100, .source = copy_source_memory, .arg = &memory
	};
	struct copy_totals totals;
	char inner[80];
	struct err err;

	snprintf(inner, sizeof(inner), "%s/inner", fuzz_dir());
	PROMISE(mkdir(inner, 0700) == 0);
	unpack.dir_fd = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PROMISE(unpack.dir_fd >= 0);
	if (copy_unpack(&unpack, &totals, &err) < 0)
		PROMISE(err.code != ERR_OK && err.msg[0]);
	close(unpack.dir_fd);
	PROMISE(count_entries(fuzz_dir()) == 3); /* ".", ".." and "inner" */
	fuzz_dir_clear();
	return 0;
}
