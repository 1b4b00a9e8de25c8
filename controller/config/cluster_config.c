#include "controller/config/cluster_config.h"

#include "controller/config/report.h"
#include "controller/config/schema.h"
#include "controller/config/yaml.h"
#include "shared/base/parse.h"

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION "kind.x-k8s.io/v1alpha4"

/* --- what a string may be ---------------------------------------------------------------------- */

/* AF_INET, AF_INET6, or 0 when it is no address. */
static int address_family(const char *text)
{
	struct in6_addr any;

	if (inet_pton(AF_INET, text, &any) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, text, &any) == 1 ? AF_INET6 : 0;
}

static bool is_address(const char *text)
{
	return address_family(text) != 0;
}

/* The family of "10.0.0.0/16", or 0. */
static int subnet_family(const char *text, size_t len)
{
	char address[INET6_ADDRSTRLEN + 4];
	const char *slash = memchr(text, '/', len);
	int64_t bits;
	int family;

	if (!slash || len >= sizeof(address))
		return 0;
	memcpy(address, text, len);
	address[len] = '\0';
	address[slash - text] = '\0';
	family = address_family(address);
	if (!family ||
	    !parse_int(address + (slash - text) + 1, 0, family == AF_INET ? 32 : 128, &bits))
		return 0;
	return family;
}

/* One subnet of the family; for dual, as in kind, one of either or one of each, in either order, with a
 * comma between. */
static bool subnets_match(const char *text, enum ip_family ip_family)
{
	size_t len = strcspn(text, ",");
	int first = subnet_family(text, len);
	int second = text[len] ? subnet_family(text + len + 1, strlen(text + len + 1)) : 0;

	if (ip_family == IP_FAMILY_DUAL)
		return first && (!text[len] || (second && first != second));
	return !text[len] && first == (ip_family == IP_FAMILY_V4 ? AF_INET : AF_INET6);
}

/* --- the tables: every field of v1alpha4 (ecosystem.md 1.5) ------------------------------------- */

static const char *const role_words[] = { "control-plane", "worker", NULL };
static const char *const propagation_words[] = { "None", "HostToContainer", "Bidirectional", NULL };
static const char *const protocol_words[] = { "TCP", "UDP", "SCTP", NULL };
static const char *const family_words[] = { "ipv4", "ipv6", "dual", NULL };
static const char *const proxy_words[] = { "iptables", "ipvs", "nftables", "none", NULL };

_Static_assert(NODE_CONTROL_PLANE == 0 && NODE_WORKER == 1, "order of role_words");
_Static_assert(MOUNT_HOST_TO_CONTAINER == 1 && MOUNT_BIDIRECTIONAL == 2, "propagation_words");
_Static_assert(PORT_TCP == 0 && PORT_UDP == 1 && PORT_SCTP == 2, "order of protocol_words");
_Static_assert(IP_FAMILY_V4 == 0 && IP_FAMILY_V6 == 1 && IP_FAMILY_DUAL == 2, "family_words");

#define SCHEMA(table, struct_size)                                                  \
	{                                                                           \
		.fields = (table), .count = ARRAY_LEN(table), .size = (struct_size) \
	}

#define FIELD(kind, struct_type, member) .type = (kind), .offset = offsetof(struct_type, member)
#define CHECKED(kind)                    .type = (kind), .offset = FIELD_NOWHERE
#define UNUSED_FIELD(kind)               CHECKED(kind), .unused = true

static const struct field patch_fields[] = {
	{ "group", CHECKED(FIELD_STRING) },
	{ "version", CHECKED(FIELD_STRING) },
	{ "kind", CHECKED(FIELD_STRING) },
	{ "patch", CHECKED(FIELD_STRING) },
};
static const struct schema patch_schema = SCHEMA(patch_fields, 0);

#define MOUNT(kind, member) FIELD(kind, struct mount_config, member)
static const struct field mount_fields[] = {
	{ "hostPath", MOUNT(FIELD_STRING, host_path) },
	{ "containerPath", MOUNT(FIELD_STRING, container_path) },
	{ "readOnly", MOUNT(FIELD_BOOL, readonly) },
	{ "selinuxRelabel", MOUNT(FIELD_BOOL, selinux_relabel) },
	{ "propagation", MOUNT(FIELD_WORD, propagation), .words = propagation_words,
	  .lenient = true }, /* CN-100 */
};
static const struct schema mount_schema = SCHEMA(mount_fields, sizeof(struct mount_config));

