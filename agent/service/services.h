#pragma once
/*
 * The handlers of every proto service: one file each, one exported object each, all listed in
 * services.c. To add an RPC see proto/node/v1/envelope.proto.
 */
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* The registry: 'services[0..count)', static. */
extern ProtobufCService *const services[];
extern const size_t services_count;
