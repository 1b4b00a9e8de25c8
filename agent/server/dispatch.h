#pragma once
/* From names to handlers, by protoc-c's descriptors. */
#include "shared/base/err.h"
#include "shared/wire/methods.h"

#include <protobuf-c/protobuf-c.h>

/* An RPC that exists. All static. */
struct dispatch_target {
	ProtobufCService *service;
	const ProtobufCMethodDescriptor *method;
	unsigned method_index;
	enum method_effect effect;
};

/* ERR_UNIMPLEMENTED names what is not known, and says so when the caller's 'protocol' is newer than
 * this agent's: then the agent is what should be updated. */
int dispatch_find(const char *service, const char *method, unsigned protocol,
		  struct dispatch_target *ret, struct err *err);