#define PORT(kind, member) FIELD(kind, struct port_mapping, member)
static const struct field port_fields[] = {
	{ "containerPort", PORT(FIELD_PORT, container_port) },
	{ "hostPort", PORT(FIELD_PORT, host_port) },
	{ "listenAddress", PORT(FIELD_STRING, listen_address), .is_valid = is_address,
	  .wanted = "an IP address" },
	{ "protocol", PORT(FIELD_WORD, protocol), .words = protocol_words,
	  .any_case = true }, /* CN-093 */
};
static const struct schema port_schema = SCHEMA(port_fields, sizeof(struct port_mapping));

#define NODE(kind, member) FIELD(kind, struct node_config, member)
static const struct field node_fields[] = {
	{ NULL, NODE(FIELD_STRING, name) },
	{ NULL, NODE(FIELD_STRING, static_ip) },
	{ NULL, NODE(FIELD_STRING, gpus) },
	{ NULL, NODE(FIELD_STRING_MAP, env) },
	{ "role", NODE(FIELD_WORD, role), .words = role_words },
	{ "image", NODE(FIELD_STRING, image) },
	{ "labels", NODE(FIELD_STRING_MAP, labels) },
	{ "extraMounts", NODE(FIELD_STRUCTS, mounts), .schema = &mount_schema,
	  .aux = offsetof(struct node_config, mount_count) },
	{ "extraPortMappings", NODE(FIELD_STRUCTS, ports), .schema = &port_schema,
	  .aux = offsetof(struct node_config, port_count) },
	{ "kubeadmConfigPatches", UNUSED_FIELD(FIELD_STRINGS) },
	{ "kubeadmConfigPatchesJSON6902", UNUSED_FIELD(FIELD_STRUCTS), .schema = &patch_schema },
};
static const struct schema node_schema = SCHEMA(node_fields, sizeof(struct node_config));

#define CLUSTER(kind, member) FIELD(kind, struct cluster_config, member)
static const struct field networking_fields[] = {
	{ "ipFamily", CLUSTER(FIELD_WORD, ip_family), .words = family_words },
	{ "apiServerPort", CLUSTER(FIELD_PORT, api_server_port) },
	{ "apiServerAddress", CLUSTER(FIELD_STRING, api_server_address), .is_valid = is_address,
	  .wanted = "an IP address" },
	{ "podSubnet", CLUSTER(FIELD_STRING, pod_subnet) },
	{ "serviceSubnet", CLUSTER(FIELD_STRING, service_subnet) },
	{ "disableDefaultCNI", CLUSTER(FIELD_BOOL, disable_default_cni), .unused = true },
	{ "kubeProxyMode", CLUSTER(FIELD_STRING, kube_proxy_mode), .words = proxy_words,
	  .unused = true },
	{ "dnsSearch", CLUSTER(FIELD_STRINGS, dns_search),
	  .aux = offsetof(struct cluster_config, has_dns_search) },
};
static const struct schema networking_schema = SCHEMA(networking_fields, 0);

static const struct field cluster_fields[] = {
	{ NULL, CLUSTER(FIELD_STRINGS, warnings) },
	{ NULL, CLUSTER(FIELD_STRING, network) },
	{ NULL, CLUSTER(FIELD_STRING, subnet) },
	{ "kind", CHECKED(FIELD_STRING) },
	{ "apiVersion", CHECKED(FIELD_STRING) },
	{ "name", CLUSTER(FIELD_STRING, name) },
	{ "nodes", CLUSTER(FIELD_STRUCTS, nodes), .schema = &node_schema,
	  .aux = offsetof(struct cluster_config, node_count) },
	{ "networking", .type = FIELD_STRUCT, .schema = &networking_schema },
	{ "featureGates", UNUSED_FIELD(FIELD_BOOL_MAP) },
	{ "runtimeConfig", UNUSED_FIELD(FIELD_STRING_MAP) },
	{ "kubeadmConfigPatches", UNUSED_FIELD(FIELD_STRINGS) },
	{ "kubeadmConfigPatchesJSON6902", UNUSED_FIELD(FIELD_STRUCTS), .schema = &patch_schema },
	{ "containerdConfigPatches", UNUSED_FIELD(FIELD_STRINGS) },
	{ "containerdConfigPatchesJSON6902", UNUSED_FIELD(FIELD_STRINGS) },
};
static const struct schema cluster_schema = SCHEMA(cluster_fields, sizeof(struct cluster_config));

/* --- life -------------------------------------------------------------------------------------- */

void cluster_config_free(struct cluster_config *config)
{
	if (!config)
		return;
	schema_release(&cluster_schema, config);
	free(config);
}

static struct cluster_config *config_new(void)
{
	cleanup_with(cluster_config) struct cluster_config *config = calloc(1, sizeof(*config));

	if (!config || !schema_init(&cluster_schema, config))
		return NULL;
	return TAKE(config);
}

