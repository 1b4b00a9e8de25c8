#include "controller/cli/print.h"

#include "controller/cli/cell.h"
#include "shared/base/deadline.h"
#include "shared/base/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <string.h>

static const struct column columns[] = {
	{ .title = "NAME", .path = "name" },
	{ .title = "AGENT", .path = "agent.state" },
	{ .title = "READY", .path = "ready", .kind = COLUMN_YESNO },
	{ .title = "ID", .path = "id", .kind = COLUMN_ID },
	{ .title = "TOOK", .path = "millis", .kind = COLUMN_MILLIS, .wide = true },
	{ 0 },
};

static const struct listing listing = { .noun = "node", .name_path = "name", .columns = columns };

static void row_line(struct json_object *row, struct text *line)
{
	text_addf(line, "node/%s done", field_str(row, "name"));
}

static const struct listing lines = { .noun = "node", .name_path = "name", .line = row_line };

static struct json_object *two_rows(void)
{
	struct json_object *rows = json_object_new_array(), *row = row_add(rows);

	field_text(row, "name", "a");
	field_text(field_object(row, "agent"), "state", "ok");
	field_bool(row, "ready", true);
	field_text(row, "id", "0123456789abcdef");
	field_int(row, "millis", 1250);
	row = row_add(rows);
	field_text(row, "name", "long-name");
	field_text(field_object(row, "agent"), "state", "");
	field_bool(row, "ready", false);
	field_text(row, "id", "f");
	field_int(row, "millis", 40);
	return rows;
}

/* Prints and puts the rows. Caller frees. */
static char *printed(enum output_format format, struct json_object *rows, const struct listing *how)
{
	struct err err;
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(print_rows(out, format, rows, how, &err), 0);
	fclose(out);
	json_object_put(rows);
	return text;
}

static void expect(enum output_format format, struct json_object *rows, const struct listing *how,
		   const char *wanted)
{
	char *text = printed(format, rows, how);

	assert_string_equal(text, wanted);
	free(text);
}

static void table_is_aligned_and_trimmed(void **state)
{
	(void)state;
	expect(OUTPUT_TABLE, two_rows(), &listing,
	       "NAME        AGENT   READY   ID\n"
	       "a           ok      yes     0123456789abc\n"
	       "long-name   -       no      f\n");
}

static void wide_has_more_columns_and_whole_ids(void **state)
{
	(void)state;
	expect(OUTPUT_WIDE, two_rows(), &listing,
	       "NAME        AGENT   READY   ID                 TOOK\n"
	       "a           ok      yes     0123456789abcdef   1.2s\n"
	       "long-name   -       no      f                  40ms\n");
}

static void names_are_noun_slash_name(void **state)
{
	(void)state;
	expect(OUTPUT_NAME, two_rows(), &listing, "node/a\nnode/long-name\n");
}

static void results_are_lines(void **state)
{
	(void)state;
	expect(OUTPUT_TABLE, two_rows(), &lines, "node/a done\nnode/long-name done\n");
}

/* cli.md section 1: a list is always an array, also of one or none. */
static void list_of_none_is_an_array(void **state)
{
	(void)state;
	expect(OUTPUT_JSON, json_object_new_array(), &listing, "[]\n");
	expect(OUTPUT_YAML, json_object_new_array(), &listing, "[]\n");
	expect(OUTPUT_TABLE, json_object_new_array(), &listing, "");
	expect(OUTPUT_NAME, json_object_new_array(), &listing, "");
}

static void json_reads_back_the_same(void **state)
{
	struct json_object *rows = two_rows(), *back;
	char *text = printed(OUTPUT_JSON, json_object_get(rows), &listing);

	(void)state;
	back = json_tokener_parse(text);
	assert_non_null(back);
	assert_true(json_object_equal(rows, back));
	json_object_put(back);
	json_object_put(rows);
	free(text);
}

static void yaml_keeps_strings_strings(void **state)
{
	struct json_object *rows = json_tokener_parse(
		"[{\"name\":\"a\",\"t\":\"true\",\"n\":\"12\",\"i\":12,\"e\":\"\",\"z\":null,"
		"\"v\":\"1.10\",\"c\":\"a: b\",\"no\":\"no\",\"list\":[],\"x\":\"l\\nm\"}]");

	(void)state;
	expect(OUTPUT_YAML, rows, &listing,
	       "- name: a\n  t: \"true\"\n  n: \"12\"\n  i: 12\n  e: \"\"\n  z: null\n"
	       "  v: \"1.10\"\n  c: \"a: b\"\n  no: \"no\"\n  list: []\n  x: \"l\\nm\"\n");
}

