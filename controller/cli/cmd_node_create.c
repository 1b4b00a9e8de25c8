#include "controller/cli/create_flags.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/plan_print.h"
#include "controller/cli/print.h"
#include "shared/base/parse.h"

#include <string.h>

static int check(const struct invocation *inv, enum node_role *ret_role, struct err *err)
{
	const char *name = inv->args->items[0], *role = inv->opt->role;

	if (!name_is_label(name)) {
		usage_error(err,
			    "'%s' is no node name: lower-case letters, digits and '-', at most "
			    "63, a letter or digit first and last",
			    name);
		return err_explain(err, "BAD_NAME", NULL);
	}
	*ret_role = NODE_WORKER;
	if (role && (!node_role_parse(role, ret_role) || *ret_role == NODE_LOAD_BALANCER))
		return usage_error(err, "--role: '%s' is neither control-plane nor worker", role);
	return 0;
}

/* A balancer's is another. */
static const char *image_of_nodes(const struct node_list *nodes)
{
	for (size_t i = 0; i < nodes->count; i++) {
		if (nodes->items[i]->role != NODE_LOAD_BALANCER)
			return nodes->items[i]->image;
	}
	return "";
}

/* The image of the others, unless one was given. */
static int fill(struct invocation *inv, struct node_config *node, struct err *err)
{
	int rc;

	cleanup_with(node_list) struct node_list found = { 0 };
	cleanup_with(strv) struct strv warnings = { 0 };

	if (node_set(&node->name, inv->args->items[0], err) < 0 ||
	    nodes_list(inv, NULL, true, &found, err) < 0 ||
	    node_set(&node->image, image_of_nodes(&found), err) < 0 ||
	    create_flags_each(inv->opt, node, err) < 0 || create_flags_one(inv->opt, node, err) < 0)
		return -1;
	rc = cluster_node_check(inv->opt->image, node, &warnings, err);
	for (size_t i = 0; i < warnings.count; i++)
		invocation_note(inv, "warning: %s", warnings.items[i]);
	return rc;
}

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "node/%s created", field_str(row, "node"));
}

static int print_result(struct invocation *inv, struct err *err)
{
	static const struct listing listing = { .noun = "node", .name_path = "node", .line = line };
	cleanup_json struct json_object *rows = json_object_new_array();
	struct json_object *row = row_add(rows);

	field_text(row, "node", inv->args->items[0]);
	field_text(row, "cluster", invocation_cluster(inv));
	field_text(row, "result", "created");
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int print_plan(struct invocation *inv, const struct cluster_ctx *ctx,
		      const struct node_config *node, const struct create_options *options,
		      struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };

	if (cluster_prepare_add_node(ctx, node, options, &plan, err) < 0)
		return -1;
	return plan_print(inv->out, invocation_format(inv), &plan, err);
}

static int create(struct invocation *inv, const struct node_config *node, struct err *err)
{
	struct create_options options = { .image = inv->opt->image,
					  .wait = true,
					  .retain = inv->opt->retain };
	cleanup_with(strv) struct strv domains = { 0 };
	struct cluster_ctx ctx;
	bool given;

	if (create_flags_dns_search(inv->opt, &domains, &given, err) < 0)
		return -1;
	options.dns_search = given ? &domains : NULL;
	if (invocation_cluster_ctx(inv, invocation_cluster(inv), &ctx, err) < 0)
		return -1;
	if (inv->opt->dry_run)
		return print_plan(inv, &ctx, node, &options, err);
	if (cluster_add_node(&ctx, node, &options, err) < 0)
		return -1;
	return print_result(inv, err);
}

static int run(struct invocation *inv, struct err *err)
{
	cleanup_with(cluster_config) struct cluster_config *config = NULL;
	struct node_config *node;
	enum node_role role;

	if (check(inv, &role, err) < 0)
		return -1;
	config = cluster_config_new();
	node = config ? cluster_config_add_node(config, role) : NULL;
	if (!node)
		return err_oom(err);
	if (fill(inv, node, err) < 0)
		return -1;
	return create(inv, node, err);
}

static const struct option_spec create_flags[] = {
	{ .name = "role",
	  .value = "ROLE",
	  .type = OPTION_TEXT,
	  OPTION_AT(role),
	  .help = "control-plane or worker (default: worker)" },
	OPTION_ROW_IMAGE,
	{ .name = "retain",
	  .type = OPTION_SWITCH,
	  OPTION_AT(retain),
	  .help = "when it fails, leave what was made, to look at" },
	CREATE_NODE_FLAGS,
	OPTION_ROW_DRY_RUN,
	{ 0 },
};

const struct command cmd_node_create = {
	.name = "create node",
	.args = "NAME",
	.summary = "add a node to a cluster and wait until it is ready",
	.details = "NAME is the whole name of the node. It gets the image of the cluster's other "
		   "nodes.",
	.min_args = 1,
	.max_args = 1,
	.flags = CMD_PLANS,
	.outputs = OUTPUTS_RESULT,
	.timeout_ms = 360000,
	.options = create_flags,
	.run = run,
};
