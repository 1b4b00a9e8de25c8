/*
 * A tar archive from a node, unpacked into a directory below a fresh one, and again over what it left there.
 * Whatever it says, nothing beside that directory changes.
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

static void unpack_into(int dir, const uint8_t *bytes, size_t len, struct copy_unpack how)
{
	struct copy_memory memory = { bytes, len };
	struct copy_totals totals;
	struct err err;

	how.dir_fd = dir;
	how.source = copy_source_memory;
	how.arg = &memory;
	if (copy_unpack(&how, &totals, &err) < 0)
		PROMISE(err.code != ERR_OK && err.msg[0]);
	PROMISE(count_entries(fuzz_dir()) == 3); /* ".", ".." and "inner" */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char inner[80];
	int dir;

	snprintf(inner, sizeof(inner), "%s/inner", fuzz_dir());
	PROMISE(mkdir(inner, 0700) == 0);
	dir = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PROMISE(dir >= 0);
	unpack_into(dir, bytes, len, (struct copy_unpack){ .name = "", .max_entries = 100 });
	/* Again, over its own links, as an older kernel makes us walk; and only what is in it. */
	unpack_into(dir, bytes, len,
		    (struct copy_unpack){ .name = "", .steps = true, .keep_owner = true });
	unpack_into(dir, bytes, len, (struct copy_unpack){ .name = ".", .max_entries = 2 });
	close(dir);
	fuzz_dir_clear();
	return 0;
}
