#include "shared/base/parse.h"

#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void integers_are_whole_and_in_range(void **state)
{
	int64_t value = 0;

	(void)state;
	assert_true(parse_int("0", 0, 0, &value));
	assert_int_equal(value, 0);
	assert_true(parse_int("-1", -1, 65535, &value));
	assert_int_equal(value, -1);
	assert_true(parse_int("9223372036854775807", 0, INT64_MAX, &value));
	assert_true(value == INT64_MAX);
	assert_true(parse_int("-9223372036854775808", INT64_MIN, 0, &value));
	assert_true(value == INT64_MIN);
}

static void what_is_no_integer_leaves_the_result_alone(void **state)
{
	static const char *const bad[] = { "",    "-",   "+1", " 1",  "1 ", "1x",
					   "0x1", "--1", "1.", "101", "-1", "9223372036854775808" };
	int64_t value = 4711;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse_int(bad[i], 0, 100, &value))
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_int_equal(value, 4711);
}

static void durations_are_gos(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "0", 0 },           { "0s", 0 },         { "90s", 90000 }, { "1m30s", 90000 },
		{ "1.5h", 5400000 },  { "300ms", 300 },    { "1us", 1 },     { "1ns", 1 },
		{ "1500us", 2 },      { "1000us", 1 },     { ".5s", 500 },   { "1.s", 1000 },
		{ "2h45m", 9900000 }, { "1s1s", 2000 },    { "0.1s", 100 },  { "0.3s", 300 },
		{ "10m", 600000 },    { "24h", 86400000 },
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ms = -1;
		assert_true(parse_duration_ms(cases[i].text, &ms));
		if (ms != cases[i].ms)
			fail_msg("%s is %lld ms", cases[i].text, (long long)ms);
	}
}

static void what_is_no_duration_is_refused(void **state)
{
	static const char *const bad[] = {
		"",     "5",   "-5s",  "+5s", "5 s", "s",      ".s", "5S",  "1d",
		"1e3s", "inf", "0x1s", "1h ", "5s3", "1.2.3s", "00", "nan", "9999999999999999h"
	};
	int64_t ms = 4711;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse_duration_ms(bad[i], &ms))
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_int_equal(ms, 4711);
}

/* CN-083 */
static void cluster_names_are_kinds_without_odd_ends(void **state)
{
	static const char *const good[] = { "a", "kind", "a.b-c", "1", "0-0" };
	static const char *const bad[] = { "",  "-a",  "a-",  ".a",  "a.",
					   "A", "a_b", "a b", "a/b", "\xc3\xa4" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(name_is_valid(good[i], 50));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(name_is_valid(bad[i], 50));
	assert_true(name_is_valid("abc", 3));
	assert_false(name_is_valid("abcd", 3));
}

static void labels_and_subdomains_are_rfc_1123(void **state)
{
	char name[255];

	(void)state;
	assert_true(name_is_label("a-1"));
	assert_false(name_is_label("a.b"));
	assert_false(name_is_label(""));
	assert_false(name_is_label("a-"));
	assert_true(name_is_subdomain("a.b-1.c"));
	assert_false(name_is_subdomain("a..b"));
	assert_false(name_is_subdomain("a."));
	assert_false(name_is_subdomain(".a"));
	assert_false(name_is_subdomain("a.-b"));

	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_true(name_is_label(name));
	name[63] = 'a';
	name[64] = '\0';
	assert_false(name_is_label(name));
	name[64] = 'a';
	for (int i = 50; i < 250; i += 50)
		name[i] = '.';
	name[253] = '\0';
	assert_true(name_is_subdomain(name));
	name[253] = 'a';
	name[254] = '\0';
	assert_false(name_is_subdomain(name));
}

static void globs_match_like_fnmatch(void **state)
{
	static const struct {
		const char *glob, *name;
		bool matches;
	} cases[] = {
		{ "*", "", true },
		{ "*", "abc", true },
		{ "", "", true },
		{ "", "a", false },
		{ "a*c", "abbc", true },
		{ "a*c", "ab", false },
		{ "*-worker?", "k-worker2", true },
		{ "*-worker?", "k-worker", false },
		{ "a**b", "ab", true },
		{ "*ab*ab", "abxab", true },
		{ "*.x", ".x", true },
		{ "[a]", "a", false },
		{ "[a]", "[a]", true },
		{ "?", "", false },
		{ "a*", "ba", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (name_matches(cases[i].glob, cases[i].name) != cases[i].matches)
			fail_msg("'%s' on '%s'", cases[i].glob, cases[i].name);
	}
}

/* Backtracking is bounded by the last star: this would take years if it were not. */
static void a_hostile_glob_ends_at_once(void **state)
{
	char name[4001];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_false(name_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

static void times_are_nanoseconds_or_nothing(void **state)
{
	(void)state;
	assert_int_equal(time_parse_ns("2026-01-31T12:00:00.5Z"), INT64_C(1769860800500000000));
	assert_int_equal(time_parse_ns("2262-04-11T23:47:16Z"), INT64_C(9223372036000000000));
	assert_int_equal(time_parse_ns("2262-04-11T23:47:17Z"), 0);
	assert_int_equal(time_parse_ns("0001-01-01T00:00:00Z"), 0);
	assert_int_equal(time_parse_ns("2026-01-31T12:00:00"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_whole_and_in_range),
		cmocka_unit_test(what_is_no_integer_leaves_the_result_alone),
		cmocka_unit_test(durations_are_gos),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(cluster_names_are_kinds_without_odd_ends),
		cmocka_unit_test(labels_and_subdomains_are_rfc_1123),
		cmocka_unit_test(globs_match_like_fnmatch),
		cmocka_unit_test(a_hostile_glob_ends_at_once),
		cmocka_unit_test(times_are_nanoseconds_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
