/*
 * Nodes as podman containers (container-nodes.md; DESIGN.md D12). Every argv is made here, as pure
 * data; podman_run.c carries it out.
 */
#include "controller/provider/oci_cli.h"
#include "controller/provider/podman_parse.h"
#include "controller/provider/podman_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int podman_open(const struct host_facts *facts, struct provider **ret_provider,
		       struct err *err)
{
	struct provider *p = calloc(1, sizeof(*p));

	if (!p)
		return err_oom(err);
	p->ops = &podman_ops;
	p->facts = *facts;
	*ret_provider = p;
	return 0;
}

static void podman_close(struct provider *p)
{
	free(p);
}

#define LIST_TRIES 5

#define WORDS(...) ((const char *const[]){ "podman", __VA_ARGS__, NULL })

static void add_words(struct strv *argv, const char *const *words)
{
	for (; *words; words++)
		strv_add(argv, *words);
}

/* "podman [--runtime=runc] [--cgroup-manager=cgroupfs] VERB": what this host needs before commands
 * that start something (CN-010, CN-180, test-hosts.md). */
static void add_engine(const struct host_facts *facts, struct strv *argv, const char *verb)
{
	strv_add(argv, "podman");
	if (facts->has_runc && (facts->cgroup_hybrid || !facts->has_crun))
		strv_add(argv, "--runtime=runc");
	if (!facts->has_systemd)
		strv_add(argv, "--cgroup-manager=cgroupfs");
	strv_add(argv, verb);
}

/* podman asks for 1048576 of each, which needs the right to raise limits. */
static void add_limits(const struct host_facts *facts, struct strv *argv)
{
	if (facts->can_raise_limits)
		return;
	if (facts->nofile_hard > 0)
		strv_addf(argv, "--ulimit=nofile=%" PRId64 ":%" PRId64, facts->nofile_hard,
			  facts->nofile_hard);
	if (facts->nproc_hard > 0)
		strv_addf(argv, "--ulimit=nproc=%" PRId64 ":%" PRId64, facts->nproc_hard,
			  facts->nproc_hard);
}

/* What makes a container able to be a node. */
static void add_system(const struct host_facts *facts, struct strv *argv)
{
	strv_add(argv, "--privileged");
	/* podman's own help for systemd binds the host's whole name=systemd hierarchy into the node on
	 * cgroup v1: all nodes would share one tree and trim it for each other. What it gives besides
	 * is given here or is in the image. */
	strv_add(argv, "--systemd=false");
	strv_add(argv, "--cgroupns=private");
	strv_add(argv, "--security-opt=seccomp=unconfined");
	strv_add(argv, "--tmpfs=/tmp");
	strv_add(argv, "--tmpfs=/run");
	strv_add(argv, "--pids-limit=-1");
	add_limits(facts, argv);
	/* Ready is what the agent says; podman's health timer needs systemd on the host and would
	 * enter the node for each look. */
	strv_add(argv, "--no-healthcheck");
	strv_add(argv, "--log-driver=k8s-file");
	strv_add(argv, "--stop-signal=SIGRTMIN+3");
	if (facts->rootless && facts->has_fuse)
		strv_add(argv, "--device=/dev/fuse");
}

/* /var is a volume without a name: filled from the image, gone with its container, and never
 * somebody's old one. Its options undo podman's nodev, noexec, nosuid (CN-020, CN-038). */
static void add_storage(const struct host_facts *facts, const struct node_spec *spec,
			struct strv *argv)
{
	strv_add(argv, "--mount=type=volume,destination=/var,exec,dev,suid");
	if (facts->has_modules)
		strv_add(argv, "--volume=/lib/modules:/lib/modules:ro");
	strv_addf(argv, "--volume=%s:/run/berth", spec->run_dir);
	oci_add_mounts(argv, spec);
}

static int podman_plan_create(struct provider *p, const struct node_spec *spec, struct plan *plan,
			      struct err *err)
{
	struct step *step = plan_add(plan, STEP_CONTAINER_CREATE, spec->name);
	struct strv *argv;

	if (!step)
		return err_oom(err);
	argv = &step->argv;
	add_engine(&p->facts, argv, "run");
	strv_addf(argv, "--name=%s", spec->name);
	strv_addf(argv, "--hostname=%s", spec->name);
	strv_add(argv, "--detach");
	strv_add(argv, "--tty");
	/* The image check has spoken; a create does not go to the network. */
	strv_add(argv, "--pull=never");
	add_system(&p->facts, argv);
	add_storage(&p->facts, spec, argv);
	if (*spec->network && *spec->ip) {
		strv_addf(argv, "--network=%s", spec->network);
		strv_addf(argv, "--ip=%s", spec->ip);
	}
	oci_add_ports(argv, "", spec);
	oci_add_env(argv, "podman", spec);
	oci_add_labels(argv, spec);
	strv_add(argv, "--");
	strv_add(argv, spec->image);
	return 0;
}

static int podman_plan_network(struct provider *p, const struct network_spec *spec,
			       struct plan *plan, struct err *err)
{
	struct step *step = plan_add(plan, STEP_NETWORK_CREATE, NULL);

	(void)p;
	if (!step)
		return err_oom(err);
	for (const char *const *word = (const char *const[]){ "podman", "network", "create",
							      "--driver=bridge", NULL };
	     *word; word++)
		strv_add(&step->argv, *word);
	if (*spec->subnet)
		strv_addf(&step->argv, "--subnet=%s", spec->subnet);
	strv_addf(&step->argv, "--label=" OCI_LABEL_CLUSTER "=%s", spec->cluster);
	strv_add(&step->argv, "--label=" OCI_LABEL_CREATED_BY "=" OCI_CREATED_BY);
	strv_add(&step->argv, "--");
	strv_add(&step->argv, spec->name);
	return 0;
}

