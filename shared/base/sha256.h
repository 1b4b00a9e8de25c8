#pragma once
/* SHA-256 (FIPS 180-4), for the agent, which links no OpenSSL. */
#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

struct sha256 {
	uint32_t state[8];
	uint64_t len; /* bytes so far */
	uint8_t block[64];
};

void sha256_start(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *bytes, size_t len);
/* Of all that was added; 'h' is used up. */
void sha256_end(struct sha256 *h, uint8_t ret[SHA256_BYTES]);
