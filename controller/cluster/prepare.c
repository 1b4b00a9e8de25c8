#include "controller/cluster/cluster.h"
#include "controller/cluster/engine_check.h"
#include "controller/cluster/ports.h"
#include "controller/cluster/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ATTEMPTS      5
#define PORT_ATTEMPTS 2

/* What is to be made, and what earlier attempts have taught. */
struct attempt {
	const struct cluster_ctx *ctx;
	const struct create_options *options;
	const struct cluster_config *config; /* a whole cluster, or ... */
	const struct node_config *node;      /* ... one more node */
	bool for_show;
	bool warned;
	struct strv bad_subnets;
	struct strv bad_ips;
	bool ipv6_refused;
	bool network_refused;
	int port_tries;
};

static void note(const struct cluster_ctx *ctx, const char *text)
{
	const struct progress_event event = { .kind = PROGRESS_NOTE, .text = text };

	if (ctx->progress)
		ctx->progress->event(ctx->progress->arg, &event);
}

static void note_all(const struct cluster_ctx *ctx, const struct strv *warnings)
{
	for (size_t i = 0; i < warnings->count; i++) {
		cleanup_free char *text = text_format("warning: %s", warnings->items[i]);

		note(ctx, text ? text : warnings->items[i]);
	}
}

/* Once, however often it is tried. */
static void warn(struct attempt *a, const struct strv *found, const struct strv *planned)
{
	if (a->warned)
		return;
	a->warned = true;
	note_all(a->ctx, found);
	note_all(a->ctx, planned);
}

static int plan_found(struct attempt *a, const struct cluster_found *found,
		      const struct cluster_config *config, struct plan *ret_plan, struct err *err)
{
	if (a->node)
		return cluster_plan_add_node(a->ctx, &config->nodes[0], a->options, found, ret_plan,
					     err);
	return cluster_plan_create(a->ctx, config, a->options, found, ret_plan, err);
}

/* CN-101: those of another machine are for its engine to find. */
static int check_mounts(const struct attempt *a, const struct cluster_config *config,
			struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < config->node_count; i++) {
		const struct node_config *node = &config->nodes[i];

		for (size_t k = 0; k < node->mount_count; k++) {
			const struct mount_config *mount = &node->mounts[k];

			if (mount->create || provider_is_remote(a->ctx->provider) ||
			    stat(mount->host_path, &st) == 0)
				continue;
			err_set(err, ERR_NOT_FOUND, errno, "node '%s': cannot mount '%s'",
				node->name, mount->host_path);
			return err_explain(err, "MOUNT_SOURCE_NOT_FOUND", "create it first");
		}
	}
	return 0;
}

/* Two engines of one machine know nothing of each other's names, but their nodes would share a directory
 * and the agent's socket in it. */
static int check_records(const struct attempt *a, const struct cluster_config *config,
			 struct err *err)
{
	const char *provider = provider_name(a->ctx->provider);

	for (size_t i = 0; i < config->node_count; i++) {
		cleanup_with(node) struct node *node = NULL;
		const char *name = config->nodes[i].name;
		struct err ignored;

		if (store_node_load(a->ctx->state_dir, name, &node, &ignored) < 0 ||
		    !*node->provider || strcmp(node->provider, provider) == 0)
			continue;
		err_set(err, ERR_ALREADY_EXISTS, 0, "a node of %s is called '%s' already",
			node->provider, name);
		err_explain(err, "NAME_IN_USE", NULL);
		snprintf(err->advice, sizeof(err->advice),
			 "choose another name or --state-dir, or delete the other first: 'berth "
			 "delete cluster --name %s --provider %s'",
			 node->cluster, node->provider);
		return -1;
	}
	return 0;
}

/* The ports stay held. */
static int settle_and_plan(struct attempt *a, struct cluster_found *found,
			   struct ported_config *ret_ported, struct plan *ret_plan, struct err *err)
{
	struct cluster_config one = { .nodes = (struct node_config *)a->node, .node_count = 1 };
	const struct cluster_config *config = a->node ? &one : a->config;
	struct ported_config ported;

	strv_add_all(&found->bad_subnets, &a->bad_subnets);
	strv_add_all(&found->bad_ips, &a->bad_ips);
	found->ipv6_refused = a->ipv6_refused;
	found->network_refused = a->network_refused;
	if (found->has_engine && engine_check(provider_name(a->ctx->provider), &found->engine,
					      config, &found->warnings, err) < 0)
		return -1;
	if (check_mounts(a, config, err) < 0 || check_records(a, config, err) < 0 ||
	    ports_choose(config, provider_is_remote(a->ctx->provider), &ported, err) < 0)
		return -1;
	if (plan_found(a, found, &ported.config, ret_plan, err) < 0) {
		ported_config_release(&ported);
		return -1;
	}
	warn(a, &found->warnings, &ret_plan->warnings);
	*ret_ported = ported;
	return 0;
}

