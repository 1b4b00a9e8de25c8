/*
 * A provider without an engine, for tests and for trying the command line: nodes and networks are
 * small files in the directory that $BERTH_FAKE_DIR names. Its steps print and run like any other's.
 *
 * Told by names what to do wrong: a node whose name holds "fail-create", "fail-start", "fail-stop",
 * "fail-kill" or "fail-delete" fails at that, "hang-..." hangs there until the deadline or an
 * interrupt; an image whose name holds "missing" is not there. A file NODE.node without a line
 * "cluster=" is somebody else's container. $BERTH_FAKE_AGENTS set: its nodes are said to run agents.
 */
#include "controller/config/cluster_config.h"
#include "controller/provider/fake_record.h"
#include "controller/provider/oci_cli.h"
#include "controller/provider/provider_impl.h"
#include "shared/base/parse.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int fake_open(const struct host_facts *facts, struct provider **ret_provider,
		     struct err *err)
{
	struct provider *p;

	if (!fake_dir()) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "the fake provider has no directory");
		return err_explain(err, "FAKE_DIR_UNSET", "set BERTH_FAKE_DIR to a directory");
	}
	if (mkdir(fake_dir(), 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot make '%s'", fake_dir());
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	p->ops = &fake_ops;
	p->facts = *facts;
	*ret_provider = p;
	return 0;
}

static void fake_close(struct provider *p)
{
	free(p);
}

static bool fake_has_agents(const struct provider *p)
{
	(void)p;
	return getenv("BERTH_FAKE_AGENTS") != NULL;
}

static int add_node(const char *name, const char *cluster, struct node_list *list,
		    struct strv *foreign, struct err *err)
{
	struct kv_list record = { 0 };
	enum node_role role = NODE_WORKER;
	struct node *node = NULL;
	int64_t index = 0;
	int rc = 0;

	if (!fake_record_read(name, "node", &record))
		return 0;
	if (!*fake_record_value(&record, "cluster")) {
		strv_add(foreign, name);
	} else if (!cluster || strcmp(cluster, fake_record_value(&record, "cluster")) == 0) {
		node_role_parse(fake_record_value(&record, "role"), &role);
		node = node_new(name, fake_record_value(&record, "cluster"), role, "fake",
				fake_record_value(&record, "run-dir"));
		rc = node &&
				     node_set(&node->image, fake_record_value(&record, "image"),
					      err) == 0 &&
				     node_set(&node->ip, fake_record_value(&record, "ip"), err) ==
					     0 &&
				     node_set(&node->state_text,
					      fake_record_value(&record, "state"), err) == 0
			     ? 0
			     : err_oom(err);
	}
	if (rc == 0 && node) {
		parse_int(fake_record_value(&record, "index"), 1, 65535, &index);
		node->index = (int)index;
		node->state =
			strcmp(node->state_text, "running") == 0 ? NODE_RUNNING : NODE_STOPPED;
		rc = node_list_add(list, TAKE(node), err);
	}
	node_free(node);
	kv_release(&record);
	return rc;
}

struct listing {
	const char *cluster;
	struct node_list *list;
	struct strv *foreign;
};

static int list_one(const char *name, void *arg, struct err *err)
{
	struct listing *l = arg;

	return add_node(name, l->cluster, l->list, l->foreign, err);
}

static int fake_list(struct provider *p, const char *cluster, struct deadline by,
		     struct node_list *list, struct strv *foreign, struct err *err)
{
	struct listing listing = { cluster, list, foreign };

	(void)p;
	(void)by;
	return fake_record_each("node", list_one, &listing, err);
}

static int network_one(const char *name, void *arg, struct err *err)
{
	struct kv_list record = { 0 };
	int rc;

	fake_record_read(name, "network", &record);
	rc = network_list_add(arg, name, fake_record_value(&record, "subnet"),
			      fake_record_value(&record, "cluster"), err);
	if (rc == 0) {
		struct network_list *list = arg;

		rc = node_set(&list->items[list->count - 1].subnet6,
			      fake_record_value(&record, "subnet6"), err);
	}
	kv_release(&record);
	return rc;
}

static int fake_networks(struct provider *p, struct deadline by, struct network_list *list,
			 struct err *err)
{
	(void)p;
	(void)by;
	return fake_record_each("network", network_one, list, err);
}

static int fake_plan_network(struct provider *p, const struct network_spec *spec, struct plan *plan,
			     struct err *err)
{
	struct step *step = plan_add(plan, STEP_NETWORK_CREATE, NULL);

	(void)p;
	if (!step)
		return err_oom(err);
	strv_add(&step->argv, "fake");
	strv_add(&step->argv, "network-create");
	strv_add(&step->argv, spec->name);
	strv_addf(&step->argv, "--subnet=%s", spec->subnet);
	strv_addf(&step->argv, "--cluster=%s", spec->cluster);
	if (spec->subnet6 && *spec->subnet6)
		strv_addf(&step->argv, "--subnet6=%s", spec->subnet6);
	if (spec->mtu)
		strv_addf(&step->argv, "--mtu=%d", spec->mtu);
	return 0;
}

static int plan_words(struct plan *plan, enum step_action action, const char *node,
		      const char *verb, const char *operand, struct err *err)
{
	struct step *step = plan_add(plan, action, node);

	if (!step)
		return err_oom(err);
	strv_add(&step->argv, "fake");
	strv_add(&step->argv, verb);
	strv_add(&step->argv, operand);
	return 0;
}

static int fake_plan_image(struct provider *p, const char *image, struct plan *plan,
			   struct err *err)
{
	(void)p;
	return plan_words(plan, STEP_IMAGE_CHECK, NULL, "image-check", image, err);
}

static int fake_plan_pull(struct provider *p, const char *image, struct plan *plan, struct err *err)
{
	(void)p;
	return plan_words(plan, STEP_IMAGE_PULL, NULL, "image-pull", image, err);
}

static int fake_plan_network_delete(struct provider *p, const char *network, struct plan *plan,
				    struct err *err)
{
	(void)p;
	return plan_words(plan, STEP_NETWORK_DELETE, NULL, "network-delete", network, err);
}

static void add_pairs(struct strv *argv, const char *option, const struct kv_list *pairs)
{
	for (size_t i = 0; pairs && i < pairs->count; i++)
		strv_addf(argv, "--%s=%s=%s", option, pairs->items[i].key, pairs->items[i].value);
}

/* What is not said of every node. */
static void add_extras(struct strv *argv, const struct node_spec *spec)
{
	if (spec->ip6 && *spec->ip6)
		strv_addf(argv, "--ip6=%s", spec->ip6);
	if (spec->memory_bytes)
		strv_addf(argv, "--memory=%lld", (long long)spec->memory_bytes);
	if (spec->cpus_milli)
		strv_addf(argv, "--cpus-milli=%lld", (long long)spec->cpus_milli);
	if (spec->gpus && *spec->gpus)
		strv_addf(argv, "--gpus=%s", spec->gpus);
	if (spec->dns_search && spec->dns_search->count == 0)
		strv_add(argv, "--no-dns-search");
	for (size_t i = 0; spec->dns_search && i < spec->dns_search->count; i++)
		strv_addf(argv, "--dns-search=%s", spec->dns_search->items[i]);
	for (size_t i = 0; i < spec->mount_count; i++)
		strv_addf(argv, "--mount=%s:%s", spec->mounts[i].host_path,
			  spec->mounts[i].container_path);
	for (size_t i = 0; i < spec->port_count; i++)
		strv_addf(argv, "--publish=%s/%d:%d", spec->ports[i].listen_address,
			  spec->ports[i].host_port, spec->ports[i].container_port);
	add_pairs(argv, "env", spec->env);
	add_pairs(argv, "label", spec->labels);
}

static int fake_plan_create(struct provider *p, const struct node_spec *spec, struct plan *plan,
			    struct err *err)
{
	struct step *step = plan_add(plan, STEP_CONTAINER_CREATE, spec->name);

	(void)p;
	if (!step)
		return err_oom(err);
	strv_add(&step->argv, "fake");
	strv_add(&step->argv, "create");
	strv_add(&step->argv, spec->name);
	strv_addf(&step->argv, "--cluster=%s", spec->cluster);
	strv_addf(&step->argv, "--role=%s", node_role_name(spec->role));
	strv_addf(&step->argv, "--index=%d", spec->index);
	strv_addf(&step->argv, "--image=%s", spec->image);
	strv_addf(&step->argv, "--ip=%s", spec->ip);
	strv_addf(&step->argv, "--run-dir=%s", spec->run_dir);
	add_extras(&step->argv, spec);
	return 0;
}

static const char *verb_of(enum step_action action)
{
	switch (action) {
	case STEP_CONTAINER_CREATE:
		return "create";
	case STEP_CONTAINER_START:
		return "start";
	case STEP_CONTAINER_STOP:
		return "stop";
	case STEP_CONTAINER_KILL:
		return "kill";
	case STEP_CONTAINER_UNPAUSE:
		return "unpause";
	case STEP_CONTAINER_DELETE:
		return "delete";
	default:
		return "";
	}
}

static int fake_plan_act(struct provider *p, enum step_action action, const char *node,
			 int64_t grace_s, struct plan *plan, struct err *err)
{
	(void)p;
	(void)grace_s;
	if (!*verb_of(action))
		return err_set(err, ERR_INTERNAL, 0, "no such step for a node: %s",
			       step_action_name(action));
	return plan_words(plan, action, node, verb_of(action), node, err);
}

static int hang(struct provider *p, struct deadline by, struct err *err)
{
	struct pollfd pfd = { .fd = p->interrupt ? p->interrupt->fd : -1, .events = POLLIN };

	if (poll(&pfd, 1, deadline_poll_ms(by)) > 0)
		return err_set(err, ERR_CANCELLED, 0, "interrupted");
	return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "'fake' did not end in time");
}

