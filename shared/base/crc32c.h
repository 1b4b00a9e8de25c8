#pragma once
/* CRC-32C (Castagnoli), for what is read back from disk: it finds damage, not forgery. */
#include <stddef.h>
#include <stdint.h>

/* Of 'bytes', going on from 'crc', which is 0 at first (RFC 3720 B.4 has examples). */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);
