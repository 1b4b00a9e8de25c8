/*
 * What is wanted minus what was found: steps. Pure.
 */
#include "controller/cluster/cluster.h"
#include "controller/cluster/proxy.h"
#include "controller/cluster/store.h"
#include "controller/cluster/subnet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_SERVER_PORT 6443
/* podman's own network: nothing is made there and no address is given (CN-050). */
#define ENGINE_NETWORK "podman"

/* One planning: what all its nodes share. */
struct planning {
	const struct cluster_ctx *ctx;
	const struct create_options *options;
	const struct cluster_found *found;
	const struct cluster_config *config; /* NULL for one more node */
	struct plan *plan;
	char subnet[32];     /* "" when the nodes get no addresses of ours */
	const char *network; /* "" for the engine's own */
	bool new_network;
	struct kv_list env;
};

static int cluster_exists(const char *name, struct err *err)
{
	err_set(err, ERR_ALREADY_EXISTS, 0, "cluster '%s' exists already", name);
	return err_explain(err, "CLUSTER_EXISTS", "delete it first, or choose another --name");
}

static int name_in_use(const char *name, const char *whose, struct err *err)
{
	err_set(err, ERR_ALREADY_EXISTS, 0, "%s is called '%s' already", whose, name);
	return err_explain(err, "NAME_IN_USE",
			   "Berth does not touch it: remove it yourself, or choose another name");
}

/* CN-142: names are the engine's, whoever's container has them. */
static int check_name_free(const struct cluster_found *found, const char *name, struct err *err)
{
	const struct node *node = node_list_find(&found->nodes, name);

	if (node) {
		char whose[128];

		snprintf(whose, sizeof(whose), "a node of cluster '%s'", node->cluster);
		return name_in_use(name, whose, err);
	}
	if (strv_has(&found->foreign, name))
		return name_in_use(name, "a container that is not Berth's", err);
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

/* A network of that name is used as it is (CN-051). */
static int choose_network(struct planning *p, struct err *err)
{
	const struct network *present = network_list_find(&p->found->networks, p->ctx->name);

	if (strcmp(p->ctx->name, ENGINE_NETWORK) == 0) {
		p->network = "";
		return 0;
	}
	p->network = p->ctx->name;
	if (!present) {
		p->new_network = true;
		return subnet_choose(p->found, p->subnet, sizeof(p->subnet), err);
	}
	if (!*present->subnet) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "the network '%s' has no IPv4 subnet",
			p->network);
		return err_explain(err, "NETWORK_UNUSABLE",
				   "remove it, or choose another name for the cluster");
	}
	snprintf(p->subnet, sizeof(p->subnet), "%s", present->subnet);
	return 0;
}

static int add_network(struct planning *p, struct err *err)
{
	const struct network_spec spec = {
		.cluster = p->ctx->name,
		.name = p->network,
		.subnet = p->subnet,
		.subnet6 = "",
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
	if (p->new_network)
		strv_add(&directory->after, "network");
	if (provider_plan_create(p->ctx->provider, spec, p->plan, err) < 0)
		return -1;
	create = plan_last(p->plan);
	create->role = directory->role;
	strv_add(&create->after, directory->id);
	after_cluster_steps(p->plan, create);
	if (!p->options->wait)
		return 0;
	wait = add_own_step(p, STEP_WAIT_READY, spec);
	if (!wait)
		return err_oom(err);
	strv_add(&wait->after, create->id);
	return 0;
}

/* Address by index (CN-080), past those that the engine refused. */
static int node_address(const struct planning *p, int index, char *ret_ip, size_t size,
			struct err *err)
{
	struct subnet subnet;

	ret_ip[0] = '\0';
	if (!*p->subnet)
		return 0;
	if (!subnet_parse(p->subnet, &subnet) || !subnet_node_ip(subnet, index, ret_ip, size)) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, 0,
			"subnet %s has no address for node number %d", p->subnet, index);
		return err_explain(err, "SUBNET_FULL", NULL);
	}
	return 0;
}

/* kind publishes the API server of every control plane; the engine picks the port and keeps it, unless
 * the config names one. */
static struct port_mapping *with_api_port(const struct planning *p, const struct node_config *node,
					  size_t *ret_count)
{
	struct port_mapping *ports = calloc(node->port_count + 1, sizeof(*ports));
	bool has = node->role != NODE_CONTROL_PLANE;

	for (size_t i = 0; ports && i < node->port_count; i++) {
		ports[i] = node->ports[i];
		has |= ports[i].container_port == API_SERVER_PORT && ports[i].protocol == PORT_TCP;
	}
	*ret_count = node->port_count + !has;
	if (!ports || has)
		return ports;
	ports[node->port_count] = (struct port_mapping){
		.container_port = API_SERVER_PORT,
		.host_port =
			p->config && p->config->api_server_port ? p->config->api_server_port : -1,
		.listen_address = p->config ? p->config->api_server_address : NULL,
		.protocol = PORT_TCP,
	};
	return ports;
}

