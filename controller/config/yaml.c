#include "controller/config/yaml.h"

#include "controller/config/yaml_text.h"

#include <libfyaml.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct yaml_reader {
	const char *source;
	struct fy_diag *diag;
	struct fy_parser *parser;
};

/* A document while its events come in. */
struct builder {
	struct yaml_reader *reader;
	struct yaml *root;
	struct yaml *open; /* the innermost list or map that has not ended */
	char *key;         /* waits for its value */
	struct yaml_mark key_at;
	unsigned depth;
	unsigned entries;
	struct err *err;
};

static int fail(const struct builder *b, struct yaml_mark at, const char *what)
{
	return yaml_fail(b->reader->source, at, what, b->err);
}

/* --- nodes ------------------------------------------------------------------------------------- */

void yaml_free(struct yaml *node)
{
	struct yaml *next;

	if (!node)
		return;
	for (struct yaml *child = node->first; child; child = next) {
		next = child->next;
		yaml_free(child);
	}
	free(node->key);
	free(node->text);
	free(node);
}

static struct yaml_mark mark_of(const struct fy_mark *mark, struct yaml_mark otherwise)
{
	if (!mark)
		return otherwise;
	return (struct yaml_mark){ mark->line + 1, mark->column + 1 };
}

static struct yaml_mark event_mark(struct fy_event *event, const struct builder *b)
{
	struct yaml_mark place = { 1, 1 };

	if (b->key)
		place = b->key_at;
	else if (b->open)
		place = b->open->last ? b->open->last->at : b->open->at;
	return mark_of(fy_event_start_mark(event), place);
}

static void adopt(struct yaml *parent, struct yaml *child)
{
	child->parent = parent;
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->count++;
}

/* Makes the node for a value and hangs it where the document stands. */
static struct yaml *add_node(struct builder *b, enum yaml_type type, struct yaml_mark at)
{
	struct yaml *node;

	if (++b->entries > YAML_MAX_ENTRIES) {
		fail(b, at, "more than 10000 entries in one document");
		return NULL;
	}
	node = calloc(1, sizeof(*node));
	if (!node) {
		err_oom(b->err);
		return NULL;
	}
	node->type = type;
	node->at = at;
	node->key_at = b->key ? b->key_at : at;
	node->key = TAKE(b->key);
	if (b->open)
		adopt(b->open, node);
	else
		b->root = node;
	return node;
}

static bool wants_key(const struct builder *b)
{
	return b->open && b->open->type == YAML_MAP && !b->key;
}

/* --- duplicate keys ---------------------------------------------------------------------------- */

static bool is_before(struct yaml_mark a, struct yaml_mark b)
{
	return a.line < b.line || (a.line == b.line && a.column < b.column);
}

static int by_key_then_place(const void *pa, const void *pb)
{
	const struct yaml *a = *(struct yaml *const *)pa, *b = *(struct yaml *const *)pb;
	int order = strcmp(a->key, b->key);

	return order ? order : is_before(a->key_at, b->key_at) ? -1 : 1;
}

static int fail_duplicate(const struct builder *b, const struct yaml *first,
			  const struct yaml *again)
{
	return err_set(b->err, ERR_INVALID_ARGUMENT, 0,
		       "%s:%d:%d: duplicate key '%.*s', first at %d:%d", b->reader->source,
		       again->key_at.line, again->key_at.column, yaml_clip(again->key, 60),
		       again->key, first->key_at.line, first->key_at.column);
}

/* Sorted rather than pair by pair: a hostile map has thousands of keys. */
static int check_duplicates(const struct builder *b, const struct yaml *map)
{
	cleanup_free struct yaml **sorted = NULL;
	size_t n = 0;

	if (map->count < 2)
		return 0;
	sorted = calloc(map->count, sizeof(struct yaml *));
	if (!sorted)
		return err_oom(b->err);
	for (struct yaml *child = map->first; child; child = child->next)
		sorted[n++] = child;
	qsort(sorted, n, sizeof(struct yaml *), by_key_then_place);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			return fail_duplicate(b, sorted[i - 1], sorted[i]);
	}
	return 0;
}

