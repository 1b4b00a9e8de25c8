/* Messages grown from the input along their descriptors: what mutated bytes seldom are, whole. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define DEPTH_MAX 6
#define COUNT_MAX 6

struct growth {
	struct input *in;
	const struct message_words *words;
	unsigned depth;
};

static ProtobufCMessage *grow(const ProtobufCMessageDescriptor *desc, struct growth g);

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return sizeof(uint32_t);
	}
}

/* Small ones mostly, then the edges. */
static uint64_t number(struct input *in)
{
	uint8_t kind = input_byte(in);

	if (kind < 200)
		return kind;
	if (kind < 230)
		return input_word(in);
	if (kind < 240)
		return UINT64_C(1) << (input_byte(in) % 64);
	return kind < 248 ? UINT64_MAX - input_byte(in) : (uint64_t)input_word(in) << 48;
}

static char *text(const struct growth *g)
{
	size_t choice = input_byte(g->in);
	char *copy;

	if (choice >= g->words->count)
		return input_text(g->in);
	copy = strdup(g->words->words[choice]);
	PROMISE(copy);
	return copy;
}

static ProtobufCBinaryData bytes(const struct growth *g)
{
	uint8_t choice = input_byte(g->in);
	ProtobufCBinaryData ret = g->words->bytes;
	size_t len = ret.len;
	const uint8_t *from = ret.data;

	if (choice >= 128)
		from = input_bytes(g->in, choice - 128, &len);
	ret = (ProtobufCBinaryData){ len, malloc(len + 1) };
	PROMISE(ret.data);
	if (len)
		memcpy(ret.data, from, len);
	return ret;
}

/* 'at' holds one value of the field's type. */
static void fill(const ProtobufCFieldDescriptor *field, void *at, const struct growth *g)
{
	uint64_t value;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = text(g);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		*(ProtobufCBinaryData *)at = bytes(g);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = grow(field->descriptor, *g);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = input_byte(g->in) & 1;
		return;
	default:
		value = number(g->in);
		memcpy(at, &value, size_of(field));
		return;
	}
}

static void fill_list(const ProtobufCFieldDescriptor *field, uint8_t *message, size_t count,
		      const struct growth *g)
{
	uint8_t *list = calloc(count, size_of(field));

	PROMISE(list);
	for (size_t i = 0; i < count; i++)
		fill(field, list + i * size_of(field), g);
	*(size_t *)(message + field->quantifier_offset) = count;
	*(uint8_t **)(message + field->offset) = list;
}

static ProtobufCMessage *grow(const ProtobufCMessageDescriptor *desc, struct growth g)
{
	uint8_t *message = malloc(desc->sizeof_message);

	PROMISE(message);
	desc->message_init((ProtobufCMessage *)message);
	g.depth++;
	for (unsigned i = 0; i < desc->n_fields && g.in->left > 0; i++) {
		const ProtobufCFieldDescriptor *field = &desc->fields[i];
		uint8_t choice = input_byte(g.in);
		bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;

		if (choice % 2 == 0 ||
		    (field->type == PROTOBUF_C_TYPE_MESSAGE && g.depth >= DEPTH_MAX))
			continue;
		if (is_list)
			fill_list(field, message, 1 + choice / 2 % COUNT_MAX, &g);
		else
			fill(field, message + field->offset, &g);
		if (!is_list && field->quantifier_offset)
			*(protobuf_c_boolean *)(message + field->quantifier_offset) = true;
	}
	return (ProtobufCMessage *)message;
}

ProtobufCMessage *message_make(const ProtobufCMessageDescriptor *desc, struct input *in,
			       const struct message_words *words)
{
	return grow(desc, (struct growth){ .in = in, .words = words });
}