static int add_node(struct planning *p, const struct node_config *node, int index, struct err *err)
{
	cleanup_free char *run_dir = store_run_dir(p->ctx->state_dir, node->name);
	cleanup_free struct port_mapping *ports = NULL;
	char ip[16];
	struct node_spec spec = {
		.name = node->name,
		.cluster = p->ctx->name,
		.role = node->role,
		.index = index,
		.image = node->image,
		.ip = ip,
		.network = p->network,
		.run_dir = run_dir,
		.agent_port = -1,
		.mounts = node->mounts,
		.mount_count = node->mount_count,
		.env = &p->env,
		.labels = &node->labels,
	};

	ports = with_api_port(p, node, &spec.port_count);
	spec.ports = ports;
	if (!run_dir || !ports)
		return err_oom(err);
	if (check_name_free(p->found, node->name, err) < 0 ||
	    node_address(p, index, ip, sizeof(ip), err) < 0)
		return -1;
	return add_node_steps(p, &spec, err);
}

/* The agent's socket must fit; podman's --volume takes no ':' in a path. */
static int check_state_dir(const char *state_dir, const char *node, struct err *err)
{
	cleanup_free char *run_dir = store_run_dir(state_dir, node);
	struct node fake = { .run_dir = run_dir };
	char path[256];

	if (!run_dir)
		return err_oom(err);
	if (state_dir[0] != '/' || strchr(state_dir, ':')) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"the state directory '%s' must be an absolute path without ':'", state_dir);
		return err_explain(err, "STATE_DIR_INVALID", "choose another --state-dir");
	}
	return node_socket_path(&fake, path, sizeof(path), err);
}

static int plan_all(struct planning *p, struct err *err)
{
	const struct cluster_config *config = p->config;

	for (size_t i = 0; i < config->node_count; i++) {
		if (check_state_dir(p->ctx->state_dir, config->nodes[i].name, err) < 0)
			return -1;
	}
	if (choose_network(p, err) < 0)
		return -1;
	if (!proxy_for_nodes(&p->found->env, p->subnet, config, &p->env))
		return err_oom(err);
	if (add_image_checks(p, config->nodes, config->node_count, err) < 0)
		return -1;
	if (p->new_network && add_network(p, err) < 0)
		return -1;
	for (size_t i = 0; i < config->node_count; i++) {
		if (add_node(p, &config->nodes[i], (int)i + 1, err) < 0)
			return -1;
	}
	return 0;
}

/* Hands the plan over, or drops it. */
static int finish(struct planning *p, struct plan *plan, int rc, struct plan *ret_plan,
		  struct err *err)
{
	kv_release(&p->env);
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
	struct planning p = {
		.ctx = ctx, .options = options, .found = found, .config = config, .plan = &plan
	};

	if (cluster_has_nodes(found, ctx->name))
		return cluster_exists(ctx->name, err);
	return finish(&p, &plan, plan_all(&p, err), ret_plan, err);
}

static bool index_is_taken(const struct planning *p, int index)
{
	char ip[16];
	struct err ignored;

	for (size_t i = 0; i < p->found->nodes.count; i++) {
		const struct node *node = p->found->nodes.items[i];

		if (strcmp(node->cluster, p->ctx->name) == 0 && node->index == index)
			return true;
	}
	return node_address(p, index, ip, sizeof(ip), &ignored) == 0 && *ip &&
	       strv_has(&p->found->bad_ips, ip);
}

static int free_index(const struct planning *p)
{
	int index = 1;

	while (index_is_taken(p, index))
		index++;
	return index;
}

int cluster_plan_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
			  const struct create_options *options, const struct cluster_found *found,
			  struct plan *ret_plan, struct err *err)
{
	struct cluster_config none = { .nodes = (struct node_config *)node, .node_count = 1 };
	struct plan plan = { 0 };
	struct planning p = { .ctx = ctx, .options = options, .found = found, .plan = &plan };
	int rc;

	if (!cluster_has_nodes(found, ctx->name)) {
		err_set(err, ERR_NOT_FOUND, 0, "there is no cluster '%s'", ctx->name);
		return err_explain(err, "CLUSTER_NOT_FOUND", "create it first, or give its --name");
	}
	rc = check_state_dir(ctx->state_dir, node->name, err);
	if (rc == 0)
		rc = choose_network(&p, err);
	if (rc == 0 && !proxy_for_nodes(&found->env, p.subnet, &none, &p.env))
		rc = err_oom(err);
	if (rc == 0)
		rc = add_image_checks(&p, node, 1, err);
	if (rc == 0 && p.new_network)
		rc = add_network(&p, err);
	if (rc == 0)
		rc = add_node(&p, node, free_index(&p), err);
	return finish(&p, &plan, rc, ret_plan, err);
}
