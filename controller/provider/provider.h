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
	bool has_modules;       /* /lib/modules */
	bool has_nixos_modules; /* /run/current-system/kernel-modules/lib/modules (CN-015) */
	bool has_fuse;          /* /dev/fuse */
	bool has_mapper;        /* /dev/mapper */
	bool has_swap_limit;    /* the kernel can limit swap (CN-022) and CPU time (CN-023) */
	bool has_cpu_quota;
	bool rootless;         /* euid is not 0 */
	int64_t nofile_hard;   /* RLIMIT_NOFILE, -1: unlimited */
	int64_t nproc_hard;    /* RLIMIT_NPROC or pid_max, the lower; -1: unlimited */
	bool can_raise_limits; /* CAP_SYS_RESOURCE effective */
};

/* Reads them from this host. Never fails: what cannot be read is the harmless answer. */
void host_facts_read(struct host_facts *ret);

/* How the engine of provider 'name' starts a relay in a node (DESIGN.md D7): adds the words to 'argv', none
 * when it cannot. Pure. */
void provider_relay_argv(const char *name, const char *node, struct strv *argv);

/* Where the engine of provider 'name' is (NULL: of the one that provider_open() would choose), as far as the
 * environment and docker's files tell without asking it: the address of another machine
 * ("tcp://10.0.0.2:2375"), "connection:NAME" for podman's of that name, wherever that leads, "" when it is
 * here. No spawn. NULL: out of memory. Caller frees. */
char *provider_address(const char *name);

/* One node to be made. */
struct node_spec {
	const char *name;
	const char *cluster;
	enum node_role role;
	int index; /* place in the cluster, from 1 (CN-081) */
	const char *image;
	const char *ip;      /* static address, "" for none */
	const char *ip6;     /* the same of IPv6 */
	const char *network; /* "" for the engine's default */
	const char *run_dir; /* "" when the engine's machine cannot have it */
	const struct mount_config *mounts;
	size_t mount_count;
	const struct port_mapping *ports; /* host ports already chosen */
	size_t port_count;
	const struct kv_list *env;     /* sorted by key; may be NULL */
	const struct kv_list *labels;  /* user's node labels; may be NULL */
	int64_t memory_bytes;          /* 0: no limit (CN-002) */
	int64_t cpus_milli;            /* thousandths of a CPU; 0: no limit */
	const char *gpus;              /* "", "all", "nvidia", "nvidia.com", "amd" (CN-019) */
	const struct strv *dns_search; /* NULL: as the host; empty: none (CN-036) */
	int agent_port;                /* publish the agent's TLS port on 127.0.0.1: -1 no, 0 any */
};

/* A cluster's network to be made. */
struct network_spec {
	const char *cluster;
	const char *name;
	const char *subnet;  /* CIDR, "" leaves the choice to the engine */
	const char *subnet6; /* CIDR; "": no IPv6 */
	int mtu;             /* 0: the engine's own (CN-052) */
};

/* Opens the provider called 'name' ("podman", "fake"); NULL: $BERTH_PROVIDER's place is the
 * caller's, here it means the first whose program is there. 'facts' NULL: read from this host.
 * ERR_NOT_FOUND reason PROVIDER_UNKNOWN; ERR_UNAVAILABLE reason ENGINE_NOT_INSTALLED with advice. No
 * spawn. */
int provider_open(const char *name, const struct host_facts *facts, struct provider **ret_provider,
		  struct err *err);
/* The same for plans that nobody carries out (--dry-run): the program need not be there. Without it there
 * are no nodes and no networks, NULL as name means podman, and what would need it is ERR_UNAVAILABLE. */
int provider_open_to_plan(const char *name, const struct host_facts *facts,
			  struct provider **ret_provider, struct err *err);
void provider_close(struct provider *provider);
DEFINE_CLEANUP(provider, struct provider *, provider_close)

const char *provider_name(const struct provider *provider);
/* The i-th that there is, from 0, in the order of choice; NULL behind the last. */
const char *provider_known(size_t i);
const struct host_facts *provider_facts(const struct provider *provider);

/* Whether its engine runs on another machine: by its address, and by what it said of itself once it was
 * asked (provider_set_engine()). */
bool provider_is_remote(const struct provider *provider);

/* Every engine call after this may be interrupted through it. Borrowed. */
void provider_set_interrupt(struct provider *provider, const struct interrupt *interrupt);

/* What the engine says may from now on be what it has said before, as long as nothing that it rests on has
 * changed since: answers are kept below this directory, the state directory. Borrowed. NULL, as at first:
 * the engine is asked each time. A container that ends by itself may be told as running for a moment longer: whoever
 * meets a silent node asks again without. */
void provider_set_memory(struct provider *provider, const char *dir);

/* Whether its nodes run agents. The fake's do not: waiting and quiescing are then done at once. */
bool provider_has_agents(const struct provider *provider);

/* All nodes of a cluster (NULL: of all), sorted by name, by one spawn (docker: by a second one when there
 * are any). A node whose labels are not ours is not listed. ERR_UNAVAILABLE when the engine does not answer. */
int provider_list(struct provider *provider, const char *cluster, struct deadline by,
		  struct node_list *ret_list, struct err *err);

/* Everything that has a name: the nodes of all clusters, and the names of what is not ours (CN-142);
 * by the same one spawn. */
int provider_survey(struct provider *provider, struct deadline by, struct node_list *ret_list,
		    struct strv *ret_foreign, struct err *err);

