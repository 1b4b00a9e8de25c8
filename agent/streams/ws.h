#pragma once
/* WebSocket frames (RFC 6455), as a client needs them. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode { WS_MORE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* Longest header of a frame that is sent, the mask included. */
#define WS_HEADER_MAX 14

/* Writes the header of a whole message of 'len' bytes; returns its length. */
size_t ws_header(uint8_t *to, enum ws_opcode opcode, size_t len, const uint8_t mask[4]);
/* Masks 'len' bytes that begin 'at' bytes behind the header. */
void ws_mask(uint8_t *bytes, size_t len, size_t at, const uint8_t mask[4]);

/* The header of a frame that comes in, as its bytes come. Zero-initialise, and again for the next one. */
struct ws_frame {
	uint8_t head[10];
	size_t have;
	bool complete;
	bool broken; /* masked, reserved bits, or longer than anybody sends */
	bool last;   /* of its message */
	enum ws_opcode opcode;
	uint64_t len;
};

/* Takes header bytes until it is complete; returns how many it took. */
size_t ws_frame_take(struct ws_frame *f, const uint8_t *bytes, size_t len);
