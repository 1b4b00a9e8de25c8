#pragma once
/*
 * What every fuzz target is: libFuzzer calls it with bytes, again and again; and what several of them use.
 * tests/fuzz/replay.c calls it with the committed corpus instead, for `make test`.
 */
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A promise that does not hold ends the run like a crash. */
#define PROMISE(what)            \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

/* --- reading the input -------------------------------------------------------------------------------- */

/* What is left of it; at its end everything is 0 and empty. */
struct input {
	const uint8_t *at;
	size_t left;
};

uint8_t input_byte(struct input *in);
uint16_t input_word(struct input *in);
/* Up to 'len' bytes, borrowed. */
const uint8_t *input_bytes(struct input *in, size_t len, size_t *ret_len);
/* A length byte and so many bytes as text without NUL. Caller frees. */
char *input_text(struct input *in);

/* --- messages ----------------------------------------------------------------------------------------- */

/* Words that lead further than chance, and bytes that were seen in an answer (the id of a session). */
struct message_words {
	const char *const *words;
	size_t count;
	ProtobufCBinaryData bytes;
};

/* A message of any type, filled as the input says. Free with protobuf_c_message_free_unpacked(). */
ProtobufCMessage *message_make(const ProtobufCMessageDescriptor *desc, struct input *in,
			       const struct message_words *words);

/* --- files -------------------------------------------------------------------------------------------- */

/* A directory of this process alone, on tmpfs where there is one; removed at exit. */
const char *fuzz_dir(void);
/* Empties it. */
void fuzz_dir_clear(void);
/* Makes a file below it, and the directories to it. */
void fuzz_dir_write(const char *path, const void *bytes, size_t len);
