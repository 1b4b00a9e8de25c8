#pragma once
/*
 * The agent calls that the cluster room makes itself, as plain C: nobody left of the client needs
 * the generated types for them.
 */
#include "controller/client/client.h"
#include "shared/base/text.h"

#include <stdint.h>

struct quiesce_summary {
	bool ok;
	uint32_t millis;
	uint32_t stopped;
	uint32_t killed;
	uint32_t failed;
	char detail[256]; /* first failed step, or "" */
};

/* Until the agent answers at all, patiently: one that was killed is back within a fraction of a second. */
int client_wait_answer(struct client *client, struct deadline by, struct err *err);
/* Until the agent says ready (DESIGN.md D10), patiently. 'ret_notes' (may be NULL) gets a sentence for what a
 * user should know of such a node all the same: its disk is nearly full (CN-125), it begins without
 * what was preloaded (CN-123). */
int client_wait_ready(struct client *client, struct deadline by, struct strv *ret_notes,
		      struct err *err);
/* Sets where the balancer sends calls (LoadBalancers.Set): 'backends' are "NAME=ADDRESS" words, 'port' is
 * theirs and the balancer's own. Patient: the node may be booting. */
int client_set_balancer(struct client *client, const struct strv *backends, uint16_t port,
			struct deadline by, struct err *err);
/* Pauses or unpauses the node's workloads (Lifecycle.Pause); 'namespaces' NULL: all. What could not be
 * done for a container is an error too: ERR_FAILED_PRECONDITION, reason PAUSE_PARTIAL. */
int client_pause(struct client *client, bool pause, const struct strv *namespaces,
		 struct deadline by, struct err *err);
int client_quiesce(struct client *client, int64_t grace_s, struct deadline by,
		   struct quiesce_summary *ret, struct err *err);
