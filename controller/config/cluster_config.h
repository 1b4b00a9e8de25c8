#pragma once
/*
 * kind's cluster file, kind.x-k8s.io/v1alpha4, read strictly: every error names line and column,
 * unknown keys are errors, known fields that do not apply give one warning each (DESIGN.md D11,
 * ecosystem.md 1.5). Only the first YAML document counts.
 */
#include "controller/node/node.h"
#include "shared/base/cleanup.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/pod/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ip_family { IP_FAMILY_V4, IP_FAMILY_V6, IP_FAMILY_DUAL };

struct port_mapping {
	int container_port;
	int host_port;        /* 0: we pick, -1: the engine picks (CN-094) */
	char *listen_address; /* "" : the default */
	enum port_protocol protocol;
};

/* A file mounted below it (or a directory of such on it) is an archive that the node takes in before its
 * runtime starts, once: files for /var, or images (CN-122). */
#define PRELOAD_DIR "/preload"

struct mount_config {
	char *host_path;
	char *container_path;
	bool readonly;
	bool selinux_relabel;
	enum mount_propagation propagation;
	bool create; /* make host_path when it is not there (CN-101); not in the file */
};

struct node_config {
	enum node_role role;
	char *image; /* "": the default or --image */
	struct kv_list labels;
	struct mount_config *mounts;
	size_t mount_count;
	struct port_mapping *ports;
	size_t port_count;
	/* Berth's own, not in the file: */
	char *name;           /* "": named by role (CN-083) */
	char *static_ip;      /* "": by index (CN-060, CN-080) */
	char *gpus;           /* "", "all", "nvidia", "nvidia.com", "amd" (CN-002) */
	int64_t memory_bytes; /* 0: no limit */
	int64_t cpus_milli;   /* thousandths of a CPU; 0: no limit */
	struct kv_list env;
	bool force; /* fewer resources than Kubernetes needs are a warning, no error (CN-007) */
};

struct cluster_config {
	char *name; /* "" when the file has none */
	struct node_config *nodes;
	size_t node_count;
	enum ip_family ip_family;
	char *api_server_address; /* "" : default */
	int api_server_port;      /* 0: we pick, -1: the engine picks */
	char *pod_subnet;         /* "" : default (CN-084) */
	char *service_subnet;
	bool disable_default_cni;
	char *kube_proxy_mode; /* "" : default */
	struct strv dns_search;
	bool has_dns_search;
	struct strv warnings; /* one sentence each, with line and column */
	/* Berth's own, not in the file: */
	char *network; /* "": the cluster's name (CN-050) */
	char *subnet;  /* first IPv4 subnet to try; "": 192.168.49.0/24 (CN-053) */
};

/* The cluster without a file: one control plane. NULL on allocation failure. */
struct cluster_config *cluster_config_new(void);
void cluster_config_free(struct cluster_config *config);
DEFINE_CLEANUP(cluster_config, struct cluster_config *, cluster_config_free)

/* Appends a node with defaults. Borrowed until the next append; NULL on allocation failure. */
struct node_config *cluster_config_add_node(struct cluster_config *config, enum node_role role);

/* The same for a node's ports and mounts. */
struct port_mapping *node_config_add_port(struct node_config *node);
struct mount_config *node_config_add_mount(struct node_config *node);

/* 'source' names the text in errors ("cluster.yaml", "-"). ERR_INVALID_ARGUMENT:
 * "cluster.yaml:3:5: unknown field 'imag' in nodes[0]; did you mean 'image'?". Limits: 1 MiB, depth
 * 64, no anchors or aliases (I6). */
int cluster_config_read(const char *source, const char *text, size_t len,
			struct cluster_config **ret_config, struct err *err);