/* The ports are chosen last: the less time passes until the engine takes them, the better. */
static int prepare(struct attempt *a, struct ported_config *ret_ported, struct plan *ret_plan,
		   struct err *err)
{
	struct cluster_found found;
	int rc;

	if (cluster_find(a->ctx, a->for_show, &found, err) < 0)
		return -1;
	rc = settle_and_plan(a, &found, ret_ported, ret_plan, err);
	cluster_found_release(&found);
	return rc;
}

/* The subnets of the network's step, the address of a node's: whatever follows 'option'. */
static void remember(const struct plan *plan, enum step_action action, const char *node,
		     const char *option, struct strv *bad)
{
	size_t len = strlen(option);

	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = plan->steps[i];

		if (step->action != action || (*node && strcmp(step->node, node) != 0))
			continue;
		for (size_t k = 0; k < step->argv.count; k++) {
			if (strncmp(step->argv.items[k], option, len) == 0)
				strv_add(bad, step->argv.items[k] + len);
		}
	}
}

static bool has_static_ip(const struct attempt *a)
{
	const struct node_config *nodes = a->node ? a->node : a->config->nodes;
	size_t count = a->node ? 1 : a->config->node_count;

	for (size_t i = 0; i < count; i++) {
		if (nodes[i].static_ip && *nodes[i].static_ip)
			return true;
	}
	return false;
}

/* CN-055: a static address leaves no choice. */
static bool learn_subnet(struct attempt *a, const struct plan *plan)
{
	if (has_static_ip(a))
		return false;
	remember(plan, STEP_NETWORK_CREATE, "", "--subnet=", &a->bad_subnets);
	remember(plan, STEP_NETWORK_CREATE, "", "--subnet6=", &a->bad_subnets);
	return true;
}

/* CN-074: a cluster of IPv6 alone cannot do without it. */
static bool learn_ipv6(struct attempt *a)
{
	if (a->node || a->config->ip_family != IP_FAMILY_DUAL || a->ipv6_refused)
		return false;
	a->ipv6_refused = true;
	return true;
}

/* "127.0.0.1:8080: bind: ..." is about port 8080. */
static bool tells_of(const char *message, int port)
{
	char text[16];
	int len = snprintf(text, sizeof(text), ":%d", port);

	for (const char *at = message; (at = strstr(at, text)); at += len) {
		if (at[len] < '0' || at[len] > '9')
			return true;
	}
	return false;
}

/* A port of the user's own choice will not be free the next time either. */
static bool is_our_port(const struct attempt *a, const struct err *err)
{
	const struct node_config *nodes = a->node ? a->node : a->config->nodes;
	size_t count = a->node ? 1 : a->config->node_count;
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < nodes[i].port_count; k++) {
			int port = nodes[i].ports[k].host_port;

			if (port > 0 && tells_of(err->msg, port))
				return false;
			any |= port == 0;
		}
	}
	return any;
}

/* Whether the failure was of the kind that another choice avoids. */
static bool learn(struct attempt *a, const struct plan *plan, const struct err *err)
{
	if (strcmp(err->reason, "SUBNET_TAKEN") == 0 || strcmp(err->reason, "GATEWAY_TAKEN") == 0)
		return learn_subnet(a, plan);
	if (strcmp(err->reason, "IPV6_UNAVAILABLE") == 0)
		return learn_ipv6(a);
	if (strcmp(err->reason, "IP_IN_USE") == 0) {
		remember(plan, STEP_CONTAINER_CREATE, err->node, "--ip=", &a->bad_ips);
		return !has_static_ip(a);
	}
	return strcmp(err->reason, "PORT_IN_USE") == 0 && is_our_port(a, err) &&
	       ++a->port_tries < PORT_ATTEMPTS;
}

