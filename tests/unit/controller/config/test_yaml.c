#include "controller/config/yaml.h"

#include "shared/base/deadline.h"
#include "shared/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

/* Reads all documents; the first is returned, the others are freed. NULL: 'err' says why. */
static struct yaml *read_bytes(const char *text, size_t len, struct err *err)
{
	cleanup_with(yaml_reader) struct yaml_reader *reader = NULL;
	struct yaml *first = NULL, *doc;

	memset(err, 0, sizeof(*err));
	if (yaml_open("f.yaml", text, len, &reader, err) < 0)
		return NULL;
	for (;;) {
		doc = NULL;
		if (yaml_next(reader, &doc, err) < 0) {
			yaml_free(first);
			return NULL;
		}
		if (!doc)
			return first;
		if (first)
			yaml_free(doc);
		else
			first = doc;
	}
}

static struct yaml *read_good(const char *text)
{
	struct err err;
	struct yaml *doc = read_bytes(text, strlen(text), &err);

	if (!doc)
		fail_msg("%s", err.msg);
	return doc;
}

static void expect_fault_in(const char *text, size_t len, const char *message)
{
	struct err err;
	struct yaml *doc = read_bytes(text, len, &err);

	assert_null(doc);
	assert_string_equal(err.msg, message);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
}

static void expect_fault(const char *text, const char *message)
{
	expect_fault_in(text, strlen(text), message);
}

static void assert_mark(struct yaml_mark at, int line, int column)
{
	assert_int_equal(at.line, line);
	assert_int_equal(at.column, column);
}

static void nodes_know_where_they_stand(void **state)
{
	cleanup_with(yaml) struct yaml *doc =
		read_good("a: 1\nbb:\n  - x\n  - {k: \"v w\"}\nlast:\n");
	const struct yaml *list = yaml_get(doc, "bb");
	const struct yaml *map = list->first->next;
	char path[64];

	(void)state;
	assert_mark(doc->at, 1, 1);
	assert_mark(yaml_get(doc, "a")->at, 1, 4);
	assert_mark(list->key_at, 2, 1);
	assert_mark(list->at, 3, 3);
	assert_int_equal(list->count, 2);
	assert_mark(map->at, 4, 5);
	assert_string_equal(yaml_get(map, "k")->text, "v w");
	assert_mark(yaml_get(map, "k")->at, 4, 9);
	assert_mark(yaml_get(doc, "last")->at, 5, 1); /* nothing there: its key's place */
	yaml_path(yaml_get(map, "k"), path, sizeof(path));
	assert_string_equal(path, "bb[1].k");
	yaml_path(doc, path, sizeof(path));
	assert_string_equal(path, "");
	assert_null(yaml_get(doc, "A"));
	assert_null(yaml_get(list, "k"));
	assert_null(yaml_get(NULL, "k"));
}

static void a_long_path_keeps_its_end(void **state)
{
	cleanup_with(yaml) struct yaml *doc =
		read_good("alpha: {beta: {gamma: {delta: [0, {name: x}]}}}");
	const struct yaml *node = doc;
	char path[24];

	(void)state;
	while (node->last)
		node = node->last;
	yaml_path(node, path, sizeof(path));
	assert_string_equal(path, "....gamma.delta[1].name");
}

