#include "controller/config/message.h"

#include "shared/pod/manifest.h"

#include <stdlib.h>
#include <string.h>

/* Storage of one field, or of one item of a repeated one. */
static void *at_offset(ProtobufCMessage *message, unsigned offset)
{
	return (char *)message + offset;
}

static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *desc, struct report *report)
{
	ProtobufCMessage *message = calloc(1, desc->sizeof_message);

	if (message)
		desc->message_init(message);
	else
		report_no_memory(report);
	return message;
}

/* --- what is not a wish ------------------------------------------------------------------------ */

static bool is_server_filled(const ProtobufCMessageDescriptor *desc, const char *key)
{
	static const char *const metadata[] = {
		"clusterName",       "creationTimestamp", "deletionGracePeriodSeconds",
		"deletionTimestamp", "finalizers",        "generation",
		"managedFields",     "ownerReferences",   "resourceVersion",
		"selfLink",
	};

	if (desc == &k8s__core__v1__pod__descriptor)
		return strcmp(key, "status") == 0;
	if (desc != &k8s__core__v1__object_meta__descriptor)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(metadata); i++) {
		if (strcmp(key, metadata[i]) == 0)
			return true;
	}
	return false;
}

static void pass_over(const struct yaml *node, struct report *report)
{
	if (node->type != YAML_NULL && (node->text ? *node->text != '\0' : node->count > 0))
		report_warning(report, node->key_at, node->key, "%s is ignored", node->key);
}

/* --- scalars ----------------------------------------------------------------------------------- */

static bool copy_text(const char *text, char **at, struct report *report)
{
	*at = strdup(text);
	if (!*at)
		report_no_memory(report);
	return *at != NULL;
}

static bool read_string(const struct yaml *node, char **at, struct report *report)
{
	if (node->type == YAML_STRING)
		return copy_text(node->text, at, report);
	report_type_error(report, node, "a string");
	return false;
}

static bool read_int(const struct yaml *node, int64_t min, int64_t max, int64_t *ret,
		     struct report *report)
{
	if (node->type != YAML_INT) {
		report_type_error(report, node, "a whole number");
		return false;
	}
	if (yaml_int(node, min, max, ret))
		return true;
	report_node_error(report, node, "is %.*s; it must be within %lld and %lld",
			  yaml_clip(node->text, 40), node->text, (long long)min, (long long)max);
	return false;
}

static bool read_int32(const struct yaml *node, int32_t *at, struct report *report)
{
	int64_t value;

	if (!read_int(node, INT32_MIN, INT32_MAX, &value, report))
		return false;
	*at = (int32_t)value;
	return true;
}

static bool read_bool(const struct yaml *node, protobuf_c_boolean *at, struct report *report)
{
	if (node->type != YAML_BOOL) {
		report_type_error(report, node, "true or false");
		return false;
	}
	*at = yaml_bool(node);
	return true;
}

/* --- messages ---------------------------------------------------------------------------------- */

/* The text as it is written: what number it is, the quantity's own reader knows. */
static ProtobufCMessage *read_quantity(const struct yaml *node, struct report *report)
{
	K8s__Core__V1__Quantity *quantity;

	if (node->type != YAML_STRING && node->type != YAML_INT && node->type != YAML_FLOAT) {
		report_type_error(report, node, "a quantity such as 500m or 64Mi");
		return NULL;
	}
	quantity = (void *)new_message(&k8s__core__v1__quantity__descriptor, report);
	if (!quantity)
		return NULL;
	copy_text(node->text, &quantity->string, report);
	return &quantity->base;
}

static ProtobufCMessage *read_int_or_string(const struct yaml *node, struct report *report)
{
	enum { IS_INT, IS_STRING };
	K8s__Core__V1__IntOrString *either;

	if (node->type != YAML_STRING && node->type != YAML_INT) {
		report_type_error(report, node, "a whole number or a string");
		return NULL;
	}
	either = (void *)new_message(&k8s__core__v1__int_or_string__descriptor, report);
	if (!either)
		return NULL;
	either->has_type = true;
	either->type = node->type == YAML_INT ? IS_INT : IS_STRING;
	if (node->type == YAML_INT)
		either->has_intval = read_int32(node, &either->intval, report);
	else
		read_string(node, &either->strval, report);
	return &either->base;
}

static ProtobufCMessage *read_message(const struct yaml *node,
				      const ProtobufCMessageDescriptor *desc, struct report *report)
{
	switch (manifest_form(desc)) {
	case MANIFEST_OBJECT:
		return message_read(node, desc, NULL, report);
	case MANIFEST_QUANTITY:
		return read_quantity(node, report);
	case MANIFEST_INT_OR_STRING:
		return read_int_or_string(node, report);
	default: /* stands only in what is_server_filled() passes over */
		report_node_error(report, node, "cannot be set");
		return NULL;
	}
}

/* --- fields ------------------------------------------------------------------------------------ */

/* True when '*at' was filled in. */
static bool read_value(const struct yaml *node, const ProtobufCFieldDescriptor *field, void *at,
		       struct report *report)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return read_string(node, at, report);
	case PROTOBUF_C_TYPE_INT32:
		return read_int32(node, at, report);
	case PROTOBUF_C_TYPE_INT64:
		return read_int(node, INT64_MIN, INT64_MAX, at, report);
	case PROTOBUF_C_TYPE_BOOL:
		return read_bool(node, at, report);
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = read_message(node, field->descriptor, report);
		return *(ProtobufCMessage **)at != NULL;
	default: /* no field of a Pod's manifest */
		report_node_error(report, node, "cannot be set");
		return false;
	}
}

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
		return sizeof(int32_t);
	case PROTOBUF_C_TYPE_INT64:
		return sizeof(int64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return sizeof(void *);
	}
}

