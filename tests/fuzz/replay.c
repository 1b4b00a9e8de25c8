/* A fuzz target over its committed corpus, tests/fuzz/corpora/TARGET: what was found once stays found. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define INPUT_MAX (64 * 1024)

static void run_file(const char *dir, const char *name)
{
	static uint8_t bytes[INPUT_MAX];
	char path[4096];
	uint8_t *exact; /* so that a sanitizer sees one byte too many */
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	PROMISE(file);
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	exact = malloc(len ? len : 1);
	PROMISE(exact);
	memcpy(exact, bytes, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

/* One test a program; its name on standard error first, so that a crash says where. */
int main(int argc, char **argv)
{
	const char *target = strstr(argv[0], "/test_");
	struct dirent **names = NULL;
	char dir[256];
	int count, files = 0;

	(void)argc;
	PROMISE(target);
	snprintf(dir, sizeof(dir), "tests/fuzz/corpora/%s", target + strlen("/test_"));
	count = scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.') {
			fprintf(stderr, "# %s/%s\n", dir, names[i]->d_name);
			run_file(dir, names[i]->d_name);
			files++;
		}
		free(names[i]);
	}
	free(names);
	printf("1..1\n%s 1 - %d inputs of %s\n", files ? "ok" : "not ok", files, dir);
	return files ? 0 : 1;
}