static void plain_scalars_are_typed_and_quoted_ones_are_strings(void **state)
{
	static const struct {
		const char *text;
		enum yaml_type type;
	} cases[] = {
		{ "~", YAML_NULL },        { "null", YAML_NULL },
		{ "true", YAML_BOOL },     { "No", YAML_BOOL },
		{ "off", YAML_BOOL },      { "y", YAML_BOOL },
		{ "nO", YAML_STRING },     { "0", YAML_INT },
		{ "-1", YAML_INT },        { "+12", YAML_INT },
		{ "0644", YAML_INT },      { "0o644", YAML_INT },
		{ "0xfF", YAML_INT },      { "0b101", YAML_INT },
		{ "1_000", YAML_INT },     { "9223372036854775808", YAML_INT },
		{ "089", YAML_FLOAT },     { "1.", YAML_FLOAT },
		{ ".5", YAML_FLOAT },      { "1e3", YAML_FLOAT },
		{ "-1.5E-3", YAML_FLOAT }, { ".inf", YAML_FLOAT },
		{ ".", YAML_STRING },      { "1e", YAML_STRING },
		{ "0x", YAML_STRING },     { "0xg", YAML_STRING },
		{ "-", YAML_STRING },      { "1.2.3", YAML_STRING },
		{ "500m", YAML_STRING },   { "2001-01-01", YAML_STRING },
		{ "::1", YAML_STRING },    { "_1", YAML_STRING },
	};
	cleanup_with(yaml) struct yaml *quoted = read_good("['1', \"true\", '', !!str 5, ! 6]");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (yaml_plain_type(cases[i].text) != cases[i].type)
			fail_msg("%s is %s", cases[i].text,
				 yaml_type_name(yaml_plain_type(cases[i].text)));
	}
	for (const struct yaml *item = quoted->first; item; item = item->next)
		assert_int_equal(item->type, YAML_STRING);
}

static int64_t integer(const char *text, int64_t min, int64_t max)
{
	const struct yaml node = { .type = YAML_INT, .text = (char *)text };
	int64_t value = -4711;

	assert_int_equal(yaml_plain_type(text), YAML_INT);
	return yaml_int(&node, min, max, &value) ? value : -4711;
}

static void integers_have_their_base_and_range(void **state)
{
	(void)state;
	assert_int_equal(integer("0644", 0, 1000), 420);
	assert_int_equal(integer("0o17", 0, 1000), 15);
	assert_int_equal(integer("-0x10", -100, 0), -16);
	assert_int_equal(integer("0b101", 0, 9), 5);
	assert_int_equal(integer("65_535", -1, 65535), 65535);
	assert_int_equal(integer("-1", -1, 65535), -1);
	assert_int_equal(integer("+7", -1, 65535), 7);
	assert_int_equal(integer("65536", -1, 65535), -4711);
	assert_int_equal(integer("-2", -1, 65535), -4711);
	assert_int_equal(integer("9223372036854775807", 0, INT64_MAX), INT64_MAX);
	assert_int_equal(integer("9223372036854775808", INT64_MIN, INT64_MAX), -4711);
}

static void json_is_read_with_tabs_and_escapes(void **state)
{
	cleanup_with(yaml) struct yaml *doc = read_good(
		"{\n\t\"a\":{\"b\":[1,true,null]},\n\t\"s\": \"\\ud83d\\ude00 \\/ \\u00e9\"\n}\n");
	const struct yaml *list = yaml_get(yaml_get(doc, "a"), "b");

	(void)state;
	assert_int_equal(list->first->type, YAML_INT);
	assert_int_equal(list->first->next->type, YAML_BOOL);
	assert_int_equal(list->last->type, YAML_NULL);
	assert_string_equal(yaml_get(doc, "s")->text, "\xf0\x9f\x98\x80 / \xc3\xa9");
}

static void crlf_bom_comments_and_unicode_are_text(void **state)
{
	cleanup_with(yaml) struct yaml *doc =
		read_good("\xef\xbb\xbf%YAML 1.2\r\n---\r\n# one\r\nn\xc3\xa4me: w\xc3\xbcrfel # "
			  "two\r\nlast: 2\r\n");

	(void)state;
	assert_string_equal(yaml_get(doc, "n\xc3\xa4me")->text, "w\xc3\xbcrfel");
	assert_mark(yaml_get(doc, "last")->at, 5, 7);
}

