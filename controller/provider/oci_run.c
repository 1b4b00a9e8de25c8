#include "controller/provider/oci_plan.h"
#include "shared/base/log.h"
#include "shared/base/parse.h"

#include <inttypes.h>
#include <string.h>

#define CREATE_TRIES 6
#define LIMIT_FLOOR  1024
/* What is tried first where nothing is known of the limits. */
#define LIMIT_WORDS "--ulimit=nofile=65536:65536", "--ulimit=nproc=65536:65536"
#define AGAIN_MS    1000
#define PULL_AGAIN  4

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

static int check_image(struct provider *p, const struct step *step, struct deadline by,
		       struct err *err)
{
	struct err why;

	if (oci_run(p, &step->argv, by, NULL, &why) == 0)
		return 0;
	if (strcmp(why.reason, "IMAGE_NOT_FOUND") == 0 ||
	    (oci_flavour(p)->image_check_is_silent && strcmp(why.reason, "ENGINE_FAILED") == 0)) {
		err_set(err, ERR_NOT_FOUND, 0, "no image '%s'",
			step->argv.items[step->argv.count - 1]);
		return err_explain(err, "IMAGE_NOT_FOUND",
				   "run 'berth build node-image' or 'make image', or name another "
				   "with --image");
	}
	*err = why;
	return -1;
}

/* CN-130 */
static int pull_image(struct provider *p, const struct step *step, struct deadline by,
		      struct err *err)
{
	for (int tries = 1;; tries++) {
		if (oci_run(p, &step->argv, by, NULL, err) == 0)
			return 0;
		if (strcmp(err->reason, "REGISTRY_UNREACHABLE") != 0 || tries > PULL_AGAIN)
			return -1;
		log_debug("%s: pull again after %d s: %s", p->ops->name, tries, err->msg);
		if (!oci_wait(p, (int64_t)tries * AGAIN_MS, by) || deadline_is_over(by))
			return -1;
	}
}

static bool names_limits(const struct strv *argv)
{
	for (size_t i = 0; i < argv->count; i++) {
		if (strncmp(argv->items[i], "--ulimit=", strlen("--ulimit=")) == 0)
			return true;
	}
	return false;
}

