#pragma once
/* What the .proto files say of an RPC and protoc-c's descriptors do not carry. */
#include <stdbool.h>

/* Whether the RPC is marked NO_SIDE_EFFECTS, so that doing it twice is harmless. 'service' is the
 * full name. False for one that is not known. */
bool method_reads(const char *service, const char *method);
