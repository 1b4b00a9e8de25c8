#include "agent/streams/logs_dir.h"

#include "shared/base/cleanup.h"
#include "shared/base/parse.h"
#include "shared/base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UID_MAX   128
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static inline __attribute__((unused)) void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* A stream over the directory's entries; 'fd' stays the caller's. */
static DIR *list_dir(int fd)
{
	int own = openat(fd, ".", DIR_FLAGS);
	DIR *dir = own >= 0 ? fdopendir(own) : NULL;

	if (own >= 0 && !dir)
		close(own);
	return dir;
}

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- the pod ------------------------------------------------------------------------------------------ */

static bool is_uid(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > UID_MAX || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '.')
			return false;
	}
	return true;
}

/* A clock that was set back makes a directory of 1970, or of before. */
static bool is_better(const char *name, int64_t ns, const char *best, int64_t best_ns)
{
	if (!best[0] || ns != best_ns)
		return !best[0] || ns > best_ns;
	return strcmp(name, best) > 0;
}

static int find_pod(int root_fd, const char *prefix, const char *uid, char ret_name[NAME_MAX + 1])
{
	cleanup_with(dir) DIR *dir = list_dir(root_fd);
	size_t len = strlen(prefix);
	struct dirent *entry;
	int64_t best_ns = 0;
	struct stat st;

	ret_name[0] = '\0';
	while (dir && (entry = readdir(dir))) {
		int64_t ns;

		if (strncmp(entry->d_name, prefix, len) != 0 || !is_uid(entry->d_name + len) ||
		    fstatat(root_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISDIR(st.st_mode))
			continue;
		ns = strcmp(entry->d_name + len, uid) == 0 ? INT64_MAX : ns_of(st.st_mtim);
		if (!is_better(entry->d_name, ns, ret_name, best_ns))
			continue;
		best_ns = ns;
		memcpy(ret_name, entry->d_name, strlen(entry->d_name) + 1);
	}
	return ret_name[0] ? 0 : -1;
}

int log_pod_open(const char *root, const char *namespace, const char *pod, const char *uid,
		 char ret_uid[130], int *ret_fd, struct err *err)
{
	char prefix[64 + 254 + 3], name[NAME_MAX + 1];
	cleanup_fd int root_fd = -1, fd = -1;

	if (!name_is_label(namespace) || !name_is_subdomain(pod))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s/%s' is no pod's name", namespace,
			       pod);
	snprintf(prefix, sizeof(prefix), "%s_%s_", namespace, pod);
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd >= 0 && find_pod(root_fd, prefix, uid, name) == 0)
		fd = openat(root_fd, name, DIR_FLAGS);
	if (fd < 0) {
		err_set(err, ERR_NOT_FOUND, 0, "there is no log of a pod '%s/%s' on this node",
			namespace, pod);
		return err_explain(err, "POD_LOG_NOT_FOUND",
				   "'berth get pods -A' lists what there is, and where");
	}
	snprintf(ret_uid, 130, "%s", name + strlen(prefix));
	*ret_fd = take_fd(&fd);
	return 0;
}