/* --- events ------------------------------------------------------------------------------------ */

static int check_token_text(const struct builder *b, struct yaml_mark at, const char *text,
			    size_t len)
{
	if (!text)
		return err_oom(b->err);
	if (memchr(text, '\0', len))
		return fail(b, at, "a NUL character is not allowed in a string");
	return 0;
}

static int copy_scalar(const struct builder *b, struct fy_token *token, struct yaml_mark at,
		       char **ret_text)
{
	size_t len = 0;
	const char *text = token ? fy_token_get_text(token, &len) : "";

	if (check_token_text(b, at, text, len) < 0)
		return -1;
	*ret_text = strndup(text, len);
	return *ret_text ? 0 : err_oom(b->err);
}

static bool is_plain(struct fy_token *token)
{
	return !token || fy_token_scalar_style(token) == FYSS_PLAIN;
}

/* The library's mark stands behind the opening quote. */
static struct yaml_mark scalar_mark(struct fy_event *event, const struct builder *b)
{
	struct fy_token *token = event->scalar.value;
	struct yaml_mark at = event_mark(event, b);

	if (token && (fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED ||
		      fy_token_scalar_style(token) == FYSS_DOUBLE_QUOTED))
		at.column--;
	return at;
}

/* The tag says "a string": '!!str' or the bare '!'. */
static bool is_string_tag(struct fy_token *tag)
{
	size_t len = 0;
	const char *text = fy_token_get_text(tag, &len);
	const char *const strings[] = { "!", "!!str", "tag:yaml.org,2002:str" };

	for (size_t i = 0; text && i < ARRAY_LEN(strings); i++) {
		if (strlen(strings[i]) == len && memcmp(text, strings[i], len) == 0)
			return true;
	}
	return false;
}

static int check_tag(const struct builder *b, struct fy_token *tag, struct yaml_mark at)
{
	if (tag && !is_string_tag(tag))
		return fail(b, at, "tags are not supported");
	return 0;
}

static int check_anchor(const struct builder *b, struct fy_token *anchor, struct yaml_mark at)
{
	if (anchor)
		return fail(b, at, "anchors and aliases are not supported; write the value out");
	return 0;
}

static int check_key(const struct builder *b, bool plain)
{
	if (plain && strcmp(b->key, "<<") == 0)
		return fail(b, b->key_at,
			    "merge keys ('<<') are not supported; write the fields out");
	if (plain && yaml_plain_type(b->key) == YAML_NULL)
		return fail(b, b->key_at, "a key must not be empty");
	return 0;
}

static int on_scalar(struct builder *b, struct fy_event *event)
{
	struct fy_token *token = event->scalar.value;
	struct yaml_mark at = scalar_mark(event, b);
	bool plain = is_plain(token) && !event->scalar.tag;
	cleanup_free char *text = NULL;
	struct yaml *node;

	if (check_anchor(b, event->scalar.anchor, at) < 0 ||
	    check_tag(b, event->scalar.tag, at) < 0 || copy_scalar(b, token, at, &text) < 0)
		return -1;
	if (wants_key(b)) {
		b->key = TAKE(text);
		b->key_at = at;
		return check_key(b, plain);
	}
	node = add_node(b, plain ? yaml_plain_type(text) : YAML_STRING, at);
	if (!node)
		return -1;
	node->text = TAKE(text);
	return 0;
}

static int on_start(struct builder *b, struct fy_event *event, enum yaml_type type,
		    struct fy_token *anchor, struct fy_token *tag)
{
	struct yaml_mark at = event_mark(event, b);
	struct yaml *node;

	if (check_anchor(b, anchor, at) < 0)
		return -1;
	if (tag)
		return fail(b, at, "tags are not supported");
	if (wants_key(b))
		return fail(b, at, "a key must be a string");
	if (++b->depth > YAML_MAX_DEPTH)
		return fail(b, at, "nested deeper than 64 levels");
	node = add_node(b, type, at);
	if (!node)
		return -1;
	b->open = node;
	return 0;
}

