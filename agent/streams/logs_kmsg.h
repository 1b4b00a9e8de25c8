#pragma once
/*
 * One record of /dev/kmsg (the kernel's Documentation/ABI/testing/dev-kmsg) as a line of proto/node/v1/logs.proto.
 */
#include <stddef.h>
#include <stdint.h>

#define KMSG_LINE_BYTES 8320

/* Formats "6,1234,5678,-;text..." ('len' bytes, NUL-terminated); 'boot_ns' is the wall clock at time 0 of
 * the record. Returns the line's length with its newline, 0 for what is no record. */
size_t kmsg_format(const char *record, size_t len, int64_t boot_ns, char ret[KMSG_LINE_BYTES],
		   int64_t *ret_ns);
