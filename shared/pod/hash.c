#include "shared/pod/hash.h"

#include "shared/pod/manifest.h"
#include "shared/pod/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In Go, these fields have no 'omitempty', or are structs, which 'omitempty' never leaves out. */
static const char *const always[] = {
	"Container.name",
	"Container.resources",
	"ContainerPort.containerPort",
	"EnvVar.name",
	"ObjectFieldSelector.fieldPath",
	"ResourceFieldSelector.resource",
	"ResourceFieldSelector.divisor",
	"ConfigMapKeySelector.key",
	"SecretKeySelector.key",
	"FileKeySelector.volumeName",
	"FileKeySelector.path",
	"FileKeySelector.key",
	"ResourceClaim.name",
	"ContainerResizePolicy.resourceName",
	"ContainerResizePolicy.restartPolicy",
	"VolumeMount.name",
	"VolumeMount.mountPath",
	"VolumeDevice.name",
	"VolumeDevice.devicePath",
	"HTTPGetAction.port",
	"HTTPHeader.name",
	"HTTPHeader.value",
	"TCPSocketAction.port",
	"GRPCAction.port",
	"GRPCAction.service",
	"SleepAction.seconds",
	"SeccompProfile.type",
	"AppArmorProfile.type",
};

/* In Go, these scalars are pointers: zero is printed when it is set. All of SecurityContext and
 * WindowsSecurityContextOptions are, too. */
static const char *const pointers[] = {
	"Container.restartPolicy",
	"ConfigMapEnvSource.optional",
	"SecretEnvSource.optional",
	"ConfigMapKeySelector.optional",
	"SecretKeySelector.optional",
	"FileKeySelector.optional",
	"VolumeMount.recursiveReadOnly",
	"VolumeMount.mountPropagation",
	"Probe.terminationGracePeriodSeconds",
	"HTTPGetAction.protocol",
	"GRPCAction.service",
	"GRPCAction.mode",
	"Lifecycle.stopSignal",
	"SeccompProfile.localhostProfile",
	"AppArmorProfile.localhostProfile",
	"SecurityContext.*",
	"WindowsSecurityContextOptions.*",
};

static bool is_listed(const char *const *list, size_t count, const ProtobufCMessageDescriptor *desc,
		      const char *field)
{
	size_t len = strlen(desc->short_name);

	for (size_t i = 0; i < count; i++) {
		const char *name = list[i];

		if (strncmp(name, desc->short_name, len) != 0 || name[len] != '.')
			continue;
		name += len + 1;
		if (strcmp(name, field) == 0 || strcmp(name, "*") == 0)
			return true;
	}
	return false;
}

#define IS_LISTED(list, desc, field) is_listed(list, sizeof(list) / sizeof((list)[0]), desc, field)

