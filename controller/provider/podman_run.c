#include "controller/provider/podman_run.h"

#include "controller/provider/oci_cli.h"
#include "shared/base/log.h"
#include "shared/base/parse.h"

#include <inttypes.h>
#include <string.h>

#define LIMIT_TRIES 5
#define LIMIT_FLOOR 1024

/* The engine's complaints that mean: it is as wanted already. */
static bool is_done_already(enum step_action action, const char *reason)
{
	switch (action) {
	case STEP_CONTAINER_KILL:
		return strcmp(reason, "NODE_NOT_RUNNING") == 0 ||
		       strcmp(reason, "NODE_STATE_IMPROPER") == 0;
	case STEP_CONTAINER_UNPAUSE:
		return strcmp(reason, "NODE_STATE_IMPROPER") == 0;
	case STEP_CONTAINER_DELETE:
		return strcmp(reason, "NODE_NOT_FOUND") == 0;
	case STEP_NETWORK_DELETE:
		return strcmp(reason, "NETWORK_NOT_FOUND") == 0;
	case STEP_VOLUME_DELETE:
		return strcmp(reason, "VOLUME_NOT_FOUND") == 0;
	default:
		return false;
	}
}

/* `image exists` says no by its exit code alone. */
static int check_image(struct provider *p, const struct step *step, struct deadline by,
		       struct err *err)
{
	struct err why;

	if (oci_run(p, &step->argv, by, NULL, &why) == 0)
		return 0;
	if (strcmp(why.reason, "ENGINE_FAILED") == 0) {
		err_set(err, ERR_NOT_FOUND, 0, "no image '%s'",
			step->argv.items[step->argv.count - 1]);
		return err_explain(err, "IMAGE_NOT_FOUND",
				   "run 'berth build node-image' or 'make image', or name another "
				   "with --image");
	}
	*err = why;
	return -1;
}

/* A copy of the argv with the values of "--ulimit=" words halved; false when there are none left to
 * halve. */
static bool halve_limits(const struct strv *argv, struct strv *ret)
{
	static const char *const limits[] = { "--ulimit=nofile=", "--ulimit=nproc=" };
	bool halved = false;

	for (size_t i = 0; i < argv->count; i++) {
		const char *word = argv->items[i], *limit = NULL, *colon = strrchr(word, ':');
		int64_t value;

		for (size_t k = 0; k < ARRAY_LEN(limits); k++) {
			if (strncmp(word, limits[k], strlen(limits[k])) == 0)
				limit = limits[k];
		}
		if (!limit || !colon || !parse_int(colon + 1, 0, INT64_MAX, &value) ||
		    value / 2 < LIMIT_FLOOR) {
			strv_add(ret, word);
			continue;
		}
		strv_addf(ret, "%s%" PRId64 ":%" PRId64, limit, value / 2, value / 2);
		halved = true;
	}
	return halved && !strv_failed(ret);
}

/* Only after a failure that comes behind the container's making: so it is the one we made. */
static int remove_half_made(struct provider *p, const char *node, struct deadline by,
			    struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	for (const char *const *word = (const char *const[]){ "podman", "rm", "--force",
							      "--volumes", "--time=0", "--", NULL };
	     *word; word++)
		strv_add(&argv, *word);
	strv_add(&argv, node);
	return oci_run(p, &argv, by, NULL, err);
}

/* The limits that the engine's helpers run under are lower than what a shell shows (test-hosts.md):
 * step down until they fit. */
static int create(struct provider *p, const struct step *step, struct deadline by, struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	strv_add_all(&argv, &step->argv);
	for (int tries = 1;; tries++) {
		struct strv lower = { 0 };
		struct err ignored;

		if (oci_run(p, &argv, by, NULL, err) == 0)
			return 0;
		if (strcmp(err->reason, "LIMIT_TOO_HIGH") != 0 || tries == LIMIT_TRIES ||
		    !halve_limits(&argv, &lower)) {
			strv_release(&lower);
			return -1;
		}
		strv_release(&argv);
		argv = lower;
		log_debug("podman: '%s' again with lower limits", step->node);
		if (remove_half_made(p, step->node, by, &ignored) < 0)
			return -1;
	}
}

int podman_run(struct provider *p, const struct step *step, struct deadline by, struct err *err)
{
	struct err why;
	int rc;

	if (step->action == STEP_IMAGE_CHECK)
		return check_image(p, step, by, err);
	if (step->action == STEP_CONTAINER_CREATE)
		rc = create(p, step, by, &why);
	else
		rc = oci_run(p, &step->argv, by, NULL, &why);
	if (rc == 0 || is_done_already(step->action, why.reason))
		return 0;
	*err = why;
	return -1;
}