/* "key: value" of a protobuf map. A null value is the empty one, as the API server reads it. */
static void read_entry(const struct yaml *node, const ProtobufCFieldDescriptor *map, void *at,
		       struct report *report)
{
	const ProtobufCMessageDescriptor *desc = map->descriptor;
	const ProtobufCFieldDescriptor *key = &desc->fields[0], *value = &desc->fields[1];
	ProtobufCMessage *entry = new_message(desc, report);

	if (!entry)
		return;
	*(ProtobufCMessage **)at = entry;
	copy_text(node->key, at_offset(entry, key->offset), report);
	if (node->type == YAML_NULL && value->type == PROTOBUF_C_TYPE_STRING)
		copy_text("", at_offset(entry, value->offset), report);
	else
		read_value(node, value, at_offset(entry, value->offset), report);
}

static void read_repeated(const struct yaml *node, const ProtobufCFieldDescriptor *field,
			  ProtobufCMessage *message, struct report *report)
{
	bool is_map = manifest_is_map(field);
	size_t *count = at_offset(message, field->quantifier_offset);
	size_t size = value_size(field);
	char *items;

	if (node->type != (is_map ? YAML_MAP : YAML_LIST)) {
		report_type_error(report, node, is_map ? "a map" : "a list");
		return;
	}
	if (node->count == 0)
		return;
	items = calloc(node->count, size);
	if (!items) {
		report_no_memory(report);
		return;
	}
	*(void **)at_offset(message, field->offset) = items;
	for (const struct yaml *item = node->first; item; item = item->next, ++*count) {
		void *at = items + *count * size;

		if (is_map)
			read_entry(item, field, at, report);
		else
			read_value(item, field, at, report);
	}
}

static void read_field(const struct yaml *node, const ProtobufCFieldDescriptor *field,
		       ProtobufCMessage *message, struct report *report)
{
	bool filled;

	if (node->type == YAML_NULL) /* as if it were not there */
		return;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		read_repeated(node, field, message, report);
		return;
	}
	filled = read_value(node, field, at_offset(message, field->offset), report);
	if (filled && field->quantifier_offset)
		*(protobuf_c_boolean *)at_offset(message, field->quantifier_offset) = true;
}

/* --- keys -------------------------------------------------------------------------------------- */

static const ProtobufCFieldDescriptor *find_key(const ProtobufCMessageDescriptor *desc,
						const char *key)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(desc, key);

	return field && !manifest_is_inline(field) ? field : NULL;
}

/* The field of that key among those whose message stands inline: Volume's "hostPath". */
static const ProtobufCFieldDescriptor *find_inline(const ProtobufCMessageDescriptor *desc,
						   const char *key,
						   const ProtobufCFieldDescriptor **ret_holder)
{
	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *found;

		if (!manifest_is_inline(&desc->fields[i]))
			continue;
		found = find_key(desc->fields[i].descriptor, key);
		if (found) {
			*ret_holder = &desc->fields[i];
			return found;
		}
	}
	return NULL;
}

static void read_inline(const struct yaml *node, const ProtobufCFieldDescriptor *field,
			const ProtobufCFieldDescriptor *holder, ProtobufCMessage *message,
			struct report *report)
{
	ProtobufCMessage **inner = at_offset(message, holder->offset);

	if (!*inner)
		*inner = new_message(holder->descriptor, report);
	if (*inner)
		read_field(node, field, *inner, report);
}

static void offer_keys(struct guess *guess, const ProtobufCMessageDescriptor *desc)
{
	for (unsigned i = 0; i < desc->n_fields; i++) {
		if (manifest_is_inline(&desc->fields[i]))
			offer_keys(guess, desc->fields[i].descriptor);
		else
			guess_offer(guess, desc->fields[i].name);
	}
}

static void report_unknown(const struct yaml *node, const ProtobufCMessageDescriptor *desc,
			   struct report *report)
{
	struct guess guess = { .typed = node->key };

	offer_keys(&guess, desc);
	report_unknown_field(report, node, guess.best);
}

static void read_key(const struct yaml *node, ProtobufCMessage *message, struct report *report)
{
	const ProtobufCMessageDescriptor *desc = message->descriptor;
	const ProtobufCFieldDescriptor *field, *holder = NULL;

	if (is_server_filled(desc, node->key)) {
		pass_over(node, report);
		return;
	}
	field = find_key(desc, node->key);
	if (field) {
		read_field(node, field, message, report);
		return;
	}
	field = find_inline(desc, node->key, &holder);
	if (field)
		read_inline(node, field, holder, message, report);
	else
		report_unknown(node, desc, report);
}

static bool is_skipped(const char *key, const char *const *skip)
{
	for (; skip && *skip; skip++) {
		if (strcmp(key, *skip) == 0)
			return true;
	}
	return false;
}

ProtobufCMessage *message_read(const struct yaml *map, const ProtobufCMessageDescriptor *desc,
			       const char *const *skip, struct report *report)
{
	ProtobufCMessage *message;

	if (map->type != YAML_MAP) {
		report_type_error(report, map, "a map");
		return NULL;
	}
	message = new_message(desc, report);
	if (!message)
		return NULL;
	for (const struct yaml *node = map->first; node; node = node->next) {
		if (!is_skipped(node->key, skip))
			read_key(node, message, report);
	}
	return message;
}
