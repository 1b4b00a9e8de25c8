#include "shared/base/sha256.h"

#include <endian.h>
#include <string.h>

#define BLOCK_BYTES sizeof(((struct sha256 *)0)->block)

/* The cube roots of the first 64 primes, behind the point (FIPS 180-4, 4.2.2). */
static const uint32_t rounds[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static inline uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* 6.2.2, step 1. */
static void spread(const uint8_t *block, uint32_t w[64])
{
	for (size_t i = 0; i < 16; i++) {
		memcpy(&w[i], block + 4 * i, 4);
		w[i] = be32toh(w[i]);
	}
	for (size_t i = 16; i < 64; i++) {
		uint32_t near = w[i - 2], far = w[i - 15];

		w[i] = w[i - 16] + w[i - 7] + (rotate(far, 7) ^ rotate(far, 18) ^ far >> 3) +
		       (rotate(near, 17) ^ rotate(near, 19) ^ near >> 10);
	}
}

/* 6.2.2, step 3, once; what the words are called moves on by one from round to round instead of the words. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                         \
	do {                                                                                     \
		h += (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) +      \
		     rounds[i] + w[i];                                                           \
		d += h;                                                                          \
		h += (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b))); \
	} while (0)

/* 6.2.2, steps 2 to 4. */
static void mix(uint32_t state[8], const uint8_t *block)
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
	uint32_t w[64];

	spread(block, w);
	for (size_t i = 0; i < 64; i += 8) {
		ROUND(a, b, c, d, e, f, g, h, i);
		ROUND(h, a, b, c, d, e, f, g, i + 1);
		ROUND(g, h, a, b, c, d, e, f, i + 2);
		ROUND(f, g, h, a, b, c, d, e, i + 3);
		ROUND(e, f, g, h, a, b, c, d, i + 4);
		ROUND(d, e, f, g, h, a, b, c, i + 5);
		ROUND(c, d, e, f, g, h, a, b, i + 6);
		ROUND(b, c, d, e, f, g, h, a, i + 7);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

void sha256_start(struct sha256 *h)
{
	/* The square roots of the first eight primes, behind the point (5.3.3). */
	static const uint32_t start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(h->state, start, sizeof(start));
	h->len = 0;
}

void sha256_add(struct sha256 *h, const void *bytes, size_t len)
{
	size_t held = h->len % BLOCK_BYTES;
	const uint8_t *p = bytes;

	h->len += len;
	if (held > 0) {
		size_t n = len < BLOCK_BYTES - held ? len : BLOCK_BYTES - held;

		memcpy(h->block + held, p, n);
		if (held + n < BLOCK_BYTES)
			return;
		mix(h->state, h->block);
		p += n;
		len -= n;
	}
	for (; len >= BLOCK_BYTES; p += BLOCK_BYTES, len -= BLOCK_BYTES)
		mix(h->state, p);
	if (len > 0)
		memcpy(h->block, p, len);
}

void sha256_end(struct sha256 *h, uint8_t ret[SHA256_BYTES])
{
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = htobe64(h->len * 8);

	sha256_add(h, padding, 1 + (BLOCK_BYTES + 55 - h->len % BLOCK_BYTES) % BLOCK_BYTES);
	sha256_add(h, &bits, sizeof(bits));
	for (size_t i = 0; i < 8; i++) {
		uint32_t word = htobe32(h->state[i]);

		memcpy(ret + 4 * i, &word, 4);
	}
}