/* Bytes of the UTF-8 sequence at 's', 0 when it is none. */
static unsigned utf8_len(const unsigned char *s)
{
	unsigned len = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : *s >= 0xc2 ? 2 : 0;

	if (*s > 0xf4)
		return 0;
	for (unsigned i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

static void add_char(struct text *t, const unsigned char *s, unsigned len)
{
	if (len == 0)
		text_add(t, "\\ufffd");
	else if (*s == '"' || *s == '\\')
		text_addf(t, "\\%c", *s);
	else if (*s == '\n')
		text_add(t, "\\n");
	else if (*s == '\r')
		text_add(t, "\\r");
	else if (*s == '\t')
		text_add(t, "\\t");
	else if (*s < ' ' || *s == '<' || *s == '>' || *s == '&')
		text_addf(t, "\\u%04x", *s);
	else if (len == 3 && memcmp(s, "\xe2\x80\xa8", 3) == 0)
		text_add(t, "\\u2028");
	else if (len == 3 && memcmp(s, "\xe2\x80\xa9", 3) == 0)
		text_add(t, "\\u2029");
	else
		text_add_bytes(t, s, len);
}

static void add_string(struct text *t, const char *s)
{
	const unsigned char *p = (const unsigned char *)(s ? s : "");

	text_add(t, "\"");
	while (*p) {
		unsigned len = utf8_len(p);

		add_char(t, p, len);
		p += len ? len : 1;
	}
	text_add(t, "\"");
}

static void add_quantity(struct text *t, const K8s__Core__V1__Quantity *q)
{
	struct quantity value = { 0 };
	char canonical[48];

	if (q && q->string && !quantity_parse(q->string, &value)) {
		add_string(t, q->string);
		return;
	}
	quantity_print(&value, canonical);
	add_string(t, canonical);
}

static void add_object(struct text *t, const ProtobufCMessageDescriptor *desc, const void *msg);

/* A message in one of its forms; NULL prints what Go's zero value prints. */
static void add_message(struct text *t, const ProtobufCMessageDescriptor *desc, const void *msg)
{
	const K8s__Core__V1__IntOrString *ios = msg;

	switch (manifest_form(desc)) {
	case MANIFEST_QUANTITY:
		add_quantity(t, msg);
		break;
	case MANIFEST_INT_OR_STRING:
		if (ios && ios->type == 1)
			add_string(t, ios->strval);
		else
			text_addf(t, "%" PRId32, ios ? ios->intval : 0);
		break;
	default:
		text_add(t, "{");
		if (msg)
			add_object(t, desc, msg);
		text_add(t, "}");
	}
}

static void add_scalar(struct text *t, const ProtobufCFieldDescriptor *f, const void *value)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		text_add(t, *(const protobuf_c_boolean *)value ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_INT32:
		text_addf(t, "%" PRId32, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_INT64:
		text_addf(t, "%" PRId64, *(const int64_t *)value);
		break;
	case PROTOBUF_C_TYPE_STRING:
		add_string(t, *(char *const *)value);
		break;
	default: /* no other type occurs below Container */
		t->failed = true;
	}
}

static size_t element_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT32:
		return sizeof(int32_t);
	case PROTOBUF_C_TYPE_INT64:
		return sizeof(int64_t);
	default:
		return sizeof(void *);
	}
}

/* The lowest key that is above 'after' (NULL: of all); maps are short, so no copy is sorted. */
static const ProtobufCMessage *next_entry(ProtobufCMessage *const *entries, size_t count,
					  const ProtobufCFieldDescriptor *key, const char *after,
					  const char **ret_key)
{
	const ProtobufCMessage *best = NULL;
	const char *best_key = NULL;

	for (size_t i = 0; i < count; i++) {
		const char *k = *(char *const *)((const char *)entries[i] + key->offset);

		k = k ? k : "";
		if ((after && strcmp(k, after) <= 0) || (best && strcmp(k, best_key) >= 0))
			continue;
		best = entries[i];
		best_key = k;
	}
	*ret_key = best_key;
	return best;
}

static void add_map(struct text *t, const ProtobufCFieldDescriptor *f,
		    ProtobufCMessage *const *entries, size_t count)
{
	const ProtobufCMessageDescriptor *desc = f->descriptor;
	const ProtobufCFieldDescriptor *value = &desc->fields[1];
	const ProtobufCMessage *entry;
	const char *key = NULL;
	bool first = true;

	text_add(t, "{");
	while ((entry = next_entry(entries, count, &desc->fields[0], key, &key))) {
		const void *at = (const char *)entry + value->offset;

		if (!first)
			text_add(t, ",");
		first = false;
		add_string(t, key);
		text_add(t, ":");
		if (value->type == PROTOBUF_C_TYPE_MESSAGE)
			add_message(t, value->descriptor, *(void *const *)at);
		else
			add_scalar(t, value, at);
	}
	text_add(t, "}");
}

static void add_list(struct text *t, const ProtobufCFieldDescriptor *f, const char *items,
		     size_t count)
{
	if (manifest_is_map(f)) {
		add_map(t, f, (ProtobufCMessage *const *)items, count);
		return;
	}
	text_add(t, "[");
	for (size_t i = 0; i < count; i++) {
		const char *at = items + i * element_size(f);

		if (i)
			text_add(t, ",");
		if (f->type == PROTOBUF_C_TYPE_MESSAGE)
			add_message(t, f->descriptor, *(void *const *)at);
		else
			add_scalar(t, f, at);
	}
	text_add(t, "]");
}

