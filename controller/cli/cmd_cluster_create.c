#include "controller/cli/cell.h"
#include "controller/cli/create_flags.h"
#include "controller/cli/fields.h"
#include "controller/cli/input.h"
#include "controller/cli/invocation.h"
#include "controller/cli/plan_print.h"
#include "controller/cli/print.h"
#include "shared/base/parse.h"

#include <stdlib.h>
#include <string.h>

static int add_nodes(struct cluster_config *config, enum node_role role, int64_t count,
		     struct err *err)
{
	for (int64_t i = 0; i < count; i++) {
		if (!cluster_config_add_node(config, role))
			return err_oom(err);
	}
	return 0;
}

static int config_from_flags(const struct options *opt, struct cluster_config **ret_config,
			     struct err *err)
{
	cleanup_with(cluster_config) struct cluster_config *config = cluster_config_new();
	int64_t control_planes = opt->control_planes < 0 ? 1 : opt->control_planes;

	if (!config)
		return err_oom(err);
	/* A fresh configuration has one control plane already. */
	if (add_nodes(config, NODE_CONTROL_PLANE, control_planes - 1, err) < 0 ||
	    add_nodes(config, NODE_WORKER, opt->workers < 0 ? 0 : opt->workers, err) < 0)
		return -1;
	*ret_config = TAKE(config);
	return 0;
}

static int config_from_file(const struct options *opt, struct cluster_config **ret_config,
			    struct err *err)
{
	cleanup_with(text) struct text text = { 0 };

	if (opt->workers >= 0 || opt->control_planes >= 0)
		return usage_error(err, "--config says which nodes there are: no --workers or "
					"--control-planes beside it");
	if (input_read(opt->config, &text, err) < 0)
		return -1;
	return cluster_config_read(opt->config, text_str(&text), text.len, ret_config, err);
}

/* kind's order: flag, environment, file, default. */
static const char *cluster_name(const struct invocation *inv, const struct cluster_config *config)
{
	if (!invocation_has_cluster(inv) && config->name && *config->name)
		return config->name;
	return invocation_cluster(inv);
}

static void print_warnings(const struct invocation *inv, const struct strv *warnings)
{
	for (size_t i = 0; i < warnings->count; i++)
		invocation_note(inv, "warning: %s", warnings->items[i]);
}

/* The network's name: flag, then environment, of which a warning tells (CN-070). */
static int set_network(const struct invocation *inv, struct cluster_config *config, struct err *err)
{
	const char *own = getenv("BERTH_NETWORK");

	if (inv->opt->network)
		return node_set(&config->network, inv->opt->network, err);
	if (!own || !*own)
		return 0;
	invocation_note(inv, "warning: BERTH_NETWORK is set: the cluster goes to the network '%s'",
			own);
	return node_set(&config->network, own, err);
}

static int set_networking(const struct invocation *inv, struct cluster_config *config,
			  struct err *err)
{
	const struct options *opt = inv->opt;
	struct strv domains = { 0 };
	bool given;

	if (opt->ip_family >= 0)
		config->ip_family = (enum ip_family)opt->ip_family;
	if (opt->subnet && opt->static_ip)
		invocation_note(inv, "warning: --static-ip brings its own subnet: --subnet is not "
				     "used");
	if ((opt->subnet && node_set(&config->subnet, opt->subnet, err) < 0) ||
	    set_network(inv, config, err) < 0 ||
	    create_flags_dns_search(opt, &domains, &given, err) < 0)
		return -1;
	if (!given)
		return 0;
	strv_release(&config->dns_search);
	config->dns_search = domains;
	config->has_dns_search = true;
	return 0;
}

static struct node_config *first_control_plane(const struct cluster_config *config)
{
	size_t i = 0;

	while (i + 1 < config->node_count && config->nodes[i].role != NODE_CONTROL_PLANE)
		i++;
	return &config->nodes[i];
}