static void documents_come_one_by_one(void **state)
{
	static const char text[] = "---\n---\na: 1\n...\n---\nb\n";
	static const enum yaml_type types[] = { YAML_NULL, YAML_MAP, YAML_STRING };
	struct yaml_reader *reader = NULL;
	struct yaml *doc;
	struct err err;

	(void)state;
	assert_int_equal(yaml_open("f", text, strlen(text), &reader, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		assert_int_equal(yaml_next(reader, &doc, &err), 0);
		assert_non_null(doc);
		assert_int_equal(doc->type, types[i]);
		yaml_free(doc);
	}
	assert_int_equal(yaml_next(reader, &doc, &err), 0);
	assert_null(doc);
	yaml_close(reader);
}

static void faults_have_line_and_column(void **state)
{
	(void)state;
	expect_fault("a:\n\tb: 1\n", "f.yaml:2:1: tab character may not be used as indentation");
	expect_fault("a: \"x\n", "f.yaml:1:5: double-quoted scalar without closing quote");
	expect_fault("a: b: c\n", "f.yaml:1:5: invalid nested block mapping on the same line");
	expect_fault("ok: 1\n---\na: @x\n", "f.yaml:3:4: plain scalar cannot start with '@'");
	expect_fault("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n",
		     "f.yaml:5:3: duplicate key 'c', first at 3:3");
	expect_fault("{\"a\": 1, 'a': 2}", "f.yaml:1:10: duplicate key 'a', first at 1:2");
	expect_fault("? [1]\n: 2\n", "f.yaml:1:3: a key must be a string");
	expect_fault("a: 1\n: 2\n", "f.yaml:1:4: a key must not be empty");
	expect_fault("a: !new x\n", "f.yaml:1:9: tags are not supported");
	expect_fault("a: !!map {}\n", "f.yaml:1:10: tags are not supported");
	expect_fault("%TAG ! x\n---\na: 1\n", "f.yaml:1:1: directives are not supported");
	expect_fault("\xef\xbb\xbf% x", "f.yaml:1:1: directives are not supported");
	expect_fault("a: 1\r% x", "f.yaml:2:1: directives are not supported");
	expect_fault("a: \"x\\0y\"\n", "f.yaml:1:4: a NUL character is not allowed in a string");
}

/* I6 */
static void anchors_aliases_and_merge_keys_are_refused(void **state)
{
	(void)state;
	expect_fault("a: &x 1\n", "f.yaml:1:7: anchors and aliases are not supported; write the "
				  "value out");
	expect_fault("a: &x\n  b: 1\n", "f.yaml:2:3: anchors and aliases are not supported; write "
					"the value out");
	expect_fault("a: *x\n", "f.yaml:1:5: anchors and aliases are not supported; write the "
				"value out");
	expect_fault("a:\n  <<: {b: 1}\n", "f.yaml:2:3: merge keys ('<<') are not supported; write "
					   "the fields out");
}

static void what_is_not_text_is_refused(void **state)
{
	static const char nul[] = "a: b\0c\n";

	(void)state;
	expect_fault_in(nul, sizeof(nul) - 1, "f.yaml:1:5: a NUL byte is not allowed");
	expect_fault("ok: 1\nb: \xff\xfe\n", "f.yaml:2:4: this is not UTF-8 text");
	expect_fault("\xc3\xa4\xc0\xaf", "f.yaml:1:2: this is not UTF-8 text"); /* overlong */
	expect_fault("\xed\xa0\x80", "f.yaml:1:1: this is not UTF-8 text");     /* surrogate */
	expect_fault("\xf4\x90\x80\x80", "f.yaml:1:1: this is not UTF-8 text");
	expect_fault("a\xe2\x82", "f.yaml:1:2: this is not UTF-8 text"); /* cut off */
	expect_fault("a: \x1b[31m", "f.yaml:1:4: a control character is not allowed");
	expect_fault("a: \x7f", "f.yaml:1:4: a control character is not allowed");
}

static void repeat(struct text *t, const char *s, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		text_add(t, s);
}

/* I6 */
static void depth_ends_at_64(void **state)
{
	__attribute__((cleanup(cleanup_text))) struct text good = { 0 }, deep = { 0 };

	(void)state;
	repeat(&good, "[", 64);
	repeat(&good, "]", 64);
	yaml_free(read_good(text_str(&good)));

	repeat(&deep, "[", 65);
	repeat(&deep, "]", 65);
	expect_fault(text_str(&deep), "f.yaml:1:65: nested deeper than 64 levels");
	text_release(&deep);
	repeat(&deep, "- ", 65);
	expect_fault(text_str(&deep), "f.yaml:1:129: nested deeper than 64 levels");
}

/* I6 */
static void size_ends_at_one_mebibyte(void **state)
{
	cleanup_free char *text = malloc(YAML_MAX_BYTES + 1);

	(void)state;
	memset(text, 'x', YAML_MAX_BYTES + 1);
	memcpy(text, "a: 1 #", 6);
	expect_fault_in(text, YAML_MAX_BYTES + 1, "f.yaml: larger than 1 MiB");
	text[YAML_MAX_BYTES] = '\0';
	yaml_free(read_good(text));
}

/* I6 */
static void entries_end_at_ten_thousand(void **state)
{
	__attribute__((cleanup(cleanup_text))) struct text t = { 0 };

	(void)state;
	repeat(&t, "- 1\n", 9999); /* and the list itself */
	yaml_free(read_good(text_str(&t)));
	text_add(&t, "- 1\n");
	expect_fault(text_str(&t), "f.yaml:10000:3: more than 10000 entries in one document");
}

static long resident_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* What a hostile text may cost: the row's 50 ms with room for a sanitizer and a busy machine. */
static void expect_cheap_fault(const char *text, const char *start)
{
	int64_t before = clock_now_ms();
	struct err err;
	struct yaml *doc = read_bytes(text, strlen(text), &err);
	int64_t took = clock_now_ms() - before;

	assert_null(doc);
	if (strncmp(err.msg, start, strlen(start)) != 0)
		fail_msg("%s", err.msg);
	assert_in_range(took, 0, 2000);
}

/* The row's 8 MiB for the reader, and what the test itself needs to hold the input. */
#ifdef __SANITIZE_ADDRESS__
#define RESIDENT_LIMIT_KIB (256 * 1024)
#else
#define RESIDENT_LIMIT_KIB ((8 + 4) * 1024)
#endif

/* I6 */
static void bombs_cost_little(void **state)
{
	static const struct {
		const char *unit, *fault;
	} floods[] = {
		{ "[", "f.yaml:1:20001: too many brackets" },
		{ "{\n", "f.yaml:20001:1: too many brackets" },
		{ "[a: b,\n", "f.yaml:10001:1: too many brackets" },
		{ "!a ", "f.yaml:1:60001: too many brackets" },
		{ "? ", "f.yaml:1:3: a key must be a string" },
		{ "- ", "f.yaml:1:129: nested deeper" },
		{ "- a\n", "f.yaml:10000:3: more than 10000 entries" },
		{ "a: ", "f.yaml:1:5: invalid nested block mapping" },
		{ "% ", "f.yaml:1:1: directives are not supported" },
	};
	__attribute__((cleanup(cleanup_text))) struct text laughs = { 0 }, t = { 0 };
	long before = resident_kib();

	(void)state;
	text_add(&laughs, "a: &a [\"lol\"]\n");
	for (char c = 'b'; c <= 'z'; c++)
		text_addf(&laughs, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1,
			  c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
	expect_cheap_fault(text_str(&laughs), "f.yaml:1:7: anchors");
	for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
		text_release(&t);
		repeat(&t, floods[i].unit, YAML_MAX_BYTES / strlen(floods[i].unit));
		expect_cheap_fault(text_str(&t), floods[i].fault);
	}
	assert_in_range(resident_kib() - before, 0, RESIDENT_LIMIT_KIB);
}

static void a_hostile_map_is_checked_for_duplicates_quickly(void **state)
{
	__attribute__((cleanup(cleanup_text))) struct text t = { 0 };
	int64_t before = clock_now_ms();

	(void)state;
	for (unsigned i = 0; i < 9000; i++)
		text_addf(&t, "%090u: x\n", 100000 - i);
	yaml_free(read_good(text_str(&t)));
	assert_in_range(clock_now_ms() - before, 0, 2000);
}

/* --- fuzz -------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Overwrites, cuts, doubles and inserts what YAML finds interesting. */
static size_t mutate(char *text, size_t len, size_t size, uint64_t *seed)
{
	static const char spice[] = "\n\n\t  --::[]{}&*!|>'\"%@`#?,<~\\0\r\xef\xbb\xbf\xc3\x80";
	unsigned edits = 1 + next_random(seed) % 6;

	for (unsigned i = 0; i < edits && len > 1; i++) {
		size_t at = next_random(seed) % len, run = next_random(seed) % 16;
		char c = spice[next_random(seed) % (sizeof(spice) - 1)];

		run = run < len - at ? run : len - at;
		switch (next_random(seed) % 4) {
		case 0:
			text[at] = c;
			break;
		case 1:
			memmove(text + at, text + at + run, len - at - run);
			len -= run;
			break;
		case 2:
			if (len + run > size)
				break;
			memmove(text + at + run, text + at, len - at);
			len += run;
			break;
		default:
			if (len == size)
				break;
			memmove(text + at + 1, text + at, len - at);
			text[at] = c;
			len++;
		}
	}
	return len;
}

static const char seed_text[] =
	"# c\nkind: Cluster\nnodes:\n- role: worker\n  labels: {a: 'b c', \"d\": e}\n"
	"  text: |\n    one\n\n    two\n  fold: >-\n    a\n    b\n"
	"---\n[1, 2.5, ~, {x: [y]}, \"\\u00e9\\n\"]\n...\n--- 'q'\n? k\n: v\n";

/* Every mutation is read to the end or refused in one line; the sanitizers watch the rest. */
static void mutated_input_never_breaks_the_reader(void **state)
{
	int64_t end = clock_now_ms() + 700;
	uint64_t seed = 20240229;
	unsigned good = 0, bad = 0;
	struct err err;

	(void)state;
	while (clock_now_ms() < end && good + bad < 20000) {
		char *text = malloc(512);
		size_t len = sizeof(seed_text) - 1;
		struct yaml *doc;

		memcpy(text, seed_text, len);
		len = mutate(text, len, 512, &seed);
		text = realloc(text, len); /* exact, so that an over-read is seen */
		doc = read_bytes(text, len, &err);
		assert_true(doc || strncmp(err.msg, "f.yaml:", 7) == 0);
		*(doc ? &good : &bad) += 1;
		yaml_free(doc);
		free(text);
	}
	assert_in_range(good, 1, UINT32_MAX);
	assert_in_range(bad, 1, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bombs_cost_little), /* first: it looks at the peak */
		cmocka_unit_test(nodes_know_where_they_stand),
		cmocka_unit_test(a_long_path_keeps_its_end),
		cmocka_unit_test(plain_scalars_are_typed_and_quoted_ones_are_strings),
		cmocka_unit_test(integers_have_their_base_and_range),
		cmocka_unit_test(json_is_read_with_tabs_and_escapes),
		cmocka_unit_test(crlf_bom_comments_and_unicode_are_text),
		cmocka_unit_test(documents_come_one_by_one),
		cmocka_unit_test(faults_have_line_and_column),
		cmocka_unit_test(anchors_aliases_and_merge_keys_are_refused),
		cmocka_unit_test(what_is_not_text_is_refused),
		cmocka_unit_test(depth_ends_at_64),
		cmocka_unit_test(size_ends_at_one_mebibyte),
		cmocka_unit_test(entries_end_at_ten_thousand),
		cmocka_unit_test(a_hostile_map_is_checked_for_duplicates_quickly),
		cmocka_unit_test(mutated_input_never_breaks_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