static bool scalar_is_zero(const ProtobufCFieldDescriptor *f, const void *value)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return !*(const protobuf_c_boolean *)value;
	case PROTOBUF_C_TYPE_INT32:
		return !*(const int32_t *)value;
	case PROTOBUF_C_TYPE_INT64:
		return !*(const int64_t *)value;
	default:
		return !*(char *const *)value || !**(char *const *)value;
	}
}

static bool is_printed(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *f,
		       const char *msg)
{
	if (IS_LISTED(always, desc, f->name))
		return true;
	if (!manifest_is_set(f, msg))
		return false;
	if (f->label == PROTOBUF_C_LABEL_REPEATED || f->type == PROTOBUF_C_TYPE_MESSAGE)
		return true;
	return IS_LISTED(pointers, desc, f->name) || !scalar_is_zero(f, msg + f->offset);
}

static void add_field(struct text *t, const ProtobufCMessageDescriptor *desc,
		      const ProtobufCFieldDescriptor *f, const char *msg)
{
	const char *at = msg + f->offset;

	text_addf(t, "\"%s\":", f->name);
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		add_list(t, f, *(char *const *)at, *(const size_t *)(msg + f->quantifier_offset));
	else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		add_message(t, f->descriptor, *(void *const *)at);
	else if (IS_LISTED(pointers, desc, f->name) && !manifest_is_set(f, msg))
		text_add(t, "null");
	else
		add_scalar(t, f, at);
}

/* The field that stands next in the struct after 'offset': protobuf-c lays fields out in the order
 * they are declared in, which is Go's, but lists them by number. */
static const ProtobufCFieldDescriptor *next_field(const ProtobufCMessageDescriptor *desc,
						  unsigned offset)
{
	const ProtobufCFieldDescriptor *best = NULL;

	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &desc->fields[i];

		if (f->offset > offset && (!best || f->offset < best->offset))
			best = f;
	}
	return best;
}

static void add_separator(struct text *t)
{
	if (t->len && t->data[t->len - 1] != '{')
		text_add(t, ",");
}

static void add_object(struct text *t, const ProtobufCMessageDescriptor *desc, const void *msg)
{
	const ProtobufCFieldDescriptor *f = next_field(desc, 0);

	for (; f; f = next_field(desc, f->offset)) {
		if (manifest_is_inline(f)) {
			const void *part = *(void *const *)((const char *)msg + f->offset);

			if (part)
				add_object(t, f->descriptor, part);
		} else if (is_printed(desc, f, msg)) {
			add_separator(t);
			add_field(t, desc, f, msg);
		}
	}
}

void container_json(const K8s__Core__V1__Container *c, struct text *ret)
{
	text_add(ret, "{");
	add_object(ret, &k8s__core__v1__container__descriptor, c);
	text_add(ret, "}");
}

void container_ports_json(const K8s__Core__V1__Container *c, struct text *ret)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(
		&k8s__core__v1__container__descriptor, "ports");

	add_list(ret, f, (const char *)c->ports, c->n_ports);
}

static uint32_t fnv1a(uint32_t hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
	return hash;
}

uint32_t container_hash(const K8s__Core__V1__Container *c)
{
	cleanup_with(text) struct text json = { 0 };
	uint32_t hash = fnv1a(2166136261u, "([]uint8)[", 10);

	container_json(c, &json);
	if (text_failed(&json))
		return 0;
	for (size_t i = 0; i < json.len; i++) {
		char number[8];
		int len = snprintf(number, sizeof(number), i ? " %u" : "%u",
				   (unsigned char)json.data[i]);

		hash = fnv1a(hash, number, (size_t)len);
	}
	hash = fnv1a(hash, "]", 1);
	return hash ? hash : 1;
}
