#include "shared/wire/wire.h"

#include "shared/base/utf8.h"

#include <stdbool.h>
#include <stdlib.h>

/* Unread part of one message. */
struct scan {
	const uint8_t *at;
	const uint8_t *end;
	bool known_enums; /* an unknown value of one is an error */
};

static int check_message(const ProtobufCMessageDescriptor *desc, struct scan s, unsigned depth,
			 struct err *err);

static int malformed(struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT, 0, "malformed message: %s", why);
}

static bool read_varint(struct scan *s, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && s->at < s->end; shift += 7) {
		uint8_t byte = *s->at++;

		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct scan *s, uint64_t len)
{
	if (len > (uint64_t)(s->end - s->at))
		return false;
	s->at += len;
	return true;
}

static int check_string(const struct scan *s, const char *name, struct err *err)
{
	for (const uint8_t *p = s->at; p < s->end;) {
		size_t len = utf8_length(p, (size_t)(s->end - p));

		if (len == 0 || *p == '\0')
			return err_set(err, ERR_INVALID_ARGUMENT, 0,
				       "malformed message: field '%s' is %s", name,
				       *p ? "not UTF-8" : "text with a NUL in it");
		p += len;
	}
	return 0;
}

static int check_value(const struct scan *s, const ProtobufCFieldDescriptor *field, uint64_t value,
		       struct err *err)
{
	if (!s->known_enums || !field || field->type != PROTOBUF_C_TYPE_ENUM ||
	    protobuf_c_enum_descriptor_get_value(field->descriptor, (int)value))
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, 0,
		       "malformed message: field '%s' has no value %lld", field->name,
		       (long long)value);
}

static int check_packed(const ProtobufCFieldDescriptor *field, struct scan s, struct err *err)
{
	uint64_t value;

	while (s.at < s.end) {
		if (!read_varint(&s, &value))
			return malformed(err, "bad number");
		if (check_value(&s, field, value, err) < 0)
			return -1;
	}
	return 0;
}

static int check_delimited(const ProtobufCFieldDescriptor *field, struct scan *s, unsigned depth,
			   struct err *err)
{
	struct scan inner = *s;
	uint64_t len;

	if (!read_varint(s, &len))
		return malformed(err, "bad length");
	inner.at = s->at;
	if (!skip(s, len))
		return malformed(err, "a field ends behind its message");
	inner.end = s->at;

	if (field && field->type == PROTOBUF_C_TYPE_STRING)
		return check_string(&inner, field->name, err);
	if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
		return check_message(field->descriptor, inner, depth + 1, err);
	if (field && field->type == PROTOBUF_C_TYPE_ENUM)
		return check_packed(field, inner, err);
	return 0;
}

static int check_field(const ProtobufCMessageDescriptor *desc, struct scan *s, unsigned depth,
		       struct err *err)
{
	const ProtobufCFieldDescriptor *field;
	uint64_t key, value;

	if (!read_varint(s, &key) || key > UINT32_MAX || key >> 3 == 0)
		return malformed(err, "bad field number");
	field = protobuf_c_message_descriptor_get_field(desc, (unsigned)(key >> 3));

	switch (key & 7) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return read_varint(s, &value) ? check_value(s, field, value, err)
					      : malformed(err, "bad number");
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return skip(s, 8) ? 0 : malformed(err, "cut off");
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return skip(s, 4) ? 0 : malformed(err, "cut off");
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return check_delimited(field, s, depth, err);
	default:
		return malformed(err, "unknown wire type");
	}
}

static int check_message(const ProtobufCMessageDescriptor *desc, struct scan s, unsigned depth,
			 struct err *err)
{
	unsigned fields = 0;

	if (depth > WIRE_MAX_DEPTH)
		return malformed(err, "nested too deeply");
	while (s.at < s.end) {
		if (++fields > WIRE_MAX_FIELDS)
			return malformed(err, "too many fields");
		if (check_field(desc, &s, depth, err) < 0)
			return -1;
	}
	return 0;
}

static int check(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
		 bool known_enums, struct err *err)
{
	if (len > WIRE_MAX_BYTES)
		return err_set(err, ERR_INVALID_ARGUMENT, 0,
			       "a message of %zu bytes is over the limit of %d", len,
			       WIRE_MAX_BYTES);
	if (len == 0) /* 'bytes' may be NULL */
		return 0;
	return check_message(desc, (struct scan){ bytes, bytes + len, known_enums }, 1, err);
}

int wire_check(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
	       struct err *err)
{
	return check(desc, bytes, len, false, err);
}

/* What one unpack may allocate in all (security-faults.md I2). Freed memory is not given back to
 * it: that would need a header on every block, and then free(3) could not free them. */
struct budget {
	size_t left;
};

static void *budget_alloc(void *data, size_t size)
{
	struct budget *budget = data;

	if (size > budget->left)
		return NULL;
	budget->left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *block)
{
	(void)data;
	free(block);
}

static int unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
		  bool known_enums, ProtobufCMessage **ret_msg, struct err *err)
{
	struct budget budget = { .left = 4 * len + 64 * 1024 };
	ProtobufCAllocator allocator = { budget_alloc, budget_free, &budget };
	ProtobufCMessage *msg;

	if (check(desc, bytes, len, known_enums, err) < 0)
		return -1;
	msg = protobuf_c_message_unpack(desc, &allocator, len, bytes);
	if (!msg)
		return malformed(err, "it does not fit its type, or takes too much memory");
	*ret_msg = msg;
	return 0;
}

int wire_unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
		ProtobufCMessage **ret_msg, struct err *err)
{
	return unpack(desc, bytes, len, false, ret_msg, err);
}

int wire_unpack_request(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len,
			ProtobufCMessage **ret_msg, struct err *err)
{
	return unpack(desc, bytes, len, true, ret_msg, err);
}

int wire_check_peer(enum wire_side peer, uint32_t protocol, uint32_t least, struct err *err)
{
	if (protocol >= least && protocol > 0)
		return 0;
	if (peer == WIRE_CONTROLLER) {
		err_set(err, ERR_FAILED_PRECONDITION, 0,
			"this berth speaks protocol %u, the node's agent needs %u or newer",
			protocol, least);
		return err_explain(err, "CONTROLLER_TOO_OLD",
				   "update berth, or recreate the node from an image of its age");
	}
	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"the node's agent speaks protocol %u, this berth needs %u or newer", protocol,
		least);
	return err_explain(err, "AGENT_TOO_OLD", "recreate the node from a newer image");
}