/* What keeps an engine from making a network. */
static bool is_the_networks(const struct plan *plan, const struct err *err)
{
	static const char *const reasons[] = { "SUBNET_TAKEN", "GATEWAY_TAKEN", "IPV6_UNAVAILABLE",
					       "ENGINE_FAILED", "ENGINE_NOT_PERMITTED" };

	if (*err->node || !plan_find(plan, "network"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (strcmp(err->reason, reasons[i]) == 0)
			return true;
	}
	return false;
}

/* CN-058 */
static bool give_up_network(struct attempt *a, const struct plan *plan, const struct err *err)
{
	if (!a->options->allow_default_network || a->network_refused || has_static_ip(a) ||
	    !is_the_networks(plan, err))
		return false;
	a->network_refused = true;
	return true;
}

static bool is_worth_another(struct attempt *a, int tries, const struct plan *plan,
			     const struct err *err)
{
	/* Before any node there is nothing that was retained and is in the way. */
	if (a->options->retain && *err->node)
		return false;
	if (tries < ATTEMPTS && learn(a, plan, err))
		return true;
	return give_up_network(a, plan, err);
}

/* Its progress on its way to the user: when a node is about to be made, its ports are let go. */
struct letting_go {
	const struct progress *progress;
	struct ported_config *ported;
};

static void let_go(void *arg, const struct progress_event *event)
{
	struct letting_go *l = arg;

	if (event->kind == PROGRESS_BEGIN && event->step->action == STEP_CONTAINER_CREATE)
		ports_let_go(l->ported, event->step->node);
	if (l->progress)
		l->progress->event(l->progress->arg, event);
}

static int apply(struct attempt *a, struct ported_config *ported, const struct plan *plan,
		 struct err *err)
{
	struct letting_go l = { a->ctx->progress, ported };
	const struct progress progress = { let_go, &l };
	struct cluster_ctx ctx = *a->ctx;

	ctx.progress = &progress;
	return cluster_apply(&ctx, plan, !a->options->retain, err);
}

static int make_mount(struct mount_config *mount, struct err *err)
{
	for (char *s = mount->host_path; (s = strchr(s + 1, '/'));) {
		*s = '\0';
		mkdir(mount->host_path, 0755);
		*s = '/';
	}
	if (mkdir(mount->host_path, 0755) == 0 || errno == EEXIST)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot make '%s'", mount->host_path);
	return err_explain(err, "MOUNT_SOURCE_NOT_FOUND", "create it first");
}

/* CN-101: those that are there or were not asked to be made are left alone. */
static int make_mounts(const struct attempt *a, struct err *err)
{
	const struct node_config *nodes = a->node ? a->node : a->config->nodes;
	size_t count = a->node ? 1 : a->config->node_count;

	if (provider_is_remote(a->ctx->provider))
		return 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < nodes[i].mount_count; k++) {
			if (nodes[i].mounts[k].create && make_mount(&nodes[i].mounts[k], err) < 0)
				return -1;
		}
	}
	return 0;
}

static int try_once(struct attempt *a, int tries, bool *ret_again, struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };
	struct ported_config ported;
	int rc;

	*ret_again = false;
	if (prepare(a, &ported, &plan, err) < 0)
		return -1;
	rc = make_mounts(a, err);
	if (rc == 0) {
		rc = apply(a, &ported, &plan, err);
		*ret_again = rc < 0 && is_worth_another(a, tries, &plan, err);
	}
	ported_config_release(&ported);
	return rc;
}

static int make(struct attempt *a, struct err *err)
{
	bool again;
	int rc;

	for (int tries = 1;; tries++) {
		rc = try_once(a, tries, &again, err);
		if (!again)
			break;
		note(a->ctx, err->msg);
		if (a->network_refused)
			note(a->ctx, "warning: the nodes go to the engine's own network, without "
				     "addresses of their own");
		else if (a->ipv6_refused)
			note(a->ctx, "warning: the engine cannot make networks with IPv6: the "
				     "cluster has IPv4 alone");
	}
	strv_release(&a->bad_subnets);
	strv_release(&a->bad_ips);
	return rc;
}

static int show(struct attempt *a, struct plan *ret_plan, struct err *err)
{
	struct ported_config ported;

	if (prepare(a, &ported, ret_plan, err) < 0)
		return -1;
	ported_config_release(&ported);
	return 0;
}

int cluster_prepare_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
			   const struct create_options *options, struct plan *ret_plan,
			   struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .config = config, .for_show = true };

	return show(&a, ret_plan, err);
}

int cluster_prepare_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
			     const struct create_options *options, struct plan *ret_plan,
			     struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .node = node, .for_show = true };

	return show(&a, ret_plan, err);
}

int cluster_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
		   const struct create_options *options, struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .config = config };

	return make(&a, err);
}

int cluster_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
		     const struct create_options *options, struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .node = node };

	return make(&a, err);
}
