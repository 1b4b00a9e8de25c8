/*
 * What is wanted minus what was found: steps. Pure.
 */
#include "controller/cluster/plan_parts.h"
#include "controller/cluster/proxy.h"
#include "controller/cluster/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int cluster_exists(const char *name, struct err *err)
{
	err_set(err, ERR_ALREADY_EXISTS, 0, "cluster '%s' exists already", name);
	return err_explain(err, "CLUSTER_EXISTS", "delete it first, or choose another --name");
}

static int name_in_use(const char *name, const char *whose, const char *advice, struct err *err)
{
	err_set(err, ERR_ALREADY_EXISTS, 0, "%s is called '%s' already", whose, name);
	return err_explain(err, "NAME_IN_USE", advice);
}

/* CN-142: names are the engine's, whoever's container has them. */
static int check_name_free(const struct cluster_found *found, const char *name, struct err *err)
{
	const struct node *node = node_list_find(&found->nodes, name);

	if (node) {
		char whose[128];

		snprintf(whose, sizeof(whose), "a node of cluster '%s'", node->cluster);
		return name_in_use(name, whose,
				   "'berth delete node' removes it; or choose another name", err);
	}
	if (strv_has(&found->foreign, name))
		return name_in_use(
			name, "a container that is not Berth's",
			"Berth does not touch it: remove it yourself, or choose another name", err);
	return 0;
}

static bool cluster_has_nodes(const struct cluster_found *found, const char *cluster)
{
	for (size_t i = 0; i < found->nodes.count; i++) {
		if (strcmp(found->nodes.items[i]->cluster, cluster) == 0)
			return true;
	}
	return false;
}

static int add_network(struct planning *p, struct err *err)
{
	const struct network_spec spec = {
		.cluster = p->ctx->name,
		.name = p->network,
		.subnet = p->subnet,
		.subnet6 = p->subnet6,
		.mtu = p->mtu,
	};

	return provider_plan_network(p->ctx->provider, &spec, p->plan, err);
}

static int add_image_checks(struct planning *p, const struct node_config *nodes, size_t count,
			    struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again |= strcmp(nodes[k].image, nodes[i].image) == 0;
		if (!again &&
		    provider_plan_image(p->ctx->provider, nodes[i].image, p->plan, err) < 0)
			return -1;
	}
	return 0;
}

static struct step *add_own_step(struct planning *p, enum step_action action,
				 const struct node_spec *spec)
{
	struct step *step = plan_add(p->plan, action, spec->name);

	if (!step || !step_set_run_dir(step, spec->run_dir))
		return NULL;
	step->role = spec->role;
	return step;
}

/* Every step of the cluster's own that stands before it: image checks and the network. */
static void after_cluster_steps(const struct plan *plan, struct step *step)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (!*plan->steps[i]->node)
			strv_add(&step->after, plan->steps[i]->id);
	}
}

/* The directory comes after the network: who loses the race for a network has then touched nothing of
 * the winner's. */
static int add_node_steps(struct planning *p, const struct node_spec *spec, struct err *err)
{
	struct step *directory = add_own_step(p, STEP_DIRECTORY_CREATE, spec);
	struct step *create, *wait;

	if (!directory)
		return err_oom(err);
	directory->agent_tls = spec->agent_port >= 0;
	if (p->new_network)
		strv_add(&directory->after, "network");
	if (provider_plan_create(p->ctx->provider, spec, p->plan, err) < 0)
		return -1;
	create = plan_last(p->plan);
	create->role = directory->role;
	strv_add(&create->after, directory->id);
	after_cluster_steps(p->plan, create);
	/* A balancer is told where to send calls, for which its agent must answer. */
	if (!p->options->wait && spec->role != NODE_LOAD_BALANCER)
		return 0;
	wait = add_own_step(p, STEP_WAIT_READY, spec);
	if (!wait)
		return err_oom(err);
	strv_add(&wait->after, create->id);
	return 0;
}