/* --- the container ------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in order. */
static void list_containers(int pod_fd, struct strv *ret)
{
	cleanup_with(dir) DIR *dir = list_dir(pod_fd);
	struct dirent *entry;
	struct stat st;

	while (dir && (entry = readdir(dir))) {
		if (name_is_label(entry->d_name) &&
		    fstatat(pod_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode))
			strv_add(ret, entry->d_name);
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
}

static int not_named(const struct strv *names, struct err *err)
{
	cleanup_with(text) struct text list = { 0 };

	for (size_t i = 0; i < names->count; i++)
		text_addf(&list, "%s%s", i ? ", " : "", names->items[i]);
	err_set(err, ERR_INVALID_ARGUMENT, 0, "the pod has several containers: %.300s",
		text_str(&list));
	return err_explain(err, "CONTAINER_REQUIRED", "name one with --container");
}

static int no_container(const char *container, const struct strv *names, struct err *err)
{
	cleanup_with(text) struct text list = { 0 };

	for (size_t i = 0; i < names->count; i++)
		text_addf(&list, "%s%s", i ? ", " : "; there is one of: ", names->items[i]);
	err_set(err, ERR_NOT_FOUND, 0, "there is no log of a container '%.64s'%.300s", container,
		text_str(&list));
	return err_explain(err, "CONTAINER_LOG_NOT_FOUND", NULL);
}

int log_container_open(int pod_fd, const char *container, char ret_name[64], int *ret_fd,
		       struct err *err)
{
	cleanup_with(strv) struct strv names = { 0 };
	cleanup_fd int fd = -1;

	if (*container && !name_is_label(container))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%.64s' is no container's name",
			       container);
	list_containers(pod_fd, &names);
	if (strv_failed(&names))
		return err_oom(err);
	if (!*container && names.count > 1)
		return not_named(&names, err);
	if (!*container && names.count == 1)
		container = names.items[0];
	if (*container)
		fd = openat(pod_fd, container, DIR_FLAGS);
	if (fd < 0)
		return no_container(container, &names, err);
	snprintf(ret_name, 64, "%s", container);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* --- its files ---------------------------------------------------------------------------------------- */

void log_segments_release(struct log_segments *list)
{
	free(list->items);
	*list = (struct log_segments){ 0 };
}

/* "3.log" and "3.log.20260131-120000"; what is compressed is left alone, and what rotation is just
 * writing too. */
static bool parse_name(const char *name, struct log_segment *ret)
{
	size_t number = strspn(name, "0123456789"), len = strlen(name);
	const char *rest = name + number;
	int64_t attempt;

	if (number == 0 || number > 9 || len >= sizeof(ret->name) ||
	    strncmp(rest, ".log", 4) != 0 || (rest[4] && rest[4] != '.'))
		return false;
	rest += 4;
	if (rest[0] && (!isdigit((unsigned char)rest[1]) ||
			strspn(rest + 1, "0123456789-.") != strlen(rest + 1)))
		return false;
	memcpy(ret->name, name, len + 1);
	ret->name[number] = '\0';
	if (!parse_int(ret->name, 0, 999999999, &attempt))
		return false;
	ret->name[number] = '.';
	ret->attempt = (uint32_t)attempt;
	ret->current = rest[0] == '\0';
	return true;
}

static void take_stat(const struct stat *st, struct log_segment *segment)
{
	segment->dev = st->st_dev;
	segment->ino = st->st_ino;
	segment->size = st->st_size;
	segment->mtime_ns = ns_of(st->st_mtim);
	segment->ctime_ns = ns_of(st->st_ctim);
}

static int by_age(const void *a, const void *b)
{
	const struct log_segment *x = a, *y = b;

	if (x->attempt != y->attempt)
		return x->attempt < y->attempt ? -1 : 1;
	if (x->current != y->current)
		return x->current ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int add_segment(struct log_segments *list, const struct log_segment *segment,
		       struct err *err)
{
	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 8;
		struct log_segment *items = realloc(list->items, cap * sizeof(*items));

		if (!items)
			return err_oom(err);
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count++] = *segment;
	return 0;
}

int log_segments_list(int dir_fd, struct log_segments *ret, struct err *err)
{
	cleanup_with(log_segments) struct log_segments list = { 0 };
	cleanup_with(dir) DIR *dir = list_dir(dir_fd);
	struct log_segment segment;
	struct dirent *entry;
	struct stat st;

	while (dir && (entry = readdir(dir))) {
		if (!parse_name(entry->d_name, &segment) ||
		    fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!S_ISREG(st.st_mode)) {
			list.has_others = true;
			continue;
		}
		take_stat(&st, &segment);
		if (add_segment(&list, &segment, err) < 0)
			return -1;
	}
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), by_age);
	*ret = list;
	list = (struct log_segments){ 0 };
	return 0;
}

int log_segment_open(int dir_fd, const struct log_segment *segment, int *ret_fd, struct err *err)
{
	/* Whatever is there: not waited for, and no terminal of ours. */
	cleanup_fd int fd = openat(dir_fd, segment->name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno != ENOENT && errno != ELOOP)
		return err_set(err, ERR_INTERNAL, errno, "cannot open a log file");
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != segment->dev || st.st_ino != segment->ino)
		return err_set(err, ERR_ABORTED, 0, "a log file was replaced");
	/* A second name may be that of a file the container must not see. */
	if (!S_ISREG(st.st_mode) || st.st_nlink > 1) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "a log file is a link, which is not read");
		return err_explain(err, "LOG_NOT_A_FILE", NULL);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}
