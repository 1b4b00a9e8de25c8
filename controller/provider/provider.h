#pragma once
/*
 * Providers: who makes nodes. What callers use; the ops table is in provider_impl.h.
 *
 * Making plans is pure: the same input and the same host facts give the same argv. Running a step
 * is the only effect.
 */
#include "controller/exec/exec.h"
#include "controller/node/node.h"
#include "controller/provider/step.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster_config;
struct provider;

/* What this host is like, as far as arguments depend on it (test-hosts.md). */
struct host_facts {
	bool cgroup_hybrid; /* v1 with a v2 mount beside: crun refuses, runc works */
	bool cgroup_v2;     /* unified */
	bool has_systemd;   /* /run/systemd/system: else --cgroup-manager cgroupfs */
	bool has_runc;      /* in PATH */
	bool has_crun;
	bool has_modules;      /* /lib/modules */
	bool has_fuse;         /* /dev/fuse */
	bool rootless;         /* euid is not 0 */
	int64_t nofile_hard;   /* RLIMIT_NOFILE, -1: unlimited */
	int64_t nproc_hard;    /* RLIMIT_NPROC, -1: unlimited */
	bool can_raise_limits; /* CAP_SYS_RESOURCE effective */
};

/* Reads them from this host. Never fails: what cannot be read is the harmless answer. */
void host_facts_read(struct host_facts *ret);

/* One node to be made. */
struct node_spec {
	const char *name;
	const char *cluster;
	enum node_role role;
	const char *image;
	const char *ip;      /* static address, "" for none */
	const char *network; /* "" for the engine's default */
	const char *run_dir;
	const struct mount_config *mounts;
	size_t mount_count;
	const struct port_mapping *ports; /* host ports already chosen */
	size_t port_count;
	const struct kv_list *env;    /* sorted by key; may be NULL */
	const struct kv_list *labels; /* user's node labels; may be NULL */
};

/* Opens the provider called 'name' ("podman", "fake"); NULL: $BERTH_PROVIDER's place is the
 * caller's, here it means the first whose program is there. 'facts' NULL: read from this host.
 * ERR_NOT_FOUND reason PROVIDER_UNKNOWN, or ENGINE_NOT_INSTALLED with advice. No spawn. */
int provider_open(const char *name, const struct host_facts *facts, struct provider **ret_provider,
		  struct err *err);
void provider_close(struct provider *provider);
DEFINE_CLEANUP(provider, struct provider *, provider_close)

const char *provider_name(const struct provider *provider);
const struct host_facts *provider_facts(const struct provider *provider);

/* Every engine call after this may be interrupted through it. Borrowed. */
void provider_set_interrupt(struct provider *provider, const struct interrupt *interrupt);

/* All nodes of a cluster (NULL: of all), sorted by name, by one spawn. A node whose labels are not
 * ours is not listed. ERR_UNAVAILABLE when the engine does not answer. */
int provider_list(struct provider *provider, const char *cluster, struct deadline by,
		  struct node_list *ret_list, struct err *err);

/* Does a container (or VM) of that name exist that is not ours? For CN-142. */
int provider_is_foreign(struct provider *provider, const char *name, struct deadline by,
			bool *ret_foreign, struct err *err);

/* Pure: each appends its steps to 'plan'. 'subnet' is CIDR, "" leaves the choice to the engine. */
int provider_plan_network(struct provider *provider, const char *cluster, const char *network,
			  const char *subnet, struct plan *plan, struct err *err);
int provider_plan_image(struct provider *provider, const char *image, struct plan *plan,
			struct err *err);
int provider_plan_create(struct provider *provider, const struct node_spec *spec, struct plan *plan,
			 struct err *err);
/* STEP_CONTAINER_START, _STOP, _KILL or _DELETE of one node; 'grace_s' for stop. Delete takes the
 * node's volumes along. */
int provider_plan_act(struct provider *provider, enum step_action action, const char *node,
		      int64_t grace_s, struct plan *plan, struct err *err);
int provider_plan_network_delete(struct provider *provider, const char *network, struct plan *plan,
				 struct err *err);

/* Carries out one step that has an argv. Again with the same step: success (CN-061, CN-120, CN-200,
 * CN-212). The engine's failure becomes an err with a reason (CN-240, CN-241), advice, and the
 * engine's last line of stderr. Safe from several threads. */
int provider_run(struct provider *provider, const struct step *step, struct deadline by,
		 struct err *err);

/* Subnets (CIDR) of all networks the engine knows, for choosing a free one; by one spawn. */
int provider_subnets(struct provider *provider, struct deadline by, struct strv *ret_subnets,
		     struct err *err);

/* Engine version, "4.3.1"; by one spawn. 'ret' holds 32 bytes. */
int provider_version(struct provider *provider, struct deadline by, char ret[32], struct err *err);

/* Last lines of the node's console, for error messages. '' when there are none. Caller frees. */
char *provider_console_tail(struct provider *provider, const char *node, struct deadline by);