static int on_end(struct builder *b)
{
	struct yaml *node = b->open;

	b->open = node->parent;
	b->depth--;
	return node->type == YAML_MAP ? check_duplicates(b, node) : 0;
}

static int on_event(struct builder *b, struct fy_event *event)
{
	switch (event->type) {
	case FYET_SCALAR:
		return on_scalar(b, event);
	case FYET_ALIAS:
		return fail(b, event_mark(event, b),
			    "anchors and aliases are not supported; write the value out");
	case FYET_MAPPING_START:
		return on_start(b, event, YAML_MAP, event->mapping_start.anchor,
				event->mapping_start.tag);
	case FYET_SEQUENCE_START:
		return on_start(b, event, YAML_LIST, event->sequence_start.anchor,
				event->sequence_start.tag);
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		return on_end(b);
	default:
		return 0;
	}
}

/* --- the reader -------------------------------------------------------------------------------- */

/* What the library collected. Its first error is the cause, the rest follows from it. */
static int parser_failed(const struct yaml_reader *reader, struct err *err)
{
	struct fy_diag_error *first;
	void *position = NULL;

	first = fy_diag_errors_iterate(reader->diag, &position);
	if (!first)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "%s: this is not YAML",
			       reader->source);
	return yaml_fail(reader->source, (struct yaml_mark){ first->line, first->column },
			 first->msg, err);
}

/* Reads events up to the document's end. '*ret_any': there was a document. */
static int build(struct builder *b, bool *ret_any)
{
	struct yaml_reader *reader = b->reader;
	enum fy_event_type type = FYET_NONE;
	struct fy_event *event;
	int result;

	while (type != FYET_DOCUMENT_END && (event = fy_parser_parse(reader->parser))) {
		type = event->type;
		result = on_event(b, event);
		fy_parser_event_free(reader->parser, event);
		if (result < 0)
			return -1;
	}
	if (fy_parser_get_stream_error(reader->parser))
		return parser_failed(reader, b->err);
	*ret_any = type == FYET_DOCUMENT_END;
	return 0;
}

int yaml_next(struct yaml_reader *reader, struct yaml **ret_doc, struct err *err)
{
	struct builder b = { .reader = reader, .err = err };
	bool any = false;
	int result = build(&b, &any);

	free(b.key);
	if (result < 0) {
		yaml_free(b.root);
		return -1;
	}
	*ret_doc = any ? b.root : NULL;
	return 0;
}

static int start_parser(struct yaml_reader *reader, const char *text, size_t len, struct err *err)
{
	struct fy_parse_cfg config = { .flags = FYPCF_QUIET };
	struct fy_diag_cfg quiet;

	fy_diag_cfg_default(&quiet);
	quiet.fp = NULL;
	reader->diag = fy_diag_create(&quiet);
	if (!reader->diag)
		return err_oom(err);
	fy_diag_set_collect_errors(reader->diag, true);
	config.diag = reader->diag;
	reader->parser = fy_parser_create(&config);
	if (!reader->parser || fy_parser_set_string(reader->parser, text, len) < 0)
		return err_oom(err);
	return 0;
}

int yaml_open(const char *source, const char *text, size_t len, struct yaml_reader **ret_reader,
	      struct err *err)
{
	cleanup_with(yaml_reader) struct yaml_reader *reader = NULL;

	if (yaml_check_text(source, text, len, err) < 0)
		return -1;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return err_oom(err);
	reader->source = source;
	if (start_parser(reader, text, len, err) < 0)
		return -1;
	*ret_reader = TAKE(reader);
	return 0;
}

void yaml_close(struct yaml_reader *reader)
{
	if (!reader)
		return;
	fy_parser_destroy(reader->parser);
	fy_diag_destroy(reader->diag);
	free(reader);
}