static void broken_stream_is_an_error(void **state)
{
	struct json_object *rows = two_rows();
	FILE *full = fopen("/dev/full", "w");
	struct err err;

	(void)state;
	assert_non_null(full);
	assert_int_equal(print_rows(full, OUTPUT_JSON, rows, &listing, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	fclose(full);
	json_object_put(rows);
}

static void expect_escaped(const char *raw, const char *wanted)
{
	struct text text = { 0 };

	cell_escape(&text, raw);
	assert_string_equal(text_str(&text), wanted);
	text_release(&text);
}

/* I19 */
static void what_moves_the_cursor_is_escaped(void **state)
{
	(void)state;
	expect_escaped("plain text", "plain text");
	expect_escaped("a\033[2Jb", "a\\x1b[2Jb");
	expect_escaped("a\nb\tc\rd", "a\\nb\\tc\\x0dd");
	expect_escaped("bell\a del\177", "bell\\x07 del\\x7f");
	expect_escaped("\xc2\x9b"
		       "31m",
		       "\\x9b31m"); /* C1 CSI */
	expect_escaped("\xe2\x80\xae"
		       "evil",
		       "\\u{202e}evil"); /* right-to-left override */
	expect_escaped("a\xe2\x80\x8b"
		       "b",
		       "a\\u{200b}b"); /* zero width */
	expect_escaped("caf\xc3\xa9 \xe6\x97\xa5", "caf\xc3\xa9 \xe6\x97\xa5");
	expect_escaped("\xff\xc3", "\\xff\\xc3");          /* no UTF-8 */
	expect_escaped("\xc0\xaf", "\\xc0\\xaf");          /* overlong */
	expect_escaped("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* surrogate */
}

/* I19, as a property: whatever the bytes, no control character comes through. */
static void no_bytes_get_a_control_character_through(void **state)
{
	unsigned seed = 20261121;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct text text = { 0 };
		char raw[17] = { 0 };

		for (int i = 0; i < 16; i++) {
			seed = seed * 1103515245u + 12345u;
			raw[i] = (char)(seed >> 16);
		}
		cell_escape(&text, raw);
		for (const unsigned char *p = (const unsigned char *)text_str(&text); *p; p++) {
			assert_true(*p >= ' ' && *p != 0x7f);
			assert_false(p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f);
		}
		text_release(&text);
	}
}

/* I19: the escape happens on the way into the table, not only when asked for. */
static void table_cells_are_escaped(void **state)
{
	struct json_object *rows = json_object_new_array();

	(void)state;
	field_text(row_add(rows), "name", "x\033]0;title\a");
	expect(OUTPUT_NAME, rows, &listing, "node/x\\x1b]0;title\\x07\n");
	rows = json_object_new_array();
	field_text(row_add(rows), "name", "x\033]0;title\a");
	expect(OUTPUT_TABLE, rows, &lines, "node/x\\x1b]0;title\\x07 done\n");
}

static void wide_characters_take_two_columns(void **state)
{
	(void)state;
	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		print_message("skipped: this host has no C.UTF-8 locale\n");
		skip();
	}
	assert_int_equal(cell_width("abc"), 3);
	assert_int_equal(cell_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
	assert_int_equal(cell_width("e\xcc\x81"), 1);
}

static void ages_are_short(void **state)
{
	static const struct {
		int64_t seconds;
		const char *age;
	} cases[] = {
		{ 0, "0s" },    { 119, "119s" },   { 120, "2m" },    { 7199, "119m" },
		{ 7200, "2h" }, { 172799, "47h" }, { 172800, "2d" }, { -5, "0s" },
	};
	char age[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cell_age(1000000000000LL, 1000000000000LL + cases[i].seconds * 1000000000LL, age,
			 sizeof(age));
		assert_string_equal(age, cases[i].age);
	}
	cell_age(0, 5, age, sizeof(age));
	assert_string_equal(age, "");
}

static void times_read_back(void **state)
{
	struct json_object *object = json_object_new_object();

	(void)state;
	field_time_ns(object, "t", 1793527200LL * 1000000000);
	assert_string_equal(field_str(object, "t"), "2026-11-01T10:00:00Z");
	assert_int_equal(time_parse_ns("2026-11-01T10:00:00Z"), 1793527200LL * 1000000000);
	assert_int_equal(time_parse_ns("2026-11-01T10:00:00.25Z"),
			 1793527200LL * 1000000000 + 250000000);
	assert_int_equal(time_parse_ns("2026-11-01T10:00:00"), 0);
	assert_int_equal(time_parse_ns("yesterday"), 0);
	field_time_ns(object, "t", 0);
	assert_null(field_get(object, "t"));
	json_object_put(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_aligned_and_trimmed),
		cmocka_unit_test(wide_has_more_columns_and_whole_ids),
		cmocka_unit_test(names_are_noun_slash_name),
		cmocka_unit_test(results_are_lines),
		cmocka_unit_test(list_of_none_is_an_array),
		cmocka_unit_test(json_reads_back_the_same),
		cmocka_unit_test(yaml_keeps_strings_strings),
		cmocka_unit_test(broken_stream_is_an_error),
		cmocka_unit_test(what_moves_the_cursor_is_escaped),
		cmocka_unit_test(no_bytes_get_a_control_character_through),
		cmocka_unit_test(table_cells_are_escaped),
		cmocka_unit_test(wide_characters_take_two_columns),
		cmocka_unit_test(ages_are_short),
		cmocka_unit_test(times_read_back),
	};

	return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