/* Another machine's limits are its own: none were asked for, and the engine's are too high for it. */
static bool name_limits(const struct strv *argv, struct strv *ret)
{
	bool named = false;

	for (size_t i = 0; i < argv->count; i++) {
		if (!named && strcmp(argv->items[i], "--") == 0) {
			oci_add_words(ret, OCI_WORDS(LIMIT_WORDS));
			named = true;
		}
		strv_add(ret, argv->items[i]);
	}
	return named && !strv_failed(ret);
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

/* Of another machine it is not known which of the things that nodes get from theirs it has: what the engine
 * does not find there is left out. Only what we ask for by ourselves. */
static bool leave_out(const struct err *failed, const struct strv *argv, struct strv *ret)
{
	static const char *const ours[] = { "/lib/modules", "/dev/mapper" };
	bool found = false;

	for (size_t i = 0; i < argv->count; i++) {
		bool leave = false;

		for (size_t k = 0; k < ARRAY_LEN(ours); k++) {
			cleanup_free char *word = text_format("--volume=%s:%s", ours[k], ours[k]);

			leave |= word && strncmp(argv->items[i], word, strlen(word)) == 0 &&
				 strstr(failed->msg, ours[k]);
		}
		if (!leave)
			strv_add(ret, argv->items[i]);
		found |= leave;
	}
	return found && !strv_failed(ret);
}

/* Only after a failure that comes behind the container's making: so it is the one we made. */
static int remove_half_made(struct provider *p, const char *node, struct deadline by,
			    struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	oci_add_words(&argv, oci_flavour(p)->remove);
	strv_add(&argv, "--");
	strv_add(&argv, node);
	return oci_run(p, &argv, by, NULL, err);
}

/* What is to be tried after such a failure: 'argv' with lower limits or without what is not there, or as it
 * was when a network's twin had not gone yet (CN-071). False when there is nothing. */
static bool has_another_way(struct provider *p, const struct err *failed, struct strv *argv,
			    struct deadline by)
{
	struct strv other = { 0 };
	bool found = false;

	if (strcmp(failed->reason, "NETWORK_AMBIGUOUS") == 0)
		return oci_wait(p, AGAIN_MS, by);
	if (strcmp(failed->reason, "LIMIT_TOO_HIGH") == 0)
		found = names_limits(argv) ? halve_limits(argv, &other) : name_limits(argv, &other);
	else if (strcmp(failed->reason, "MOUNT_SOURCE_NOT_FOUND") == 0)
		found = leave_out(failed, argv, &other);
	if (!found) {
		strv_release(&other);
		return false;
	}
	strv_release(argv);
	*argv = other;
	return true;
}

/* The limits that the engine's helpers run under are lower than what a shell shows (test-hosts.md):
 * step down until they fit. */
static int create(struct provider *p, const struct step *step, struct deadline by, struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	strv_add_all(&argv, &step->argv);
	for (int tries = 1;; tries++) {
		struct err ignored;

		if (oci_run_with(p, &argv, &step->env, by, NULL, err) == 0)
			return 0;
		if (tries == CREATE_TRIES || !has_another_way(p, err, &argv, by))
			return -1;
		log_debug("%s: '%s' again", p->ops->name, step->node);
		if (remove_half_made(p, step->node, by, &ignored) < 0 &&
		    ignored.code != ERR_NOT_FOUND)
			return -1;
	}
}

/* Somebody else, or a call that was broken off, is removing it: once more when that is over (CN-213). */
static int remove_node(struct provider *p, const struct step *step, struct deadline by,
		       struct err *err)
{
	if (oci_run(p, &step->argv, by, NULL, err) == 0)
		return 0;
	if (strcmp(err->reason, "DELETE_STUCK") != 0 || !oci_wait(p, AGAIN_MS, by))
		return -1;
	return oci_run(p, &step->argv, by, NULL, err);
}

static bool is_ours_still(struct provider *p, const char *cluster, struct deadline by)
{
	struct network_list networks = { 0 };
	struct err ignored;
	bool found = false;

	if (p->ops->networks(p, by, &networks, &ignored) == 0) {
		for (size_t i = 0; i < networks.count; i++)
			found |= strcmp(networks.items[i].cluster, cluster) == 0;
	}
	network_list_release(&networks);
	return found;
}

/* The engine names what it has removed, and says nothing of what is in use; that is told, not forced
 * (CN-061). */
static int remove_network(struct provider *p, const struct step *step, struct deadline by,
			  struct err *err)
{
	const char *cluster = strrchr(step->argv.items[step->argv.count - 1], '=') + 1;
	cleanup_with(exec_result) struct exec_result result = { 0 };

	/* podman looks at every container for it, and fails when one of them goes away meanwhile. */
	if (oci_ask(p, &step->argv, by, &result, err) < 0)
		return -1;
	if (strstr(text_str(&result.out), cluster) || !is_ours_still(p, cluster, by))
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, 0, "other containers use the network '%s'", cluster);
	return err_explain(err, "NETWORK_IN_USE", "remove them, then delete the cluster again");
}

int oci_run_step(struct provider *p, const struct step *step, struct deadline by, struct err *err)
{
	struct err why;
	int rc;

	if (step->action == STEP_IMAGE_CHECK)
		return check_image(p, step, by, err);
	if (step->action == STEP_IMAGE_PULL)
		return pull_image(p, step, by, err);
	if (step->action == STEP_CONTAINER_CREATE)
		rc = create(p, step, by, &why);
	else if (step->action == STEP_CONTAINER_DELETE)
		rc = remove_node(p, step, by, &why);
	else if (step->action == STEP_NETWORK_DELETE)
		rc = remove_network(p, step, by, &why);
	else
		rc = oci_run(p, &step->argv, by, NULL, &why);
	if (rc == 0 || is_done_already(step->action, why.reason))
		return 0;
	*err = why;
	return -1;
}
