#pragma once
/*
 * Stands in for the server's call: implements agent/service/call.h for tests of handlers. The 'call' that
 * a handler gets is a struct call_stub, or something that begins with one.
 */
#include "agent/service/call.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call_stub {
	struct agent *agent;
	enum method_role role;
	struct deadline by;
	unsigned ends; /* replies and failures; one is right */
	unsigned parks;
	bool failed;
	struct err err;
	uint8_t bytes[64 * 1024]; /* the reply, packed at once, as the server does */
	size_t len;
};

/* A call of role admin that may take 'by_ms'; the agent is borrowed. */
void call_stub_init(struct call_stub *stub, struct agent *agent, int64_t by_ms);

/* The closure of every RPC: keeps the reply's bytes. */
void call_stub_reply(const ProtobufCMessage *message, void *call);