/* Appends a step whose argv is a few fixed words and an operand. */
static int add_step(struct plan *plan, enum step_action action, const char *node,
		    const char *const *words, const char *operand, struct err *err)
{
	struct step *step = plan_add(plan, action, node);

	if (!step)
		return err_oom(err);
	add_words(&step->argv, words);
	strv_add(&step->argv, "--");
	strv_add(&step->argv, operand);
	return 0;
}

static int podman_plan_image(struct provider *p, const char *image, struct plan *plan,
			     struct err *err)
{
	(void)p;
	return add_step(plan, STEP_IMAGE_CHECK, NULL, WORDS("image", "exists"), image, err);
}

/* By label and only when nothing uses it: a network that somebody else made or still needs stays,
 * whatever its name is (CN-061, CN-275). A cluster's network has the cluster's name. */
static int podman_plan_network_delete(struct provider *p, const char *network, struct plan *plan,
				      struct err *err)
{
	struct step *step = plan_add(plan, STEP_NETWORK_DELETE, NULL);

	(void)p;
	if (!step)
		return err_oom(err);
	add_words(&step->argv, WORDS("network", "prune", "--force"));
	strv_addf(&step->argv, "--filter=label=" OCI_LABEL_CLUSTER "=%s", network);
	return 0;
}

static int plan_start(struct provider *p, const char *node, struct plan *plan, struct err *err)
{
	struct step *step = plan_add(plan, STEP_CONTAINER_START, node);

	if (!step)
		return err_oom(err);
	add_engine(&p->facts, &step->argv, "start");
	strv_add(&step->argv, "--");
	strv_add(&step->argv, node);
	return 0;
}

static int plan_stop(const char *node, int64_t grace_s, struct plan *plan, struct err *err)
{
	cleanup_free char *time = text_format("--time=%" PRId64, grace_s > 0 ? grace_s : 0);

	if (!time)
		return err_oom(err);
	return add_step(plan, STEP_CONTAINER_STOP, node, WORDS("stop", time), node, err);
}

static int podman_plan_act(struct provider *p, enum step_action action, const char *node,
			   int64_t grace_s, struct plan *plan, struct err *err)
{
	switch (action) {
	case STEP_CONTAINER_START:
		return plan_start(p, node, plan, err);
	case STEP_CONTAINER_STOP:
		return plan_stop(node, grace_s, plan, err);
	case STEP_CONTAINER_KILL:
		return add_step(plan, action, node, WORDS("kill"), node, err);
	case STEP_CONTAINER_UNPAUSE:
		return add_step(plan, action, node, WORDS("unpause"), node, err);
	case STEP_CONTAINER_DELETE:
		/* One at a time: podman 4.3 removes none of several when one is missing. */
		return add_step(plan, action, node, WORDS("rm", "--force", "--volumes", "--time=0"),
				node, err);
	default:
		return err_set(err, ERR_INTERNAL, 0, "no such step for a node: %s",
			       step_action_name(action));
	}
}

/* podman's own lists fail with "no such ..." when somebody removes one of theirs meanwhile. */
static int run_list(struct provider *p, const struct strv *argv, struct deadline by,
		    struct exec_result *ret_result, struct err *err)
{
	for (int tries = 1;; tries++) {
		if (oci_run(p, argv, by, ret_result, err) == 0)
			return 0;
		if (err->code != ERR_NOT_FOUND || tries == LIST_TRIES)
			return -1;
	}
}

static int podman_list(struct provider *p, const char *cluster, struct deadline by,
		       struct node_list *list, struct strv *foreign, struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	add_words(&argv, WORDS("ps", "--all", "--format=json"));
	if (run_list(p, &argv, by, &result, err) < 0)
		return -1;
	return podman_parse_nodes(text_str(&result.out), result.out.len, cluster, list, foreign,
				  err);
}

static int podman_networks(struct provider *p, struct deadline by, struct network_list *list,
			   struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	add_words(&argv, WORDS("network", "ls", "--format=json"));
	if (run_list(p, &argv, by, &result, err) < 0)
		return -1;
	return podman_parse_networks(text_str(&result.out), result.out.len, list, err);
}

static int podman_info(struct provider *p, struct deadline by, struct engine_info *ret,
		       struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	add_words(&argv, WORDS("info", "--format=json"));
	if (oci_run(p, &argv, by, &result, err) < 0)
		return -1;
	return podman_parse_info(text_str(&result.out), result.out.len, ret, err);
}

static char *podman_console_tail(struct provider *p, const char *node, struct deadline by)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	struct err ignored;

	add_words(&argv, WORDS("logs", "--tail=20", "--", node));
	if (oci_run(p, &argv, by, &result, &ignored) < 0)
		return strdup("");
	return oci_console_tail(text_str(&result.out), 4);
}

const struct provider_ops podman_ops = {
	.name = "podman",
	.program = "podman",
	.open = podman_open,
	.close = podman_close,
	.list = podman_list,
	.networks = podman_networks,
	.plan_network = podman_plan_network,
	.plan_image = podman_plan_image,
	.plan_create = podman_plan_create,
	.plan_act = podman_plan_act,
	.plan_network_delete = podman_plan_network_delete,
	.run = podman_run,
	.info = podman_info,
	.dump = oci_dump,
	.console_tail = podman_console_tail,
};