struct node_config *cluster_config_add_node(struct cluster_config *config, enum node_role role)
{
	struct node_config *node = schema_append(&node_schema, &config->nodes, &config->node_count);

	if (node)
		node->role = role;
	return node;
}

struct port_mapping *node_config_add_port(struct node_config *node)
{
	return schema_append(&port_schema, &node->ports, &node->port_count);
}

struct mount_config *node_config_add_mount(struct node_config *node)
{
	return schema_append(&mount_schema, &node->mounts, &node->mount_count);
}

struct cluster_config *cluster_config_new(void)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_new();

	if (!config || !cluster_config_add_node(config, NODE_CONTROL_PLANE))
		return NULL;
	return TAKE(config);
}

/* --- reading ----------------------------------------------------------------------------------- */

static void check_header(const struct yaml *doc, const char *key, const char *only,
			 struct report *report)
{
	const struct yaml *node = yaml_get(doc, key);

	if (!node)
		report_error(report, doc->at, "%s is missing; it must be '%s'", key, only);
	else if (node->type != YAML_STRING)
		report_type_error(report, node, "a string");
	else if (strcmp(node->text, only) != 0)
		report_node_error(report, node, "'%.*s' is not supported; use '%s'",
				  yaml_clip(node->text, 60), node->text, only);
}

static void check_subnet(const struct yaml *doc, const char *key, enum ip_family family,
			 struct report *report)
{
	static const char *const wanted[] = {
		[IP_FAMILY_V4] = "one IPv4 subnet such as 10.244.0.0/16",
		[IP_FAMILY_V6] = "one IPv6 subnet such as fd00:10:244::/56",
		[IP_FAMILY_DUAL] = "a subnet, or an IPv4 and an IPv6 one with a comma between",
	};
	const struct yaml *node = yaml_get(yaml_get(doc, "networking"), key);

	if (!node || node->type != YAML_STRING || !*node->text || subnets_match(node->text, family))
		return;
	report_node_error(report, node, "is '%.*s'; with ipFamily %s it must be %s",
			  yaml_clip(node->text, 60), node->text, family_words[family],
			  wanted[family]);
}

static bool has_control_plane(const struct cluster_config *config)
{
	for (size_t i = 0; i < config->node_count; i++) {
		if (config->nodes[i].role == NODE_CONTROL_PLANE)
			return true;
	}
	return false;
}

/* What takes more than one field to see. */
static void check_whole(const struct yaml *doc, const struct cluster_config *config,
			struct report *report)
{
	check_subnet(doc, "podSubnet", config->ip_family, report);
	check_subnet(doc, "serviceSubnet", config->ip_family, report);
	if (report->errors == 0 && !has_control_plane(config))
		report_node_error(
			report, yaml_get(doc, "nodes"),
			"has no node with the role 'control-plane'; at least one is needed");
}

static void read_document(const struct yaml *doc, struct cluster_config *config,
			  struct report *report)
{
	if (doc->type != YAML_MAP) {
		report_type_error(report, doc, "a map");
		return;
	}
	check_header(doc, "apiVersion", API_VERSION, report);
	check_header(doc, "kind", "Cluster", report);
	if (report->errors) /* something else altogether: its fields are not ours to judge */
		return;
	schema_read(&cluster_schema, doc, config, report);
	if (config->node_count == 0 && !cluster_config_add_node(config, NODE_CONTROL_PLANE))
		report_no_memory(report);
	check_whole(doc, config, report);
}

static int read_first(const char *source, const char *text, size_t len, struct yaml **ret_doc,
		      struct err *err)
{
	cleanup_with(yaml_reader) struct yaml_reader *reader = NULL;
	cleanup_with(yaml) struct yaml *doc = NULL;

	if (yaml_open(source, text, len, &reader, err) < 0 || yaml_next(reader, &doc, err) < 0)
		return -1;
	if (!doc || doc->type == YAML_NULL)
		return err_set(
			err, ERR_INVALID_ARGUMENT, 0,
			"%s:1:1: the cluster file is empty; it needs at least 'kind: Cluster' "
			"and 'apiVersion: " API_VERSION "'",
			source);
	*ret_doc = TAKE(doc);
	return 0;
}

int cluster_config_read(const char *source, const char *text, size_t len,
			struct cluster_config **ret_config, struct err *err)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_new();
	cleanup_with(yaml) struct yaml *doc = NULL;
	struct report report = { .source = source, .err = err };

	if (!config)
		return err_oom(err);
	report.warnings = &config->warnings;
	if (read_first(source, text, len, &doc, err) < 0)
		return -1;
	read_document(doc, config, &report);
	if (report_end(&report) < 0)
		return -1;
	*ret_config = TAKE(config);
	return 0;
}
