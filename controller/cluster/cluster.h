#pragma once
/*
 * Clusters: wanted − found = steps, then apply. Plans are pure; apply runs independent steps in
 * parallel and undoes what it made when one fails.
 */
#include "controller/config/cluster_config.h"
#include "controller/provider/provider.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_DEFAULT_NAME  "berth"
#define CLUSTER_DEFAULT_IMAGE "localhost/berth-node:latest"
/* Of the node that stands before several control planes (CN-260); --image does not change it. */
#define CLUSTER_LB_IMAGE "localhost/berth-loadbalancer:latest"

enum progress_kind { PROGRESS_BEGIN, PROGRESS_DONE, PROGRESS_FAILED, PROGRESS_NOTE };

struct progress_event {
	enum progress_kind kind;
	const struct step *step; /* NULL for a note */
	int64_t millis;          /* of the step, when done or failed */
	const char *text;        /* error message or note; may be "" */
};

/* Called from several threads, one at a time. */
struct progress {
	void (*event)(void *arg, const struct progress_event *event);
	void *arg;
};

/* What every operation needs. All borrowed. */
struct cluster_ctx {
	struct provider *provider;
	const char *state_dir;
	const char *name;
	const struct interrupt *interrupt; /* may be NULL */
	const struct progress *progress;   /* may be NULL */
	struct deadline by;
	const struct strv *namespaces; /* of pause and unpause; NULL: all */
	const struct node_list
		*others; /* of delete: all nodes of the cluster; NULL: they are not asked */
	struct err_list *failures; /* gets every failed step's error; may be NULL */
};

/* One error a node that failed, in the order in which they did; 'node' says whose it is. */
struct err_list {
	struct err *items;
	size_t count;
};

void err_list_release(struct err_list *list);

static inline __attribute__((unused)) void cleanup_err_list(struct err_list *list)
{
	err_list_release(list);
}

struct create_options {
	const char *image;          /* overrides every node's; NULL: as configured */
	bool wait;                  /* until every agent says ready */
	bool retain;                /* leave what was made when something fails */
	bool agent_tls;             /* publish the agents on 127.0.0.1 by TLS, with certificates */
	bool allow_default_network; /* when no network can be made: the engine's own (CN-058) */
	const struct strv *dns_search; /* of one more node; NULL: as the host, empty: none */
};

/* Checks names, numbers and conflicts inside 'config' (CN-006, CN-007, CN-060, CN-083, CN-097, CN-101,
 * CN-103) and completes it: node names, images, the control planes' API server ports, and with several
 * of those the balancer before them, which then has the configured port (CN-260, CN-261). Again on the
 * same config: changes nothing. Pure but for asking for the current directory. */
int cluster_spec_check(const char *name, const char *image, struct cluster_config *config,
		       struct strv *warnings, struct err *err);

/* The same for one more node, whose name is given. */
int cluster_node_check(const char *image, struct node_config *node, struct strv *warnings,
		       struct err *err);

/* What the engine and the host say before something is made. */
struct cluster_found {
	struct node_list nodes;       /* of all clusters */
	struct strv foreign;          /* names of containers that are not ours */
	struct network_list networks; /* of the engine */
	struct strv host_addresses;   /* IPv4 addresses of this host's interfaces */
	struct kv_list env;           /* for every node: this host's proxies (CN-110, CN-112) */
	struct strv warnings;         /* what of it a user should know */
	bool has_engine;              /* 'engine' is known; the provider has been told */
	struct engine_info engine;
	/* What the engine has refused so far: */
	struct strv bad_subnets; /* CIDRs of both families */
	struct strv bad_ips;     /* node addresses */
	bool ipv6_refused;       /* networks with IPv6 (CN-074) */
	bool network_refused;    /* any network of ours (CN-058) */
};

/* By three spawns side by side; tells the provider what the engine is like. 'for_show': an engine that
 * is not installed has nothing, so that plans can be printed without one. Caller releases. */
int cluster_find(const struct cluster_ctx *ctx, bool for_show, struct cluster_found *ret_found,
		 struct err *err);
void cluster_found_release(struct cluster_found *found);

