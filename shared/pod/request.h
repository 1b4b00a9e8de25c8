#pragma once
/*
 * What a runtime is asked to make, in words that CRI and the Docker Engine API share. shared/pod's
 * render functions fill these from a Pod; a runtime backend turns them into its own messages;
 * `render pod` prints them. Plain data: release with the functions below.
 */
#include "shared/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct kv {
	char *key;
	char *value;
};

struct kv_list {
	struct kv *items;
	size_t count;
};

/* Appends a copy. False on allocation failure. */
bool kv_add(struct kv_list *list, const char *key, const char *value);
/* Borrowed value or NULL. */
const char *kv_get(const struct kv_list *list, const char *key);
void kv_release(struct kv_list *list);

enum mount_propagation { MOUNT_PRIVATE, MOUNT_HOST_TO_CONTAINER, MOUNT_BIDIRECTIONAL };

struct mount_request {
	char *host_path;
	char *container_path; /* absolute (PS-241) */
	bool readonly;
	bool selinux_relabel;
	enum mount_propagation propagation;
};

enum port_protocol { PORT_TCP, PORT_UDP, PORT_SCTP };

struct port_request {
	enum port_protocol protocol;
	int container_port;
	int host_port; /* 0: not mapped */
	char *host_ip; /* may be "" */
};

/* Kernel names of namespaces a sandbox or container shares with the node (PS-196). */
struct namespace_request {
	bool host_network;
	bool host_pid;
	bool host_ipc;
	bool share_pid; /* one pid namespace for the pod */
};

struct sandbox_request {
	char *name;
	char *namespace;
	char *uid;
	uint32_t attempt;
	char *hostname;
	char *log_directory; /* absolute (PS-260) */
	char *cgroup_parent; /* may be "" */
	struct kv_list labels;
	struct kv_list annotations;
	struct port_request *ports;
	size_t port_count;
	struct namespace_request namespaces;
	bool privileged; /* some container of the pod is; CRI refuses it otherwise */
	struct strv dns_servers;
	struct strv dns_searches;
	struct strv dns_options;
	struct kv_list sysctls;
};

struct container_request {
	char *name;
	uint32_t attempt;
	char *image;     /* as in the manifest, with a tag (PS-181) */
	char *image_ref; /* resolved: digest or id; "" until image look-up */
	struct strv command;
	struct strv args;
	char *working_dir;
	struct kv_list envs;
	struct mount_request *mounts;
	size_t mount_count;
	struct kv_list labels;
	struct kv_list annotations;
	char *log_path; /* relative to the sandbox's log directory */
	bool stdin_open;
	bool stdin_once;
	bool tty;

	struct namespace_request namespaces;
	bool privileged;
	bool readonly_rootfs;
	bool no_new_privs;
	bool has_user;
	int64_t run_as_user;
	bool has_group;
	int64_t run_as_group;
	struct strv capabilities_add;
	struct strv capabilities_drop;

	/* Resources, in the kernel's units; 0: unset (PS-210 to PS-213). */
	int64_t cpu_shares;
	int64_t cpu_quota_us;
	int64_t cpu_period_us;
	int64_t memory_bytes;
	int64_t oom_score_adj;
};

void sandbox_request_release(struct sandbox_request *r);
void container_request_release(struct container_request *r);