/* Asked for, or as the cluster has it already. */
static bool wants_tls(const struct planning *p)
{
	for (size_t i = 0; i < p->found->nodes.count; i++) {
		const struct node *node = p->found->nodes.items[i];

		if (strcmp(node->cluster, p->ctx->name) == 0 && node_tls_port(node))
			return true;
	}
	return p->options->agent_tls;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* The proxies, then what the user wants, which wins. */
static int node_env(const struct planning *p, const struct node_config *node, struct kv_list *ret,
		    struct err *err)
{
	for (size_t i = 0; i < p->env.count; i++) {
		const struct kv *pair = &p->env.items[i];

		if (!kv_get(&node->env, pair->key) && !kv_add(ret, pair->key, pair->value))
			return err_oom(err);
	}
	for (size_t i = 0; i < node->env.count; i++) {
		if (!kv_add(ret, node->env.items[i].key, node->env.items[i].value))
			return err_oom(err);
	}
	return 0;
}

/* Another machine has no directory of this one: its nodes have none here. */
static char *run_dir_of(const struct planning *p, const char *node)
{
	return provider_is_remote(p->ctx->provider) ? strdup("")
						    : store_run_dir(p->ctx->state_dir, node);
}

static int add_node_at(struct planning *p, const struct node_config *node, int index,
		       const struct node_address *address, const struct kv_list *env,
		       struct err *err)
{
	cleanup_free char *run_dir = run_dir_of(p, node->name);
	const struct node_spec spec = {
		.name = node->name,
		.cluster = p->ctx->name,
		.role = node->role,
		.index = index,
		.image = node->image,
		.ip = address->ip,
		.ip6 = address->ip6,
		.network = p->network,
		.run_dir = run_dir,
		.mounts = node->mounts,
		.mount_count = node->mount_count,
		.ports = node->ports,
		.port_count = node->port_count,
		.env = env,
		.labels = &node->labels,
		.memory_bytes = node->memory_bytes,
		.cpus_milli = node->cpus_milli,
		.gpus = or_empty(node->gpus),
		.dns_search = p->dns_search,
		.agent_port = wants_tls(p) ? 0 : -1,
	};

	if (!run_dir)
		return err_oom(err);
	return add_node_steps(p, &spec, err);
}

/* By a name where the engine gives the addresses: its own DNS knows it. */
static void note_backend(struct planning *p, const struct node_config *node,
			 const struct node_address *address)
{
	bool six = p->ip_family == IP_FAMILY_V6 && *address->ip6;
	const char *where = six ? address->ip6 : *address->ip ? address->ip : node->name;

	if (node->role == NODE_CONTROL_PLANE)
		strv_addf(&p->backends, "%s=%s", node->name, where);
}

static int add_node(struct planning *p, const struct node_config *node, struct err *err)
{
	struct node_address address;
	struct kv_list env = { 0 };
	int index, rc;

	if (check_name_free(p->found, node->name, err) < 0 ||
	    planning_address(p, or_empty(node->static_ip), &index, &address, err) < 0)
		return -1;
	note_backend(p, node, &address);
	rc = node_env(p, node, &env, err);
	if (rc == 0)
		rc = add_node_at(p, node, index, &address, &env, err);
	kv_release(&env);
	return rc;
}

/* Certificates get to a node through its directory, and 127.0.0.1 would be the other machine's. */
static int no_remote_tls(struct err *err)
{
	err_set(err, ERR_UNIMPLEMENTED, 0, "agents on another machine cannot be published by TLS");
	return err_explain(err, "TLS_NOT_REMOTE",
			   "leave --agent-tls out: they are reached through the engine");
}

/* The agent's socket must fit; podman's --volume takes no ':' in a path. */
static int check_state_dir(const struct planning *p, const char *node, struct err *err)
{
	const char *state_dir = p->ctx->state_dir;
	cleanup_free char *run_dir = store_run_dir(state_dir, node);
	struct node fake = { .run_dir = run_dir };
	char path[256];

	if (!run_dir)
		return err_oom(err);
	if (provider_is_remote(p->ctx->provider))
		return wants_tls(p) ? no_remote_tls(err) : 0;
	if (state_dir[0] != '/' || strchr(state_dir, ':')) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"the state directory '%s' must be an absolute path without ':'", state_dir);
		return err_explain(err, "STATE_DIR_INVALID", "choose another --state-dir");
	}
	return node_socket_path(&fake, path, sizeof(path), err);
}

/* Once the balancer's agent answers, it is told where the control planes are; whether their API servers
 * answer is for it to find out. */
static int add_balancer_step(struct planning *p, const char *name, const char *run_dir,
			     struct err *err)
{
	cleanup_free char *ready = text_format("ready/%s", name);
	const struct node_spec spec = { .name = name,
					.role = NODE_LOAD_BALANCER,
					.run_dir = run_dir };
	struct step *step = add_own_step(p, STEP_BALANCER_CONFIGURE, &spec);

	if (!step || !ready)
		return err_oom(err);
	strv_add_all(&step->backends, &p->backends);
	for (size_t i = 0; i < p->plan->count; i++) {
		const struct step *other = p->plan->steps[i];

		if (other->action == STEP_CONTAINER_CREATE)
			strv_add(&step->after, other->id);
	}
	if (plan_find(p->plan, ready))
		strv_add(&step->after, ready);
	return strv_failed(&step->backends) ? err_oom(err) : 0;
}