/* Pure: all steps from nothing to ready, for a config that cluster_spec_check() has completed and
 * ports_choose() has settled. ERR_ALREADY_EXISTS when the cluster has nodes, reason CLUSTER_EXISTS, or
 * when a name is taken, NAME_IN_USE (CN-142). */
int cluster_plan_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
			const struct create_options *options, const struct cluster_found *found,
			struct plan *ret_plan, struct err *err);

/* Pure: one more node, with the lowest free index, in a cluster that has nodes (else ERR_NOT_FOUND,
 * reason CLUSTER_NOT_FOUND), in the network that they are in. A balancer is told of a new control
 * plane. */
int cluster_plan_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
			  const struct create_options *options, const struct cluster_found *found,
			  struct plan *ret_plan, struct err *err);

enum cluster_action {
	CLUSTER_START,
	CLUSTER_STOP,
	CLUSTER_RESTART,
	CLUSTER_KILL,
	CLUSTER_DELETE,
	CLUSTER_PAUSE,
	CLUSTER_UNPAUSE,
};

/* Pure: life-cycle steps for the given nodes. Stop is quiesce, then the engine, workers first, control
 * planes last (CN-196), and always ends: a node that does not stop is killed (CN-193); what is stopped
 * already is left alone. What is frozen is thawed before it is ended (NS-067). Pause freezes the
 * workloads and leaves stopped nodes out; ERR_FAILED_PRECONDITION, reason NODE_NOT_RUNNING, when none
 * runs. Deleting a control plane tells the balancer who is left; the last one before the workers is
 * refused: ERR_FAILED_PRECONDITION, reason LAST_CONTROL_PLANE (both need ctx->others). Delete with 'whole_cluster' also takes
 * the network (only if it is ours and unused) and all that the state directory remembers, whatever
 * nodes are given; it is then no error when there are none. */
int cluster_plan_act(const struct cluster_ctx *ctx, enum cluster_action action,
		     const struct node_list *nodes, bool whole_cluster, struct plan *ret_plan,
		     struct err *err);

/* cluster_find(), the engine judged, mount sources looked for (CN-101), host ports settled (CN-094, CN-098;
 * both where the engine is, so on another machine by the engine itself), then the plan: what
 * cluster_create() would do. For --dry-run, also without an engine. What a user should know goes to
 * ctx->progress as notes. */
int cluster_prepare_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
			   const struct create_options *options, struct plan *ret_plan,
			   struct err *err);
int cluster_prepare_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
			     const struct create_options *options, struct plan *ret_plan,
			     struct err *err);

/* Prepares and applies. When a subnet or address is taken in the meantime, what was made is removed and
 * it is tried again with the next, at most 5 times in all (CN-055); with another port of our choice once
 * (CN-096); with a dual-stack network that the engine cannot make once without IPv6 (CN-074); and, with
 * 'allow_default_network', at last in the engine's own network (CN-058). A static address is tried once.
 * Nothing else is worth a second try (CN-243). */
int cluster_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
		   const struct create_options *options, struct err *err);
int cluster_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
		     const struct create_options *options, struct err *err);

/* As cluster_plan_act() and cluster_apply(), and when a whole cluster is deleted what shows up late
 * (a create that somebody killed half-way, CN-291) goes, too. */
int cluster_delete(const struct cluster_ctx *ctx, const struct node_list *nodes, bool whole_cluster,
		   struct err *err);

/* Carries the plan out, alone on this cluster: ERR_ABORTED, reason CLUSTER_BUSY, while another berth
 * changes it; engine calls that a killed berth left behind are waited for first. Steps whose 'after' are done run in parallel. At the first failure, at ctx->by or when
 * interrupted nothing new starts, what runs is given 3 seconds to end by itself and then ended, and,
 * with 'undo', all that the plan's steps made is removed (also when interrupted again), bounded by 60
 * seconds. A plan whose nodes stand for themselves goes on after a failure. '*err' is the original
 * failure; ctx->failures has all. */
int cluster_apply(const struct cluster_ctx *ctx, const struct plan *plan, bool undo,
		  struct err *err);
