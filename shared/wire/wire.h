#pragma once
/*
 * Packing and unpacking of envelopes, with the limits that hold for both sides.
 */
#include "shared/base/err.h"

#include "node/v1/envelope.pb-c.h"

#include <stddef.h>
#include <stdint.h>

/* Ours, and the oldest that we still understand; both sides are held to it. Fields and RPCs that are only
 * added change neither: an unknown field is skipped, an unknown RPC is ERR_UNIMPLEMENTED. What changes a
 * meaning raises WIRE_PROTOCOL, and whoever cannot speak the older one any more raises _LEAST. */
#define WIRE_PROTOCOL       1
#define WIRE_PROTOCOL_LEAST 1

/* Largest message of a control call, both ways (security-faults.md I1). */
#define WIRE_MAX_BYTES (1024 * 1024)

/* Deepest nesting and most fields of one message (I3). */
#define WIRE_MAX_DEPTH  32
#define WIRE_MAX_FIELDS 4096

#define WIRE_CALL_ID_BYTES 16

/* ERR_INVALID_ARGUMENT unless 'bytes' may be given to protobuf-c: within the limits above, every
 * length inside its parent, for the message type 'desc'. Strings of known fields must be UTF-8
 * without NUL (I4). Pure, no allocation. */
int wire_check(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
	       struct err *err);

/* wire_check, then unpack. Caller frees with protobuf_c_message_free_unpacked(msg, NULL). */
int wire_unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
		ProtobufCMessage **ret_msg, struct err *err);

/* The same for what we are asked to do: a value that its enum does not have is ERR_INVALID_ARGUMENT
 * (NS-280). In an answer it is only something newer than we are. */
int wire_unpack_request(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
			ProtobufCMessage **ret_msg, struct err *err);

enum wire_side { WIRE_CONTROLLER, WIRE_AGENT };

/* Whether the 'peer' side's 'protocol' is one that we, who understand 'least' and newer, can talk with:
 * else ERR_FAILED_PRECONDITION, reason CONTROLLER_TOO_OLD or AGENT_TOO_OLD, and the advice which of the two
 * to update. 0 is a peer that does not say, which none of ours does. */
int wire_check_peer(enum wire_side peer, uint32_t protocol, uint32_t least, struct err *err);

/* Between 'struct err' and the wire's Status. status_from_err borrows the err's strings. */
void status_from_err(const struct err *err, Berth__Node__V1__Status *ret);
/* 'status' NULL or OK: fills ERR_INTERNAL "no status". Returns -1. */
int status_to_err(const Berth__Node__V1__Status *status, struct err *err);
