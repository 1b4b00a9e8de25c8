#pragma once
/*
 * State on disk: what an engine cannot keep. <state_dir>/nodes/<node>/ is the host side of the node's
 * /run/berth and holds the agent's socket; <node>.json beside it remembers cluster, role and provider,
 * so that an in-node command needs no engine call. It is a cache: the engine's labels are the truth,
 * and a lost state directory never strands a node (DESIGN.md section 1).
 */
#include "controller/node/node.h"
#include "shared/base/err.h"

/* --state-dir, else $BERTH_STATE_DIR, else /var/lib/berth for root, $XDG_STATE_HOME/berth,
 * ~/.local/state/berth. Caller frees. */
char *store_default_dir(const char *option);

/* Where the state of one engine is: 'dir' itself for "", else "<dir>/engines/<address>", so that nodes of two
 * machines that have one name are kept apart. 'address' as provider_address() tells it. NULL: out of memory.
 * Caller frees. */
char *store_engine_dir(const char *dir, const char *address);

/* "<state_dir>/nodes/<node>". Caller frees. */
char *store_run_dir(const char *state_dir, const char *node);

/* Makes the run directory (0700, parents too). Existing is success. */
int store_node_create(const char *state_dir, const char *node, struct err *err);
/* Writes <node>.json, whole or not at all; unsynced, it is a cache. */
int store_node_save(const char *state_dir, const struct node *node, struct err *err);
/* ERR_NOT_FOUND when nothing (readable) is remembered. */
int store_node_load(const char *state_dir, const char *name, struct node **ret_node,
		    struct err *err);
/* Removes file, socket and directory; absent is success. */
int store_node_delete(const char *state_dir, const char *node, struct err *err);
/* The same for every node that is remembered as this cluster's and this provider's: another engine may
 * have a cluster of the name. A file that is no record of ours is left alone. */
int store_cluster_delete(const char *state_dir, const char *cluster, const char *provider,
			 struct err *err);

/* Makes a run directory that may lie elsewhere (its node's label says where). */
int store_run_dir_create(const char *run_dir, struct err *err);

/* Holds a cluster for one who changes it: a lock that ends with its process. ERR_ABORTED, reason
 * CLUSTER_BUSY, names the holder. */
struct store_lock {
	bool abandoned; /* who held it last died in the middle of a change */
	int fd;
	char *path;
};
int store_lock_take(const char *state_dir, const char *cluster, struct store_lock *ret_lock,
		    struct err *err);
void store_lock_release(struct store_lock *lock);
