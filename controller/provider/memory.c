#include "controller/provider/memory.h"

#include "shared/base/deadline.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX ((size_t)4 * 1024 * 1024)

static int64_t now_s(void)
{
	return clock_wall_ns() / 1000000000;
}

static char *path_of(const char *dir, const char *name)
{
	return text_format("%s/engine/%s", dir, name);
}

/* "1 SECOND STAMP-BYTES ANSWER-BYTES", then both. The answer, or NULL. */
static const char *answer_in(const char *text, size_t len, const char *stamp, int64_t max_age_s,
			     size_t *ret_len)
{
	size_t stamp_len, answer_len;
	int64_t kept_s, age_s;
	int head = 0;

	if (sscanf(text, "1 %" SCNd64 " %zu %zu%n", &kept_s, &stamp_len, &answer_len, &head) != 3 ||
	    text[head] != '\n')
		return NULL;
	head++;
	age_s = now_s() - kept_s;
	if (age_s < 0 || age_s > max_age_s)
		return NULL;
	if (stamp_len > len || answer_len > len || (size_t)head + stamp_len + answer_len != len)
		return NULL;
	if (stamp_len != strlen(stamp) || memcmp(text + head, stamp, stamp_len) != 0)
		return NULL;
	*ret_len = answer_len;
	return text + head + stamp_len;
}

bool memory_recall(const char *dir, const char *name, const char *stamp, int64_t max_age_s,
		   struct text *ret)
{
	cleanup_free char *path = path_of(dir, name), *text = NULL;
	const char *answer;
	struct err ignored;
	size_t len;

	if (!path || file_read(path, ANSWER_MAX, &text, &len, &ignored) < 0)
		return false;
	answer = answer_in(text, len, stamp, max_age_s, &len);
	if (!answer)
		return false;
	log_debug("the engine's '%s' is as it was", name);
	text_add_bytes(ret, answer, len);
	return !text_failed(ret);
}

void memory_keep(const char *dir, const char *name, const char *stamp, const struct text *answer)
{
	cleanup_free char *path = path_of(dir, name), *parent = text_format("%s/engine", dir);
	cleanup_with(text) struct text all = { 0 };
	struct err ignored;

	text_addf(&all, "1 %" PRId64 " %zu %zu\n%s", now_s(), strlen(stamp), answer->len, stamp);
	text_add_bytes(&all, text_str(answer), answer->len);
	if (!path || !parent || text_failed(&all) || all.len > ANSWER_MAX ||
	    file_make_directories(parent, &ignored) < 0 ||
	    file_replace_cache(path, all.data, all.len, &ignored) < 0)
		log_debug("the engine's '%s' cannot be kept", name);
}
