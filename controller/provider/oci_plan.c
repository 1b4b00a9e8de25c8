#include "controller/provider/oci_plan.h"

#include <inttypes.h>
#include <string.h>

/* Appends a step whose argv is a few fixed words and an operand. */
static int add_step(struct plan *plan, enum step_action action, const char *node,
		    const char *const *words, const char *operand, struct err *err)
{
	struct step *step = plan_add(plan, action, node);

	if (!step)
		return err_oom(err);
	oci_add_words(&step->argv, words);
	strv_add(&step->argv, "--");
	strv_add(&step->argv, operand);
	return 0;
}

int oci_plan_network(struct provider *p, const struct network_spec *spec, struct plan *plan,
		     struct err *err)
{
	struct step *step = plan_add(plan, STEP_NETWORK_CREATE, NULL);
	struct strv *argv;

	if (!step)
		return err_oom(err);
	argv = &step->argv;
	oci_add_words(argv, OCI_WORDS(p->ops->program, "network", "create", "--driver=bridge"));
	if (*spec->subnet)
		strv_addf(argv, "--subnet=%s", spec->subnet);
	if (spec->subnet6 && *spec->subnet6) {
		strv_add(argv, "--ipv6");
		strv_addf(argv, "--subnet=%s", spec->subnet6);
	}
	if (spec->mtu > 0)
		strv_addf(argv, "--opt=%s=%d", oci_flavour(p)->mtu_option, spec->mtu);
	strv_addf(argv, "--label=" OCI_LABEL_CLUSTER "=%s", spec->cluster);
	strv_add(argv, "--label=" OCI_LABEL_CREATED_BY "=" OCI_CREATED_BY);
	strv_add(argv, "--");
	strv_add(argv, spec->name);
	return 0;
}

/* podman takes no tag beside a digest (CN-005), and the digest says more. */
static char *without_tag(const char *image)
{
	const char *digest = strstr(image, "@sha256:"), *tag;

	if (!digest)
		return strdup(image);
	for (tag = digest; tag > image && tag[-1] != '/' && tag[-1] != ':'; tag--)
		;
	if (tag == image || tag[-1] == '/')
		return strdup(image);
	return text_format("%.*s%s", (int)(tag - 1 - image), image, digest);
}

char *oci_image_name(const struct provider *p, const char *image)
{
	return oci_flavour(p)->digest_without_tag ? without_tag(image) : strdup(image);
}

int oci_plan_image(struct provider *p, const char *image, struct plan *plan, struct err *err)
{
	cleanup_free char *name = oci_image_name(p, image);

	if (!name)
		return err_oom(err);
	return add_step(plan, STEP_IMAGE_CHECK, NULL, oci_flavour(p)->image_check, name, err);
}

int oci_plan_pull(struct provider *p, const char *image, struct plan *plan, struct err *err)
{
	cleanup_free char *name = oci_image_name(p, image);

	if (!name)
		return err_oom(err);
	return add_step(plan, STEP_IMAGE_PULL, NULL, OCI_WORDS(p->ops->program, "pull", "--quiet"),
			name, err);
}

/* By label and only when nothing uses it: a network that somebody else made or still needs stays,
 * whatever its name is (CN-061, CN-275). A cluster's network has the cluster's name. */
int oci_plan_network_delete(struct provider *p, const char *network, struct plan *plan,
			    struct err *err)
{
	struct step *step = plan_add(plan, STEP_NETWORK_DELETE, NULL);

	if (!step)
		return err_oom(err);
	oci_add_words(&step->argv, OCI_WORDS(p->ops->program, "network", "prune", "--force"));
	strv_addf(&step->argv, "--filter=label=" OCI_LABEL_CLUSTER "=%s", network);
	return 0;
}

static int plan_start(struct provider *p, const char *node, struct plan *plan, struct err *err)
{
	struct step *step = plan_add(plan, STEP_CONTAINER_START, node);

	if (!step)
		return err_oom(err);
	oci_flavour(p)->add_engine(p, &step->argv, "start");
	strv_add(&step->argv, "--");
	strv_add(&step->argv, node);
	return 0;
}

static int plan_stop(struct provider *p, const char *node, int64_t grace_s, struct plan *plan,
		     struct err *err)
{
	cleanup_free char *time =
		text_format("%s%" PRId64, oci_flavour(p)->stop_time, grace_s > 0 ? grace_s : 0);

	if (!time)
		return err_oom(err);
	return add_step(plan, STEP_CONTAINER_STOP, node, OCI_WORDS(p->ops->program, "stop", time),
			node, err);
}

int oci_plan_act(struct provider *p, enum step_action action, const char *node, int64_t grace_s,
		 struct plan *plan, struct err *err)
{
	switch (action) {
	case STEP_CONTAINER_START:
		return plan_start(p, node, plan, err);
	case STEP_CONTAINER_STOP:
		return plan_stop(p, node, grace_s, plan, err);
	case STEP_CONTAINER_KILL:
		return add_step(plan, action, node, OCI_WORDS(p->ops->program, "kill"), node, err);
	case STEP_CONTAINER_UNPAUSE:
		return add_step(plan, action, node, OCI_WORDS(p->ops->program, "unpause"), node,
				err);
	case STEP_CONTAINER_DELETE:
		/* One at a time: podman 4.3 removes none of several when one is missing. */
		return add_step(plan, action, node, oci_flavour(p)->remove, node, err);
	default:
		return err_set(err, ERR_INTERNAL, 0, "no such step for a node: %s",
			       step_action_name(action));
	}
}
