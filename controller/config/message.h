#pragma once
/*
 * YAML into a protobuf message, by its descriptor: keys are field names, types are as strict as the
 * API server's. Where a manifest and its message differ is told by shared/pod/manifest.h.
 */
#include "controller/config/report.h"
#include "controller/config/yaml.h"

#include <protobuf-c/protobuf-c.h>

/* A message of malloc'd parts: the caller frees it with protobuf_c_message_free_unpacked(message,
 * NULL). Faults go to the report and leave their fields unset; never NULL but when memory is short
 * (also in the report) or 'map' is no map. Keys in 'skip' (NULL-terminated, may be NULL) are passed
 * over. What only a cluster writes (status, metadata.resourceVersion, ...) gives one warning each
 * when it is not empty. */
ProtobufCMessage *message_read(const struct yaml *map, const ProtobufCMessageDescriptor *desc,
			       const char *const *skip, struct report *report);