/* Flags add to what a file says. */
static int apply_flags(const struct invocation *inv, struct cluster_config *config, struct err *err)
{
	if (set_networking(inv, config, err) < 0)
		return -1;
	for (size_t i = 0; i < config->node_count; i++) {
		if (create_flags_each(inv->opt, &config->nodes[i], err) < 0)
			return -1;
	}
	return create_flags_one(inv->opt, first_control_plane(config), err);
}

static int read_config(struct invocation *inv, struct cluster_config **ret_config, struct err *err)
{
	cleanup_with(strv) struct strv warnings = { 0 };
	cleanup_with(cluster_config) struct cluster_config *config = NULL;
	int result = inv->opt->config ? config_from_file(inv->opt, &config, err)
				      : config_from_flags(inv->opt, &config, err);

	if (result < 0)
		return -1;
	print_warnings(inv, &config->warnings);
	if (apply_flags(inv, config, err) < 0)
		return -1;
	result = cluster_spec_check(cluster_name(inv, config), inv->opt->image, config, &warnings,
				    err);
	print_warnings(inv, &warnings);
	if (result < 0)
		return -1;
	*ret_config = TAKE(config);
	return 0;
}

/* The one that pods would go to. */
static const char *last_node(const struct cluster_config *config)
{
	const char *name = "";

	for (size_t i = 0; i < config->node_count; i++) {
		if (config->nodes[i].role != NODE_LOAD_BALANCER)
			name = config->nodes[i].name;
	}
	return name;
}

/* What a newcomer wants to know next. */
static void go_on(const struct invocation *inv, const char *name,
		  const struct cluster_config *config, int64_t millis)
{
	cleanup_free char *flag = NULL;
	char took[32];

	if (strcmp(name, CLUSTER_DEFAULT_NAME) != 0)
		flag = text_format(" --name %s", name);
	cell_millis(millis, took, sizeof(took));
	invocation_note(inv, "Cluster '%s' is %s after %s. Go on with:", name,
			inv->opt->wait_ms == 0 ? "started" : "ready", took);
	invocation_note(inv, "  berth get nodes%s", flag ? flag : "");
	invocation_note(inv, "  berth apply -f pod.yaml -N %s%s --wait", last_node(config),
			flag ? flag : "");
	invocation_note(inv, "  berth delete cluster%s", flag ? flag : "");
}

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "cluster/%s %s", field_str(row, "cluster"), field_str(row, "result"));
}

static int print_result(struct invocation *inv, const char *name,
			const struct cluster_config *config, int64_t millis, struct err *err)
{
	static const struct listing listing = {
		.noun = "cluster",
		.name_path = "cluster",
		.line = line,
	};
	cleanup_json struct json_object *rows = json_object_new_array();
	struct json_object *row = row_add(rows), *nodes;

	field_text(row, "cluster", name);
	field_text(row, "result", "created");
	field_text(row, "provider", provider_name(inv->provider));
	field_int(row, "millis", millis);
	nodes = field_array(row, "nodes");
	for (size_t i = 0; i < config->node_count; i++)
		json_object_array_add(nodes, json_object_new_string(config->nodes[i].name));
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

/* --wait bounds the whole create; none at all with 0. */
static struct create_options create_options(struct invocation *inv)
{
	const struct options *opt = inv->opt;

	if (opt->wait_ms > 0)
		inv->by = deadline_min(inv->by, deadline_in_ms(opt->wait_ms));
	return (struct create_options){
		.image = opt->image,
		.wait = opt->wait_ms != 0,
		.retain = opt->retain,
		.agent_tls = opt->agent_tls,
		.allow_default_network = opt->allow_default_network,
	};
}

static int print_plan(struct invocation *inv, const struct cluster_ctx *ctx,
		      const struct cluster_config *config, const struct create_options *options,
		      struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };

	if (cluster_prepare_create(ctx, config, options, &plan, err) < 0)
		return -1;
	return plan_print(inv->out, invocation_format(inv), &plan, err);
}