static int configure_balancer(struct planning *p, const struct node_config *nodes, size_t count,
			      struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		cleanup_free char *run_dir = NULL;

		if (nodes[i].role != NODE_LOAD_BALANCER)
			continue;
		run_dir = run_dir_of(p, nodes[i].name);
		if (!run_dir)
			return err_oom(err);
		return add_balancer_step(p, nodes[i].name, run_dir, err);
	}
	return 0;
}

/* All at the same time, the balancer, too: its address is known before it is there (CN-264). */
static int add_nodes(struct planning *p, const struct cluster_config *config, struct err *err)
{
	for (size_t i = 0; i < config->node_count; i++) {
		if (add_node(p, &config->nodes[i], err) < 0)
			return -1;
	}
	return configure_balancer(p, config->nodes, config->node_count, err);
}

static int plan_all(struct planning *p, struct err *err)
{
	const struct cluster_config *config = p->config;

	for (size_t i = 0; i < config->node_count; i++) {
		if (check_state_dir(p, config->nodes[i].name, err) < 0)
			return -1;
	}
	if (planning_choose_network(p, err) < 0)
		return -1;
	if (!proxy_for_nodes(&p->found->env, p->subnet, p->subnet6, config, &p->env))
		return err_oom(err);
	if (add_image_checks(p, config->nodes, config->node_count, err) < 0)
		return -1;
	if (p->new_network && add_network(p, err) < 0)
		return -1;
	return add_nodes(p, config, err);
}

/* Hands the plan over, or drops it. */
static int finish(struct planning *p, struct plan *plan, int rc, struct plan *ret_plan,
		  struct err *err)
{
	kv_release(&p->env);
	strv_release(&p->addresses);
	strv_release(&p->backends);
	for (size_t i = 0; rc == 0 && i < plan->count; i++) {
		if (strv_failed(&plan->steps[i]->after))
			rc = err_oom(err);
	}
	if (rc < 0) {
		plan_release(plan);
		return -1;
	}
	*ret_plan = *plan;
	return 0;
}

int cluster_plan_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
			const struct create_options *options, const struct cluster_found *found,
			struct plan *ret_plan, struct err *err)
{
	struct plan plan = { 0 };
	struct planning p = { .ctx = ctx,
			      .options = options,
			      .found = found,
			      .config = config,
			      .plan = &plan,
			      .ip_family = config->ip_family,
			      .dns_search = config->has_dns_search ? &config->dns_search : NULL };

	if (cluster_has_nodes(found, ctx->name))
		return cluster_exists(ctx->name, err);
	return finish(&p, &plan, plan_all(&p, err), ret_plan, err);
}

/* A control plane that joins is one more place to send calls to. */
static int tell_balancer(struct planning *p, const struct node_config *node, struct err *err)
{
	const struct node *balancer = NULL;

	for (size_t i = 0; i < p->found->nodes.count; i++) {
		const struct node *other = p->found->nodes.items[i];
		bool six = p->ip_family == IP_FAMILY_V6 && *other->ip6;

		if (strcmp(other->cluster, p->ctx->name) != 0)
			continue;
		if (other->role == NODE_LOAD_BALANCER)
			balancer = other;
		if (other->role == NODE_CONTROL_PLANE)
			strv_addf(&p->backends, "%s=%s", other->name,
				  six          ? other->ip6
				  : *other->ip ? other->ip
					       : other->name);
	}
	if (node->role != NODE_CONTROL_PLANE || !balancer)
		return 0;
	return add_balancer_step(p, balancer->name, balancer->run_dir, err);
}

static int plan_one(struct planning *p, const struct node_config *node, struct err *err)
{
	const struct cluster_config none = { .nodes = (struct node_config *)node, .node_count = 1 };

	if (check_state_dir(p, node->name, err) < 0 || planning_find_network(p, err) < 0)
		return -1;
	if (!proxy_for_nodes(&p->found->env, p->subnet, p->subnet6, &none, &p->env))
		return err_oom(err);
	if (add_image_checks(p, node, 1, err) < 0)
		return -1;
	if (p->new_network && add_network(p, err) < 0)
		return -1;
	if (add_node(p, node, err) < 0)
		return -1;
	return tell_balancer(p, node, err);
}

int cluster_plan_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
			  const struct create_options *options, const struct cluster_found *found,
			  struct plan *ret_plan, struct err *err)
{
	struct plan plan = { 0 };
	struct planning p = { .ctx = ctx,
			      .options = options,
			      .found = found,
			      .plan = &plan,
			      .dns_search = options->dns_search };

	if (!cluster_has_nodes(found, ctx->name)) {
		err_set(err, ERR_NOT_FOUND, 0, "there is no cluster '%s'", ctx->name);
		return err_explain(err, "CLUSTER_NOT_FOUND", "create it first, or give its --name");
	}
	return finish(&p, &plan, plan_one(&p, node, err), ret_plan, err);
}
