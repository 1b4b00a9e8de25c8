/*
 * What a killed berth leaves behind: engine calls that go on without it. They are known by the cluster's
 * label in their arguments, which the processes that stay (a container's monitor) do not have.
 */
#include "controller/cluster/apply.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_MS 20000
#define LOOK_MS  50

/* Its own words end with NUL bytes. */
static bool has_word(const char *words, size_t len, const char *word)
{
	size_t word_len = strlen(word) + 1;

	for (size_t at = 0; at + word_len <= len; at += strlen(words + at) + 1) {
		if (memcmp(words + at, word, word_len) == 0)
			return true;
	}
	return false;
}

static bool process_has_word(int proc, const char *pid, const char *word)
{
	char path[64], words[16384];
	ssize_t len;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/cmdline", pid) >= sizeof(path))
		return false;
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, words, sizeof(words) - 1);
	close(fd);
	if (len <= 0)
		return false;
	words[len] = '\0';
	return has_word(words, (size_t)len, word);
}

static bool any_process(const char *word)
{
	DIR *dir = opendir("/proc");
	bool found = false;
	struct dirent *entry;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			found = process_has_word(dirfd(dir), entry->d_name, word);
	}
	closedir(dir);
	return found;
}

void wait_for_orphans(const char *cluster, struct deadline by)
{
	cleanup_free char *word = text_format("--label=io.berth.cluster=%s", cluster);

	by = deadline_min(by, deadline_in_ms(LIMIT_MS));
	while (word && any_process(word) && !deadline_is_over(by))
		poll(NULL, 0, LOOK_MS);
}
