#pragma once
/*
 * How the messages of k8s/v1/core.proto stand in JSON and YAML: where a key is not simply a field.
 * For those who walk the descriptors: the manifest reader, the container hash. Pure.
 */
#include "k8s/v1/core.pb-c.h"

#include <stdbool.h>

/* Messages that are one scalar in a manifest. */
enum manifest_form {
	MANIFEST_OBJECT,        /* a mapping whose keys are the fields */
	MANIFEST_QUANTITY,      /* "500m", 2: K8s__Core__V1__Quantity */
	MANIFEST_INT_OR_STRING, /* 80, "http": K8s__Core__V1__IntOrString */
	MANIFEST_TIME,          /* RFC 3339: K8s__Core__V1__Time */
	MANIFEST_ANY,           /* any mapping, kept as JSON text: K8s__Core__V1__FieldsV1 */
	MANIFEST_SKIP,          /* read past, whatever it holds: K8s__Core__V1__PodStatus */
};

enum manifest_form manifest_form(const ProtobufCMessageDescriptor *desc);

/* The field's own name is no key: the keys of its message stand in its place. */
bool manifest_is_inline(const ProtobufCFieldDescriptor *field);

/* A protobuf map: a mapping of free keys; each entry has fields "key" (1) and "value" (2). */
bool manifest_is_map(const ProtobufCFieldDescriptor *field);

/* The field is present in 'msg': not NULL, not empty, or its has_ member is true. */
bool manifest_is_set(const ProtobufCFieldDescriptor *field, const void *msg);

/* The messages of a set message field, repeated or not: '*ret_items' points at 'count' pointers. */
size_t manifest_messages(const ProtobufCFieldDescriptor *field, const void *msg,
			 ProtobufCMessage *const **ret_items);
