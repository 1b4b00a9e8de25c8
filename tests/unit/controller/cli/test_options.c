#include "controller/cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const struct option_spec specs[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_FILE,
	OPTION_ROW_GRACE("grace"),
	OPTION_ROW_DRY_RUN,
	{ .name = "workers", .value = "N", .type = OPTION_NUMBER, OPTION_AT(workers), .max = 100 },
	{ .name = "signal", .value = "S", .type = OPTION_SIGNAL_NO, OPTION_AT(signal) },
	{ .name = "wait", .type = OPTION_SWITCH, OPTION_AT(wait_gone) },
	{ 0 },
};

/* Parses one word and, when it wants one, its value. Returns how many words it took, -1: err. */
static int parse(struct options *opt, struct err *err, const char *first, const char *second)
{
	char *argv[] = { (char *)first, (char *)second };
	int index = 0;

	if (option_parse("test it", specs, second ? 2 : 1, argv, &index, opt, err) < 0)
		return -1;
	return index;
}

static int setup(void **state)
{
	static struct options opt;

	options_init(&opt);
	*state = &opt;
	return 0;
}

static int teardown(void **state)
{
	options_release(*state);
	return 0;
}

static void value_stands_behind_equals_or_as_next_word(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "--name=dev", NULL), 1);
	assert_string_equal(opt->name, "dev");
	assert_int_equal(parse(opt, &err, "--name", "prod"), 2);
	assert_string_equal(opt->name, "prod");
	assert_int_equal(parse(opt, &err, "-Na", NULL), 1);
	assert_int_equal(parse(opt, &err, "-N", "b,c"), 2);
	assert_int_equal(parse(opt, &err, "-N=d", NULL), 1);
	assert_int_equal(opt->nodes.count, 4);
	assert_string_equal(opt->nodes.items[2], "c");
	assert_string_equal(opt->nodes.items[3], "d");
}

static void letters_may_be_joined(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "-vvqN", "x"), 2);
	assert_int_equal(opt->verbose, 2);
	assert_true(opt->quiet);
	assert_string_equal(opt->nodes.items[0], "x");
}

static void file_names_keep_their_commas(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "-f", "a,b.yaml"), 2);
	assert_int_equal(opt->files.count, 1);
	assert_string_equal(opt->files.items[0], "a,b.yaml");
}

static void durations_are_gos(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "--grace", "1m30s"), 2);
	assert_int_equal(opt->grace_ms, 90000);
	assert_int_equal(parse(opt, &err, "--grace=0", NULL), 1);
	assert_int_equal(opt->grace_ms, 0);
	assert_int_equal(parse(opt, &err, "--grace=5", NULL), -1);
	assert_string_equal(err.msg, "--grace: '5' is not a duration such as 90s or 2m");
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(parse(opt, &err, "--grace=25h", NULL), -1);
	assert_int_equal(parse(opt, &err, "--timeout=0", NULL), -1);
	assert_string_equal(err.msg, "--timeout: '0' is not more than 0");
	assert_int_equal(opt->grace_ms, 0);
}

static void numbers_have_bounds(void **state)
{
	static const char *const bad[] = {
		"-1", "101", "1e3", "0x10", " 1", "", "9999999999999999"
	};
	struct options *opt = *state;
	struct err err;
	char word[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(word, sizeof(word), "--workers=%s", bad[i]);
		assert_int_equal(parse(opt, &err, word, NULL), -1);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	}
	assert_int_equal(opt->workers, -1);
	assert_int_equal(parse(opt, &err, "--workers", "100"), 2);
	assert_int_equal(opt->workers, 100);
}

static void switch_can_be_said_no_to(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_true(opt->wait_gone);
	assert_int_equal(parse(opt, &err, "--wait=false", "x"), 1);
	assert_false(opt->wait_gone);
	assert_int_equal(parse(opt, &err, "--wait", "x"), 1);
	assert_true(opt->wait_gone);
	assert_int_equal(parse(opt, &err, "--wait=maybe", NULL), -1);
}

static void signals_have_linux_numbers(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "--signal=SIGTERM", NULL), 1);
	assert_int_equal(opt->signal, 15);
	assert_int_equal(parse(opt, &err, "--signal=usr1", NULL), 1);
	assert_int_equal(opt->signal, 10);
	assert_int_equal(parse(opt, &err, "--signal=9", NULL), 1);
	assert_int_equal(opt->signal, 9);
	assert_int_equal(parse(opt, &err, "--signal=0", NULL), -1);
	assert_int_equal(parse(opt, &err, "--signal=65", NULL), -1);
	assert_int_equal(parse(opt, &err, "--signal=NOPE", NULL), -1);
}

static void unknown_choice_is_told_what_there_is(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "-o", "jsn"), -1);
	assert_string_equal(err.msg, "--output: 'jsn' is not one of: table wide json yaml name");
	assert_string_equal(err.advice, "did you mean 'json'?");
	assert_int_equal(parse(opt, &err, "-oyaml", NULL), 1);
	assert_int_equal(opt->output, OUTPUT_YAML);
	assert_int_equal(parse(opt, &err, "--progress", "none"), 2);
	assert_int_equal(opt->progress, PROGRESS_NONE);
}

static void unknown_flag_is_named_with_the_nearest(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "--dryrun", NULL), -1);
	assert_string_equal(err.msg, "'test it' has no flag --dryrun");
	assert_string_equal(err.advice, "did you mean '--dry-run'?");
	assert_string_equal(err.reason, "UNKNOWN_FLAG");
	assert_int_equal(parse(opt, &err, "--worker=3", NULL), -1);
	assert_string_equal(err.msg, "'test it' has no flag --worker");
	assert_int_equal(parse(opt, &err, "-x", NULL), -1);
	assert_string_equal(err.msg, "'test it' has no flag -x");
}

static void missing_value_is_an_error(void **state)
{
	struct options *opt = *state;
	struct err err;

	assert_int_equal(parse(opt, &err, "--name", NULL), -1);
	assert_string_equal(err.msg, "--name needs a value: --name CLUSTER");
	assert_int_equal(parse(opt, &err, "-N", NULL), -1);
	assert_string_equal(err.msg, "-N needs a value: -N NODE");
	assert_int_equal(parse(opt, &err, "--name=", NULL), -1);
	assert_int_equal(parse(opt, &err, "-N", "a,,b"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(value_stands_behind_equals_or_as_next_word, setup,
						teardown),
		cmocka_unit_test_setup_teardown(letters_may_be_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(file_names_keep_their_commas, setup, teardown),
		cmocka_unit_test_setup_teardown(durations_are_gos, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_have_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(switch_can_be_said_no_to, setup, teardown),
		cmocka_unit_test_setup_teardown(signals_have_linux_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_choice_is_told_what_there_is, setup,
						teardown),
		cmocka_unit_test_setup_teardown(unknown_flag_is_named_with_the_nearest, setup,
						teardown),
		cmocka_unit_test_setup_teardown(missing_value_is_an_error, setup, teardown),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