static int create(struct invocation *inv, const char *name, const struct cluster_config *config,
		  struct err *err)
{
	struct create_options options = create_options(inv);
	int64_t began = clock_now_ms(), millis;
	struct cluster_ctx ctx;

	if (invocation_cluster_ctx(inv, name, &ctx, err) < 0)
		return -1;
	if (inv->opt->dry_run)
		return print_plan(inv, &ctx, config, &options, err);
	if (cluster_create(&ctx, config, &options, err) < 0)
		return -1;
	millis = clock_now_ms() - began;
	if (print_result(inv, name, config, millis, err) < 0)
		return -1;
	go_on(inv, name, config, millis);
	return 0;
}

static int run(struct invocation *inv, struct err *err)
{
	cleanup_with(cluster_config) struct cluster_config *config = NULL;

	if (read_config(inv, &config, err) < 0)
		return -1;
	return create(inv, cluster_name(inv, config), config, err);
}

static const struct option_spec create_flags[] = {
	{ .name = "config",
	  .value = "FILE",
	  .type = OPTION_TEXT,
	  OPTION_AT(config),
	  .help = "kind v1alpha4 cluster file, or - for stdin" },
	OPTION_ROW_IMAGE,
	{ .name = "workers",
	  .value = "N",
	  .type = OPTION_NUMBER,
	  OPTION_AT(workers),
	  .max = 100,
	  .help = "worker nodes (default: 0)" },
	{ .name = "control-planes",
	  .value = "N",
	  .type = OPTION_NUMBER,
	  OPTION_AT(control_planes),
	  .min = 1,
	  .max = 9,
	  .help = "control-plane nodes (default: 1)" },
	{ .name = "wait",
	  .value = "DUR",
	  .type = OPTION_DURATION,
	  OPTION_AT(wait_ms),
	  .help = "how long it may take until all nodes are ready; 0: do not wait (default: "
		  "--timeout)" },
	{ .name = "retain",
	  .type = OPTION_SWITCH,
	  OPTION_AT(retain),
	  .help = "when it fails, leave what was made, to look at" },
	CREATE_NODE_FLAGS,
	{ .name = "subnet",
	  .value = "CIDR",
	  .type = OPTION_TEXT,
	  OPTION_AT(subnet),
	  .help = "first IPv4 subnet to try for the cluster's network (default: "
		  "192.168.49.0/24)" },
	{ .name = "ip-family",
	  .value = "FAMILY",
	  .type = OPTION_CHOICE,
	  OPTION_AT(ip_family),
	  .choices = "ipv4 ipv6 dual",
	  .help = "ipv4, ipv6 or dual (default: ipv4)" },
	{ .name = "network",
	  .value = "NETWORK",
	  .type = OPTION_TEXT,
	  OPTION_AT(network),
	  .help = "network of the engine to use, made when it is not there (default: "
		  "$BERTH_NETWORK, else one of the cluster's own)" },
	{ .name = "agent-tls",
	  .type = OPTION_SWITCH,
	  OPTION_AT(agent_tls),
	  .help = "publish the agents on 127.0.0.1 by TLS, and make the certificates for it" },
	{ .name = "allow-default-network",
	  .type = OPTION_SWITCH,
	  OPTION_AT(allow_default_network),
	  .help = "when no network can be made, use the engine's own, without static addresses" },
	OPTION_ROW_DRY_RUN,
	{ 0 },
};

const struct command cmd_cluster_create = {
	.name = "create cluster",
	.args = "[NAME]",
	.summary = "make a cluster and wait until its nodes are ready",
	.details = "One control plane unless flags or a file say otherwise. When anything fails, "
		   "or is\n"
		   "interrupted, all that was made is removed again.",
	.example = "berth create cluster --name demo --workers 2",
	.max_args = 1,
	.flags = CMD_PLANS,
	.outputs = OUTPUTS_RESULT,
	.timeout_ms = 360000,
	.options = create_flags,
	.run = run,
};