/* A network that the engine knows. */
struct network {
	char *name;
	char *subnet;   /* its first IPv4 subnet as CIDR; "" when it has none */
	char *cluster;  /* whose it is; "" when it is not ours */
	char *subnet6;  /* the same of IPv6 */
	char *gateway;  /* of subnet; "" when it is not told */
	char *gateway6; /* of subnet6 */
	int mtu;        /* 0: the engine's own (CN-052) */
};

struct network_list {
	struct network *items;
	size_t count;
};

/* All networks, by one spawn (docker: two). Caller releases. */
int provider_networks(struct provider *provider, struct deadline by, struct network_list *ret_list,
		      struct err *err);
/* Appends copies; what is not given is "" and 0, for node_set() to fill in. */
int network_list_add(struct network_list *list, const char *name, const char *subnet,
		     const char *cluster, struct err *err);
/* Borrowed, or NULL. */
const struct network *network_list_find(const struct network_list *list, const char *name);
void network_list_release(struct network_list *list);

static inline __attribute__((unused)) void cleanup_network_list(struct network_list *list)
{
	network_list_release(list);
}

/* Pure: each appends its steps to 'plan'. */
int provider_plan_network(struct provider *provider, const struct network_spec *spec,
			  struct plan *plan, struct err *err);
int provider_plan_image(struct provider *provider, const char *image, struct plan *plan,
			struct err *err);
/* The image from its registry. Carried out, it is tried again when the registry does not answer, 4 times, after
 * 1, 2, 3 and 4 s (CN-130); what the registry refuses or does not have is not. ERR_UNIMPLEMENTED where the
 * provider pulls none. */
int provider_plan_pull(struct provider *provider, const char *image, struct plan *plan,
		       struct err *err);
int provider_plan_create(struct provider *provider, const struct node_spec *spec, struct plan *plan,
			 struct err *err);
/* STEP_CONTAINER_START, _STOP, _KILL, _UNPAUSE or _DELETE of one node; 'grace_s' for stop. Delete takes the
 * node's volumes along. */
int provider_plan_act(struct provider *provider, enum step_action action, const char *node,
		      int64_t grace_s, struct plan *plan, struct err *err);
/* Only a network that is ours and unused goes; 'network' is the cluster's name. */
int provider_plan_network_delete(struct provider *provider, const char *network, struct plan *plan,
				 struct err *err);

/* Carries out one step that has an argv. Deleting what is not there, stopping or killing what does not
 * run and starting what runs is success (CN-061, CN-200, CN-212); a network or container of that name
 * is ERR_ALREADY_EXISTS, reason NETWORK_EXISTS or NAME_IN_USE: of two who create the same cluster one
 * gets that, and has then made nothing (CN-292). The engine's failure becomes an err with a reason (CN-240, CN-241), advice, and the
 * engine's last line of stderr. Safe from several threads. */
int provider_run(struct provider *provider, const struct step *step, struct deadline by,
		 struct err *err);

/* What the engine says of itself and its host, for doctor. */
struct engine_info {
	char version[32];      /* "4.3.1" */
	char runtime[32];      /* "crun"; "" when it has none */
	char cgroup[8];        /* "v1", "v2" */
	char controllers[256]; /* delegated to it, blank-separated */
	char storage[512]; /* directory of its images and containers, as this host sees it; "" */
	bool rootless;
	bool service;        /* podman as the client of its service: it takes no global options */
	bool remote;         /* runs on another host (DOCKER_HOST, CONTAINER_HOST, a context) */
	char host[256];      /* that host's name, "" when not remote (CN-232) */
	char os_type[16];    /* "linux" */
	char driver[32];     /* of storage: "overlay" */
	char backing_fs[32]; /* "extfs", "xfs" ...; "" */
	int cpus;
	int64_t memory_bytes;
	bool memory_limit; /* these limits hold when asked for (CN-022, CN-023) */
	bool swap_limit;
	bool cpu_limit;
	bool userns_remap; /* docker's (CN-025) */
};

/* What plans go by besides the host's facts; copied. Without it they suppose a local engine where every
 * limit holds (--dry-run without an engine). */
void provider_set_engine(struct provider *provider, const struct engine_info *engine);

/* By one spawn, a second one when a context or connection says where the engine is. ERR_UNAVAILABLE,
 * reasons ENGINE_NOT_ANSWERING, ENGINE_IS_PODMAN ('docker' is podman's own stand-in). */
int provider_info(struct provider *provider, struct deadline by, struct engine_info *ret,
		  struct err *err);

/* What the engine itself says, as it says it, for support bundles (CN-250). */
enum provider_dump {
	PROVIDER_DUMP_INFO,    /* JSON of the engine and its host */
	PROVIDER_DUMP_INSPECT, /* JSON of the node 'name' */
	PROVIDER_DUMP_NETWORK, /* JSON of the network 'name' */
	PROVIDER_DUMP_CONSOLE, /* all of the console of the node 'name', with times */
};

/* Appends to 'ret', also on failure as far as it came. Safe from several threads. ERR_UNIMPLEMENTED
 * where the provider has no such thing. */
int provider_dump(struct provider *provider, enum provider_dump what, const char *name,
		  struct deadline by, struct text *ret, struct err *err);

/* Last lines of the node's console, for error messages; "" when there are none, NULL when out of
 * memory. Caller frees. */
char *provider_console_tail(struct provider *provider, const char *node, struct deadline by);

/* Follows a new node's console until its systemd starts units, at most until 'by'. Whoever enters the node
 * before is in the way of its cgroups (CN-154). No failure: the node may have ended, or be silent. */
void provider_console_wait(struct provider *provider, const char *node, struct deadline by);
