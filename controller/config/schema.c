#include "controller/config/schema.h"

#include "shared/base/text.h"
#include "shared/pod/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A field's storage; NULL when it is only checked. */
static void *place(const struct field *field, void *base)
{
	if (!base || field->offset == FIELD_NOWHERE)
		return NULL;
	return (char *)base + field->offset;
}

static void *aux_place(const struct field *field, void *base)
{
	return (char *)base + field->aux;
}

/* --- storage ----------------------------------------------------------------------------------- */

static bool init_field(const struct field *field, void *base)
{
	void *at = place(field, base);

	if (at && field->type == FIELD_STRING)
		return (*(char **)at = strdup("")) != NULL;
	if (field->type == FIELD_STRUCT)
		return schema_init(field->schema, base);
	return true;
}

bool schema_init(const struct schema *schema, void *base)
{
	for (size_t i = 0; i < schema->count; i++) {
		if (!init_field(&schema->fields[i], base))
			return false;
	}
	return true;
}

/* Arrays of any struct are handled alike, so their pointers are copied, not cast. */
static char *load_items(const void *at)
{
	char *items;

	memcpy(&items, at, sizeof(items));
	return items;
}

static void release_items(const struct field *field, void *base)
{
	char *items = load_items(place(field, base));
	size_t count = *(size_t *)aux_place(field, base);

	for (size_t i = 0; i < count; i++)
		schema_release(field->schema, items + i * field->schema->size);
	free(items);
}

static void release_field(const struct field *field, void *base)
{
	void *at = place(field, base);

	if (!at)
		return;
	if (field->type == FIELD_STRING)
		free(*(char **)at);
	else if (field->type == FIELD_STRINGS)
		strv_release(at);
	else if (field->type == FIELD_STRING_MAP)
		kv_release(at);
	else if (field->type == FIELD_STRUCT)
		schema_release(field->schema, base);
	else if (field->type == FIELD_STRUCTS)
		release_items(field, base);
}

void schema_release(const struct schema *schema, void *base)
{
	for (size_t i = 0; i < schema->count; i++)
		release_field(&schema->fields[i], base);
}

void *schema_append(const struct schema *item, void *items, size_t *count)
{
	char *grown = realloc(load_items(items), (*count + 1) * item->size);
	void *last;

	if (!grown)
		return NULL;
	memcpy(items, &grown, sizeof(grown));
	last = grown + *count * item->size;
	memset(last, 0, item->size);
	if (!schema_init(item, last)) {
		schema_release(item, last);
		return NULL;
	}
	++*count;
	return last;
}

/* --- words ------------------------------------------------------------------------------------- */

static bool same_word(const struct field *field, const char *a, const char *b)
{
	return field->any_case ? strcasecmp(a, b) == 0 : strcmp(a, b) == 0;
}

/* The index of the word, or -1. */
static int find_word(const struct field *field, const char *text)
{
	for (int i = 0; field->words[i]; i++) {
		if (same_word(field, field->words[i], text))
			return i;
	}
	return -1;
}

/* "'a', 'b' or 'c'" */
static void list_words(const char *const *words, char *ret, size_t size)
{
	size_t used = 0;

	ret[0] = '\0';
	for (size_t i = 0; words[i] && used < size; i++) {
		const char *joint = i == 0 ? "" : words[i + 1] ? ", " : " or ";

		used += (size_t)snprintf(ret + used, size - used, "%s'%s'", joint, words[i]);
	}
}

/* The word's index; -1 after a report. */
static int read_word(const struct field *field, const struct yaml *node, struct report *report)
{
	int index = find_word(field, node->text);
	char all[160];

	if (index >= 0)
		return index;
	list_words(field->words, all, sizeof(all));
	if (!field->lenient)
		return report_node_error(report, node, "is '%.*s'; use %s",
					 yaml_clip(node->text, 60), node->text, all);
	report_warning(report, node->at, field->name, "unknown %s '%.*s' counts as '%s'; use %s",
		       field->name, yaml_clip(node->text, 60), node->text, field->words[0], all);
	return 0;
}

/* --- values ------------------------------------------------------------------------------------ */

static void store_string(char **at, const char *text, struct report *report)
{
	char *copy;

	if (!at)
		return;
	copy = strdup(text);
	if (!copy) {
		report_no_memory(report);
		return;
	}
	free(*at);
	*at = copy;
}

static bool has_type(const struct yaml *node, enum yaml_type type, const char *wanted,
		     struct report *report)
{
	if (node->type == type)
		return true;
	report_type_error(report, node, wanted);
	return false;
}

static void read_string(const struct field *field, const struct yaml *node, void *base,
			struct report *report)
{
	if (!has_type(node, YAML_STRING, "a string", report))
		return;
	if (!*node->text)
		return;
	if (field->words && read_word(field, node, report) < 0)
		return;
	if (field->is_valid && !field->is_valid(node->text))
		report_node_error(report, node, "is '%.*s'; it must be %s",
				  yaml_clip(node->text, 60), node->text, field->wanted);
	else
		store_string(place(field, base), node->text, report);
}