/* What the node's name asks for. */
static int misbehave(struct provider *p, const struct step *step, struct deadline by,
		     struct err *err)
{
	const char *verb = verb_of(step->action);
	char word[32];

	if (!*verb)
		return 0;
	snprintf(word, sizeof(word), "hang-%s", verb);
	if (strstr(step->node, word))
		return hang(p, by, err);
	snprintf(word, sizeof(word), "fail-%s", verb);
	if (!strstr(step->node, word))
		return 0;
	err_set(err, ERR_UNKNOWN, 0, "told to fail");
	return err_explain(err, "ENGINE_FAILED", NULL);
}

static int subnet_is_free(const char *name, void *arg, struct err *err)
{
	struct kv_list record = { 0 };
	bool same;

	fake_record_read(name, "network", &record);
	same = strcmp(fake_record_value(&record, "subnet"), arg) == 0;
	kv_release(&record);
	if (!same || !*(const char *)arg)
		return 0;
	err_set(err, ERR_ALREADY_EXISTS, 0, "the subnet is taken");
	return err_explain(err, "SUBNET_TAKEN", NULL);
}

static int create_network(const struct strv *argv, struct err *err)
{
	const char *subnet = "";

	for (size_t i = 0; i < argv->count; i++) {
		if (strncmp(argv->items[i], "--subnet=", 9) == 0)
			subnet = argv->items[i] + 9;
	}
	if (fake_record_each("network", subnet_is_free, (void *)subnet, err) < 0)
		return -1;
	return fake_record_write(argv->items[2], "network", "wxe", argv, "created", err);
}

