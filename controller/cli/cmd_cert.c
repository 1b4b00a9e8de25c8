#include "controller/cli/fields.h"
#include "controller/cli/invocation.h"
#include "controller/cli/print.h"
#include "controller/trust/trust.h"
#include "shared/base/deadline.h"

#include <string.h>

#define NS_IN_S ((int64_t)1000000000)

static const char *state_of(const struct trust_cert *cert, int64_t now_s)
{
	if (now_s > cert->until_s)
		return "expired";
	if (now_s < cert->from_s)
		return "not yet valid";
	return now_s >= cert->renew_s ? "renew" : "ok";
}

static void add_row(struct json_object *rows, const char *cluster, const struct trust_cert *cert,
		    int64_t now_s)
{
	struct json_object *row = row_add(rows);

	field_text(row, "name", cert->name);
	field_text(row, "kind", cert->kind);
	field_text(row, "cluster", cluster);
	field_text(row, "state", state_of(cert, now_s));
	field_text(row, "issuer", cert->issuer);
	field_time_ns(row, "notBefore", cert->from_s * NS_IN_S);
	field_time_ns(row, "notAfter", cert->until_s * NS_IN_S);
	field_time_ns(row, "renewAfter", cert->renew_s * NS_IN_S);
}

static const struct column columns[] = {
	{ .title = "NAME", .path = "name" },
	{ .title = "KIND", .path = "kind" },
	{ .title = "STATE", .path = "state" },
	{ .title = "NOT BEFORE", .path = "notBefore", .wide = true },
	{ .title = "NOT AFTER", .path = "notAfter" },
	{ .title = "RENEW AFTER", .path = "renewAfter" },
	{ .title = "ISSUER", .path = "issuer", .wide = true },
	{ 0 },
};

static const struct listing listing = {
	.noun = "cert",
	.name_path = "name",
	.columns = columns,
};

static int print_certs(struct invocation *inv, struct trust *trust, struct err *err)
{
	__attribute__((cleanup(cleanup_trust_certs))) struct trust_certs certs = { 0 };
	cleanup_json struct json_object *rows = json_object_new_array();
	int64_t now_s = clock_wall_ns() / NS_IN_S;

	if (trust_list(trust, &certs, err) < 0)
		return -1;
	for (size_t i = 0; i < certs.count; i++)
		add_row(rows, invocation_cluster(inv), &certs.items[i], now_s);
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int open_trust(struct invocation *inv, struct trust **ret_trust, struct err *err)
{
	const char *state_dir = invocation_state_dir(inv, err);

	if (!state_dir)
		return -1;
	return trust_open(state_dir, invocation_cluster(inv), false, clock_wall_ns() / NS_IN_S,
			  ret_trust, err);
}

static int get_certs(struct invocation *inv, struct err *err)
{
	cleanup_with(trust) struct trust *trust = NULL;

	return open_trust(inv, &trust, err) < 0 ? -1 : print_certs(inv, trust, err);
}

static int renew_certs(struct invocation *inv, struct err *err)
{
	cleanup_with(trust) struct trust *trust = NULL;
	enum trust_renewal renewal = inv->opt->authority ? TRUST_NEW_AUTHORITY
				     : inv->opt->force   ? TRUST_LEAVES
							 : TRUST_AS_NEEDED;

	if (open_trust(inv, &trust, err) < 0 || trust_renew(trust, renewal, err) < 0 ||
	    trust_renew_nodes(trust, renewal, err) < 0)
		return -1;
	return print_certs(inv, trust, err);
}

const struct command cmd_cert_get = {
	.name = "get certs",
	.args = "",
	.summary = "list the certificates of a cluster and how long they are good",
	.details = "Clusters have them that were made with 'create cluster --agent-tls'.",
	.outputs = OUTPUTS_LIST,
	.run = get_certs,
};

static const struct option_spec renew_options[] = {
	{ .name = "force",
	  .type = OPTION_SWITCH,
	  OPTION_AT(force),
	  .help = "renew all certificates of nodes and roles" },
	{ .name = "authority",
	  .type = OPTION_SWITCH,
	  OPTION_AT(authority),
	  .help = "make a new authority; the one before stays accepted until the next" },
	{ 0 },
};

const struct command cmd_cert_renew = {
	.name = "renew certs",
	.args = "",
	.summary = "renew what is past half of its life",
	.details = "Running nodes take up new certificates within seconds; connections go on. "
		   "'start' and\n"
		   "'restart' renew, too.",
	.example = "berth renew certs --name demo --authority",
	.outputs = OUTPUTS_LIST,
	.options = renew_options,
	.run = renew_certs,
};
