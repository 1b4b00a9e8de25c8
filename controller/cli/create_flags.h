#pragma once
/* The flags that say what nodes are to be like: the same for a cluster and for one more node. */
#include "controller/cli/options.h"
#include "controller/config/cluster_config.h"

#define CREATE_NODE_FLAGS                                                                         \
	{ .name = "memory",                                                                       \
	  .value = "SIZE",                                                                        \
	  .type = OPTION_TEXT,                                                                    \
	  OPTION_AT(memory),                                                                      \
	  .help = "memory of each node: 2g, 4096m; 0: no limit (default: 0)" },                   \
		{ .name = "cpus",                                                                 \
		  .value = "N",                                                                   \
		  .type = OPTION_TEXT,                                                            \
		  OPTION_AT(cpus),                                                                \
		  .help = "CPUs of each node: 2, 1.5; 0: no limit (default: 0)" },                \
		{ .name = "gpus",                                                                 \
		  .value = "KIND",                                                                \
		  .type = OPTION_TEXT,                                                            \
		  OPTION_AT(gpus),                                                                \
		  .help = "GPUs of this host for each node: all, nvidia, nvidia.com or amd" },    \
		{ .name = "mount",                                                                \
		  .value = "MOUNT",                                                               \
		  .type = OPTION_REPEAT,                                                          \
		  OPTION_AT(mounts),                                                              \
		  .help = "host directory for each node, HOSTPATH:PATH[:ro,z,rslave,rshared,"     \
			  "create] or type=bind,source=HOSTPATH,target=PATH; repeatable" },       \
		{ .name = "preload",                                                              \
		  .value = "ARCHIVE",                                                             \
		  .type = OPTION_REPEAT,                                                          \
		  OPTION_AT(preloads),                                                            \
		  .help = "archive that each node begins with: images (docker save, OCI layout) " \
			  "or files for /var, also by gzip, zstd or lz4; repeatable" },           \
		{ .name = "env",                                                                  \
		  .letter = 'e',                                                                  \
		  .value = "KEY=VALUE",                                                           \
		  .type = OPTION_REPEAT,                                                          \
		  OPTION_AT(env),                                                                 \
		  .help = "environment of each node; repeatable" },                               \
		{ .name = "label",                                                                \
		  .value = "KEY=VALUE",                                                           \
		  .type = OPTION_REPEAT,                                                          \
		  OPTION_AT(labels),                                                              \
		  .help = "Kubernetes label of each node; repeatable" },                          \
		{ .name = "dns-search",                                                           \
		  .value = "DOMAIN",                                                              \
		  .type = OPTION_LIST,                                                            \
		  OPTION_AT(dns_search),                                                          \
		  .help = "search domain of each node; repeatable; '.' alone for none (default: " \
			  "as this host)" },                                                      \
		{ .name = "publish",                                                              \
		  .letter = 'p',                                                                  \
		  .value = "PORT",                                                                \
		  .type = OPTION_REPEAT,                                                          \
		  OPTION_AT(publish),                                                             \
		  .help = "port to reach from this host, [ADDRESS:][HOSTPORT:]PORT[/PROTOCOL]; "  \
			  "of a cluster: its first control plane's; repeatable" },                \
		{ .name = "static-ip",                                                            \
		  .value = "IP",                                                                  \
		  .type = OPTION_TEXT,                                                            \
		  OPTION_AT(static_ip),                                                           \
		  .help = "private IPv4 address of the node; of a cluster: its first control "    \
			  "plane's, and the network is made around it" },                         \
	{                                                                                         \
		.name = "force", .type = OPTION_SWITCH, OPTION_AT(force),                         \
		.help = "accept less memory or fewer CPUs than Kubernetes needs"                  \
	}

/* What of these flags is about every node. ERR_INVALID_ARGUMENT, reason BAD_VALUE. */
int create_flags_each(const struct options *opt, struct node_config *node, struct err *err);

/* What is about one: published ports and the address. */
int create_flags_one(const struct options *opt, struct node_config *node, struct err *err);

/* --dns-search into a list; '*ret_given' false: there was none. */
int create_flags_dns_search(const struct options *opt, struct strv *ret, bool *ret_given,
			    struct err *err);
