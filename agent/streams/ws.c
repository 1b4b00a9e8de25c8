#include "agent/streams/ws.h"

#include <string.h>

/* More than a container's streaming server puts into one frame. */
#define FRAME_MAX ((uint64_t)64 * 1024 * 1024)

size_t ws_header(uint8_t *to, enum ws_opcode opcode, size_t len, const uint8_t mask[4])
{
	size_t at = 0;

	to[at++] = 0x80 | opcode;
	if (len < 126) {
		to[at++] = (uint8_t)(0x80 | len);
	} else if (len <= UINT16_MAX) {
		to[at++] = 0x80 | 126;
		to[at++] = (uint8_t)(len >> 8);
		to[at++] = (uint8_t)len;
	} else {
		to[at++] = 0x80 | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			to[at++] = (uint8_t)((uint64_t)len >> shift);
	}
	memcpy(to + at, mask, 4);
	return at + 4;
}

void ws_mask(uint8_t *bytes, size_t len, size_t at, const uint8_t mask[4])
{
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= mask[(at + i) % 4];
}

/* Bytes of the whole header, as far as it is known. */
static size_t header_len(const struct ws_frame *f)
{
	if (f->have < 2)
		return 2;
	switch (f->head[1] & 0x7f) {
	case 126:
		return 4;
	case 127:
		return 10;
	default:
		return 2;
	}
}

static void read_header(struct ws_frame *f)
{
	size_t len = header_len(f);

	f->complete = true;
	f->last = f->head[0] & 0x80;
	f->opcode = (enum ws_opcode)(f->head[0] & 0x0f);
	f->len = len == 2 ? f->head[1] & 0x7f : 0;
	for (size_t i = 2; i < len; i++)
		f->len = f->len << 8 | f->head[i];
	f->broken = (f->head[0] & 0x70) || (f->head[1] & 0x80) || f->len > FRAME_MAX;
}

size_t ws_frame_take(struct ws_frame *f, const uint8_t *bytes, size_t len)
{
	size_t taken = 0;

	while (!f->complete && taken < len) {
		f->head[f->have++] = bytes[taken++];
		if (f->have >= 2 && f->have == header_len(f))
			read_header(f);
	}
	return taken;
}
