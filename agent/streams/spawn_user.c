#include "agent/streams/spawn.h"

#include "shared/base/cleanup.h"
#include "shared/base/parse.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void close_file(FILE *file)
{
	if (file)
		fclose(file);
}
DEFINE_CLEANUP(file, FILE *, close_file)

/* NULL when there is none, or when it is nothing that can be read without waiting. */
static FILE *open_table(const char *etc, const char *name)
{
	cleanup_free char *path = text_format("%s/%s", etc, name);
	cleanup_fd int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	struct stat st;
	FILE *file;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	file = fdopen(fd, "re");
	if (file)
		take_fd(&fd);
	return file;
}

static int not_found(const char *what, const char *name, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, 0, "no %s '%s'", what, name);
	return err_explain(err, "USER_NOT_FOUND", NULL);
}

/* By name, or by number: a number needs no entry. */
static int find_user(const char *etc, const char *name, struct spawn_user *ret, struct err *err)
{
	cleanup_with(file) FILE *table = open_table(etc, "passwd");
	int64_t number = -1;
	struct passwd *entry;
	bool is_number = parse_int(name, 0, UINT32_MAX - 1, &number);

	while (table && (entry = fgetpwent(table))) {
		if (is_number ? entry->pw_uid != number : strcmp(entry->pw_name, name) != 0)
			continue;
		ret->uid = entry->pw_uid;
		ret->gid = entry->pw_gid;
		snprintf(ret->name, sizeof(ret->name), "%s", entry->pw_name);
		snprintf(ret->home, sizeof(ret->home), "%s", entry->pw_dir);
		return 0;
	}
	if (!is_number)
		return not_found("user", name, err);
	ret->uid = (uid_t)number;
	ret->gid = 0;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	snprintf(ret->home, sizeof(ret->home), "/");
	return 0;
}

static int find_group(const char *etc, const char *name, struct spawn_user *ret, struct err *err)
{
	cleanup_with(file) FILE *table = open_table(etc, "group");
	struct group *entry;
	int64_t number;

	if (parse_int(name, 0, UINT32_MAX - 1, &number)) {
		ret->gid = (gid_t)number;
		return 0;
	}
	while (table && (entry = fgetgrent(table))) {
		if (strcmp(entry->gr_name, name) == 0) {
			ret->gid = entry->gr_gid;
			return 0;
		}
	}
	return not_found("group", name, err);
}

/* The further groups that list the user. */
static void find_groups(const char *etc, struct spawn_user *user)
{
	cleanup_with(file) FILE *table = open_table(etc, "group");
	struct group *entry;

	while (table && user->groups_count < ARRAY_LEN(user->groups) &&
	       (entry = fgetgrent(table))) {
		for (char **member = entry->gr_mem; *member; member++) {
			if (strcmp(*member, user->name) != 0)
				continue;
			user->groups[user->groups_count++] = entry->gr_gid;
			break;
		}
	}
}

int spawn_user_find(const char *etc, const char *user, struct spawn_user *ret, struct err *err)
{
	struct spawn_user found = { .name = "root", .home = "/root" };
	const char *colon = user ? strchr(user, ':') : NULL;
	char name[64];

	if (!user || !user[0]) {
		*ret = found;
		return 0;
	}
	found.change = true;
	if (strcspn(user, ":") >= sizeof(name))
		return not_found("user", user, err);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(user, ":"), user);
	if (find_user(etc, name, &found, err) < 0)
		return -1;
	/* With a group named, it is the only one, as in `docker exec --user`. */
	if (colon && find_group(etc, colon + 1, &found, err) < 0)
		return -1;
	if (!colon)
		find_groups(etc, &found);
	*ret = found;
	return 0;
}