/* As in kind, "" is the default. */
static void read_enum(const struct field *field, const struct yaml *node, void *base,
		      struct report *report)
{
	int *at = place(field, base);
	int index;

	if (!has_type(node, YAML_STRING, "a string", report) || !*node->text)
		return;
	index = read_word(field, node, report);
	if (at && index >= 0)
		*at = index;
}

static void read_port(const struct field *field, const struct yaml *node, void *base,
		      struct report *report)
{
	int *at = place(field, base);
	int64_t value;

	if (!has_type(node, YAML_INT, "a whole number", report))
		return;
	if (!yaml_int(node, -1, 65535, &value))
		report_node_error(report, node, "is %.*s; it must be within -1 and 65535",
				  yaml_clip(node->text, 40), node->text);
	else if (at)
		*at = (int)value;
}

static void read_bool(const struct field *field, const struct yaml *node, void *base,
		      struct report *report)
{
	bool *at = place(field, base);

	if (has_type(node, YAML_BOOL, "true or false", report) && at)
		*at = yaml_bool(node);
}

static void read_strings(const struct field *field, const struct yaml *node, void *base,
			 struct report *report)
{
	struct strv *at = place(field, base);

	if (!has_type(node, YAML_LIST, "a list", report))
		return;
	for (const struct yaml *item = node->first; item; item = item->next) {
		if (has_type(item, YAML_STRING, "a string", report) && at)
			strv_add(at, item->text);
	}
	if (at && strv_failed(at))
		report_no_memory(report);
	if (at && field->aux)
		*(bool *)aux_place(field, base) = true;
}

/* As in kind, numbers and booleans are taken as they are written. */
static void read_string_map(const struct field *field, const struct yaml *node, void *base,
			    struct report *report)
{
	struct kv_list *at = place(field, base);

	if (!has_type(node, YAML_MAP, "a map", report))
		return;
	for (const struct yaml *item = node->first; item; item = item->next) {
		if (!item->text)
			report_type_error(report, item, "a string");
		else if (at && !kv_add(at, item->key, item->type == YAML_NULL ? "" : item->text))
			report_no_memory(report);
	}
}

static void read_bool_map(const struct field *field, const struct yaml *node, void *base,
			  struct report *report)
{
	(void)field;
	(void)base;
	if (!has_type(node, YAML_MAP, "a map", report))
		return;
	for (const struct yaml *item = node->first; item; item = item->next)
		has_type(item, YAML_BOOL, "true or false", report);
}

static void read_struct(const struct field *field, const struct yaml *node, void *base,
			struct report *report)
{
	schema_read(field->schema, node, base, report);
}

static void read_structs(const struct field *field, const struct yaml *node, void *base,
			 struct report *report)
{
	void *items = place(field, base);
	void *into = NULL;

	if (!has_type(node, YAML_LIST, "a list", report))
		return;
	for (const struct yaml *item = node->first; item; item = item->next) {
		if (items)
			into = schema_append(field->schema, items, aux_place(field, base));
		if (items && !into)
			report_no_memory(report);
		schema_read(field->schema, item, into, report);
	}
}

static void (*const readers[])(const struct field *, const struct yaml *, void *,
			       struct report *) = {
	[FIELD_STRING] = read_string,     [FIELD_WORD] = read_enum,
	[FIELD_PORT] = read_port,         [FIELD_BOOL] = read_bool,
	[FIELD_STRINGS] = read_strings,   [FIELD_STRING_MAP] = read_string_map,
	[FIELD_BOOL_MAP] = read_bool_map, [FIELD_STRUCT] = read_struct,
	[FIELD_STRUCTS] = read_structs,
};

/* --- maps -------------------------------------------------------------------------------------- */

static const struct field *find_field(const struct schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++) {
		if (schema->fields[i].name && strcmp(schema->fields[i].name, name) == 0)
			return &schema->fields[i];
	}
	return NULL;
}

static void report_unknown(const struct schema *schema, const struct yaml *node,
			   struct report *report)
{
	struct guess guess = { .typed = node->key };

	for (size_t i = 0; i < schema->count; i++) {
		if (schema->fields[i].name)
			guess_offer(&guess, schema->fields[i].name);
	}
	report_unknown_field(report, node, guess.best);
}

static bool is_empty(const struct yaml *node)
{
	return node->text ? !*node->text : node->count == 0;
}

static void read_field(const struct field *field, const struct yaml *node, void *base,
		       struct report *report)
{
	if (node->type == YAML_NULL) /* as if it were not there, as in kind */
		return;
	readers[field->type](field, node, base, report);
	if (field->unused && !is_empty(node))
		report_warning(report, node->key_at, field->name,
			       "'%s' does not apply to Berth and is ignored", field->name);
}

void schema_read(const struct schema *schema, const struct yaml *map, void *base,
		 struct report *report)
{
	if (!has_type(map, YAML_MAP, "a map", report))
		return;
	for (const struct yaml *node = map->first; node; node = node->next) {
		const struct field *field = find_field(schema, node->key);

		if (field)
			read_field(field, node, base, report);
		else
			report_unknown(schema, node, report);
	}
}
