#include "shared/pod/manifest.h"

#include <string.h>

enum manifest_form manifest_form(const ProtobufCMessageDescriptor *desc)
{
	if (desc == &k8s__core__v1__quantity__descriptor)
		return MANIFEST_QUANTITY;
	if (desc == &k8s__core__v1__int_or_string__descriptor)
		return MANIFEST_INT_OR_STRING;
	if (desc == &k8s__core__v1__time__descriptor)
		return MANIFEST_TIME;
	if (desc == &k8s__core__v1__fields_v1__descriptor)
		return MANIFEST_ANY;
	if (desc == &k8s__core__v1__pod_status__descriptor)
		return MANIFEST_SKIP;
	return MANIFEST_OBJECT;
}

bool manifest_is_inline(const ProtobufCFieldDescriptor *field)
{
	static const char *const names[] = { "volumeSource", "handler", "ephemeralContainerCommon",
					     "localObjectReference" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(field->name, names[i]) == 0)
			return true;
	}
	return false;
}

bool manifest_is_map(const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *desc;
	const char *entry;

	if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE)
		return false;
	desc = field->descriptor;
	entry = strrchr(desc->name, '.');
	entry = entry ? entry + 1 : desc->name;
	return desc->n_fields == 2 && strlen(entry) > 5 &&
	       strcmp(entry + strlen(entry) - 5, "Entry") == 0 &&
	       strcmp(desc->fields[0].name, "key") == 0 &&
	       strcmp(desc->fields[1].name, "value") == 0;
}

bool manifest_is_set(const ProtobufCFieldDescriptor *field, const void *msg)
{
	const char *at = msg;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(at + field->quantifier_offset) > 0;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING)
		return *(void *const *)(at + field->offset) != NULL;
	return *(const protobuf_c_boolean *)(at + field->quantifier_offset);
}

size_t manifest_messages(const ProtobufCFieldDescriptor *field, const void *msg,
			 ProtobufCMessage *const **ret_items)
{
	const char *at = msg;

	*ret_items = NULL;
	if (field->type != PROTOBUF_C_TYPE_MESSAGE || !manifest_is_set(field, msg))
		return 0;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		*ret_items = *(ProtobufCMessage *const *const *)(at + field->offset);
		return *(const size_t *)(at + field->quantifier_offset);
	}
	*ret_items = (ProtobufCMessage *const *)(at + field->offset);
	return 1;
}
