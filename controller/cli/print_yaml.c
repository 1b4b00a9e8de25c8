#include "controller/cli/print.h"

#include <libfyaml.h>
#include <string.h>
#include <strings.h>

/* Without quotes only what no YAML reader, old or new, takes for anything but a string. */
static bool is_plain(const char *s)
{
	static const char *const words[] = { "true", "false", "null", "yes", "no",
					     "on",   "off",   "y",    "n",   "nan" };
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_./-";

	if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')) || strspn(s, safe) != strlen(s))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(s, words[i]) == 0)
			return false;
	}
	return true;
}

static struct fy_node *node_from(struct fy_document *doc, struct json_object *value);

static struct fy_node *mapping_from(struct fy_document *doc, struct json_object *object)
{
	struct fy_node *mapping = fy_node_create_mapping(doc);

	json_object_object_foreach(object, key, value)
	{
		struct fy_node *name = fy_node_create_scalar_copy(doc, key, strlen(key));
		struct fy_node *child = node_from(doc, value);

		if (!mapping || fy_node_mapping_append(mapping, name, child) != 0)
			return NULL;
	}
	return mapping;
}

static struct fy_node *sequence_from(struct fy_document *doc, struct json_object *array)
{
	struct fy_node *sequence = fy_node_create_sequence(doc);

	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct fy_node *child = node_from(doc, json_object_array_get_idx(array, i));

		if (!sequence || fy_node_sequence_append(sequence, child) != 0)
			return NULL;
	}
	return sequence;
}

static struct fy_node *node_from(struct fy_document *doc, struct json_object *value)
{
	const char *text;

	if (json_object_is_type(value, json_type_object))
		return mapping_from(doc, value);
	if (json_object_is_type(value, json_type_array))
		return sequence_from(doc, value);
	if (json_object_is_type(value, json_type_string) &&
	    is_plain(json_object_get_string(value))) {
		text = json_object_get_string(value);
		return fy_node_create_scalar_copy(doc, text, strlen(text));
	}
	/* A JSON scalar is a YAML scalar; parsed, it keeps its quotes and with them its type. */
	text = value ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN) : "null";
	return fy_node_build_from_malloc_string(doc, strdup(text), FY_NT);
}

int yaml_from_json(struct json_object *value, char **ret_yaml, struct err *err)
{
	struct fy_document *doc = fy_document_create(NULL);
	char *yaml = NULL;

	if (doc && fy_document_set_root(doc, node_from(doc, value)) == 0)
		yaml = fy_emit_document_to_string(doc, FYECF_MODE_BLOCK | FYECF_WIDTH_INF);
	fy_document_destroy(doc);
	if (!yaml)
		return err_set(err, ERR_INTERNAL, 0, "cannot write the result as YAML");
	*ret_yaml = yaml;
	return 0;
}