static int fake_run(struct provider *p, const struct step *step, struct deadline by,
		    struct err *err)
{
	const struct strv *argv = &step->argv;

	if (misbehave(p, step, by, err) < 0)
		return -1;
	switch (step->action) {
	case STEP_IMAGE_CHECK:
		if (!strstr(argv->items[2], "missing") && !strstr(argv->items[2], "elsewhere"))
			return 0;
		err_set(err, ERR_NOT_FOUND, 0, "no image '%s'", argv->items[2]);
		return err_explain(err, "IMAGE_NOT_FOUND", "name another with --image");
	case STEP_IMAGE_PULL:
		if (!strstr(argv->items[2], "missing"))
			return 0;
		err_set(err, ERR_NOT_FOUND, 0, "no image '%s'", argv->items[2]);
		return err_explain(err, "IMAGE_NOT_FOUND", "name another with --image");
	case STEP_NETWORK_CREATE:
		return create_network(argv, err);
	case STEP_NETWORK_DELETE:
		return fake_record_remove(argv->items[2], "network", err);
	case STEP_CONTAINER_CREATE:
		return fake_record_write(step->node, "node", "wxe", argv, "running", err);
	case STEP_CONTAINER_START:
		return fake_record_set_state(step->node, "running", err);
	case STEP_CONTAINER_STOP:
	case STEP_CONTAINER_KILL:
		return fake_record_set_state(step->node, "exited", err);
	case STEP_CONTAINER_UNPAUSE:
		return fake_record_set_state(step->node, "running", err);
	case STEP_CONTAINER_DELETE:
		return fake_record_remove(step->node, "node", err);
	default:
		return err_set(err, ERR_INTERNAL, 0, "not an engine's step: %s", step->id);
	}
}

static int fake_info(struct provider *p, struct deadline by, struct engine_info *ret,
		     struct err *err)
{
	(void)p;
	(void)by;
	(void)err;
	*ret = (struct engine_info){ .version = "0.1.0", .runtime = "fake", .cgroup = "v2" };
	snprintf(ret->controllers, sizeof(ret->controllers), "cpuset cpu io memory pids");
	return 0;
}

/* A program that tests put into PATH. */
static void fake_relay_argv(const char *program, const char *node, struct strv *argv)
{
	(void)program;
	oci_relay_argv("berth-fake-engine", node, argv);
}

const struct provider_ops fake_ops = {
	.name = "fake",
	.relay_argv = fake_relay_argv,
	.open = fake_open,
	.close = fake_close,
	.has_agents = fake_has_agents,
	.list = fake_list,
	.networks = fake_networks,
	.plan_network = fake_plan_network,
	.plan_image = fake_plan_image,
	.plan_pull = fake_plan_pull,
	.plan_create = fake_plan_create,
	.plan_act = fake_plan_act,
	.plan_network_delete = fake_plan_network_delete,
	.run = fake_run,
	.info = fake_info,
};
