#pragma once
/*
 * Bytes to the agent and bytes back: one nng REQ socket that dials one local socket, one context,
 * one request at a time. All of nng on the host is here, and so are the rules for it
 * (security-faults.md sections 0.4 and 3): resend off before the context is opened, RECVMAXSZ set,
 * a receive posted only after its send is over, deadlines of our own on the monotonic clock.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bridge;
struct channel;

/* How an exchange ended. */
enum channel_result {
	CHANNEL_REPLY,
	CHANNEL_ABSENT,  /* nobody listens, or the bridge cannot cross; the request has not left */
	CHANNEL_LOST,    /* the connection went after the request had left: outcome unknown */
	CHANNEL_TIMEOUT, /* 'by' came while waiting for the reply */
	CHANNEL_UNSENT,  /* 'by' came before the request had left */
	CHANNEL_FAILED,  /* see err */
};

/* nng starts its threads here, not before. Dials in the background and goes on doing so. 'bridge' is
 * the one whose socket this is, borrowed, or NULL. */
int channel_open(const char *socket_path, struct bridge *bridge, struct channel **ret_channel,
		 struct err *err);
void channel_close(struct channel *channel);

/* How long an exchange waits for a connection before it is CHANNEL_ABSENT. */
struct channel_patience {
	bool absent;           /* of a channel that never had one: also while nobody listens */
	struct deadline leave; /* of a channel that never had one; DEADLINE_NEVER */
	struct deadline lost;  /* of one that has lost its connection; DEADLINE_NEVER */
};

/* Sends 'request' and waits for the reply until 'by'. A connection counts when the agent has sent its SP
 * header on it: who accepts and does not speak has not been reached. A bridge's failure that waiting does not
 * mend ends the patient, too. On CHANNEL_REPLY '*ret_bytes' is the caller's to free(). '*err' is filled for
 * CHANNEL_ABSENT and CHANNEL_FAILED. */
enum channel_result channel_exchange(struct channel *channel, const uint8_t *request, size_t len,
				     struct deadline by, struct channel_patience patience,
				     uint8_t **ret_bytes, size_t *ret_len, struct err *err);
