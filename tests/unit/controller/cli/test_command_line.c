#include "controller/cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define MAX_WORDS 16

static struct command_line line;
static struct err err;

static int parse(const char *words)
{
	static char copy[256];
	char *argv[MAX_WORDS] = { (char *)"berth" };
	char *rest = copy, *word;
	int argc = 1;

	command_line_release(&line);
	memset(&err, 0, sizeof(err));
	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")) && *word)
		argv[argc++] = word;
	return command_line_parse(argc, argv, &line, &err);
}

static int teardown(void **state)
{
	(void)state;
	command_line_release(&line);
	return 0;
}

static void expect_command(const char *words, const char *name)
{
	if (parse(words) < 0)
		fail_msg("%s: %s", words, err.msg);
	assert_non_null(line.command);
	assert_string_equal(line.command->name, name);
}

static void expect_error(const char *words, const char *message, const char *advice)
{
	if (parse(words) == 0)
		fail_msg("'%s' is accepted", words);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
	assert_string_equal(err.advice, advice);
}

static void nouns_have_kubectls_spellings(void **state)
{
	(void)state;
	expect_command("get nodes", "get nodes");
	expect_command("get node", "get nodes");
	expect_command("get pod", "get pods");
	expect_command("get po", "get pods");
	expect_command("list clusters", "get clusters");
	expect_command("delete clusters", "delete cluster");
	expect_command("start nodes a b", "start node");
}

static void flags_may_stand_anywhere(void **state)
{
	static const char *const orders[] = {
		"stop unit kubelet -N w1 --force --grace 2s",
		"--node w1 stop unit kubelet --grace=2s --force",
		"stop -N w1 unit --force kubelet --grace 2s",
		"stop --grace 2s --force -N w1 unit kubelet",
		"stop unit --force -Nw1 --grace 2s -- kubelet",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		expect_command(orders[i], "stop unit");
		assert_true(line.options.force);
		assert_int_equal(line.options.grace_ms, 2000);
		assert_int_equal(line.args.count, 1);
		assert_string_equal(line.args.items[0], "kubelet");
		assert_string_equal(line.options.nodes.items[0], "w1");
	}
}

static void global_flags_may_stand_before_the_verb(void **state)
{
	(void)state;
	expect_command("--name get get nodes x", "get nodes");
	assert_string_equal(line.options.name, "get");
	assert_string_equal(line.args.items[0], "x");
	expect_command("-o json -vv get nodes", "get nodes");
	assert_int_equal(line.options.output, OUTPUT_JSON);
	assert_int_equal(line.options.verbose, 2);
}

static void double_dash_ends_flags(void **state)
{
	(void)state;
	expect_command("get units -- -x --node", "get units");
	assert_int_equal(line.args.count, 2);
	assert_string_equal(line.args.items[0], "-x");
}

static void lone_dash_is_stdin(void **state)
{
	(void)state;
	expect_command("apply -f -", "apply");
	assert_string_equal(line.options.files.items[0], "-");
}

static void names_may_carry_their_noun(void **state)
{
	(void)state;
	expect_command("stop node node/w1 w2", "stop node");
	assert_string_equal(line.args.items[0], "w1");
	assert_string_equal(line.args.items[1], "w2");
}

static void delete_with_a_file_needs_no_noun(void **state)
{
	(void)state;
	expect_command("delete -f pod.yaml", "delete");
	expect_command("delete pod -f pod.yaml", "delete pod");
	expect_command("delete pod x --wait=false", "delete pod");
	assert_false(line.options.wait_gone);
}

static void same_flag_may_differ_between_commands(void **state)
{
	(void)state;
	expect_command("create cluster --wait 30s --workers 2", "create cluster");
	assert_int_equal(line.options.wait_ms, 30000);
	expect_command("apply -f x --wait -N y", "apply");
	assert_true(line.options.wait);
	assert_string_equal(line.options.nodes.items[0], "y");
}

static void unknown_words_are_told_the_nearest(void **state)
{
	(void)state;
	expect_error("gte nodes", "there is no command 'gte'", "did you mean 'berth get'?");
	expect_error("frobnicate", "there is no command 'frobnicate'",
		     "'berth help' lists the commands");
	expect_error("get nodez",
		     "'get' does not know 'nodez', only: clusters, nodes, containers, "
		     "pods, units, processes, events, certs, images",
		     "did you mean 'berth get nodes'?");
	expect_error("start pod", "'start' does not know 'pod', only: cluster, node, unit",
		     "'berth help' lists the commands");
	expect_error("get",
		     "get what? One of: clusters, nodes, containers, pods, units, processes, "
		     "events, certs, images",
		     "");
	expect_error("get nodes --al", "'get nodes' has no flag --al", "");
	expect_error("get nodes --dry-run", "'get nodes' has no flag --dry-run", "");
	expect_error("--frob", "berth has no flag --frob", "");
}

static void wrong_number_of_names_shows_the_usage(void **state)
{
	(void)state;
	expect_error("create node", "'create node' needs NAME",
		     "usage: berth create node NAME [flags]");
	expect_error("create node a b", "'create node': unexpected 'b'",
		     "usage: berth create node NAME [flags]");
	expect_error("status x", "'status': unexpected 'x'", "usage: berth status [flags]");
	expect_error("apply -f x -o wide", "'apply' has no output format 'wide'", "");
}

static void output_format_holds_for_errors_too(void **state)
{
	(void)state;
	assert_int_equal(parse("frob -o json"), -1);
	assert_int_equal(line.options.output, OUTPUT_JSON);
	assert_int_equal(parse("get nodes --nope --output=json"), -1);
	assert_int_equal(line.options.output, OUTPUT_JSON);
}

static void help_wins_over_everything_else(void **state)
{
	(void)state;
	assert_int_equal(parse("create node --role nonsense a b c -h"), 0);
	assert_true(line.options.help);
	assert_string_equal(line.command->name, "create node");
	assert_int_equal(parse("get --help"), 0);
	assert_null(line.command);
	assert_string_equal(line.verb, "get");
	assert_int_equal(parse("--help"), 0);
	assert_null(line.verb);
}

static bool name_is_unique(const char *name)
{
	int seen = 0;

	for (size_t i = 0; command_table[i]; i++)
		seen += strcmp(command_table[i]->name, name) == 0;
	return seen == 1;
}

/* What help and the parser rely on. */
static void table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; command_table[i]; i++) {
		const struct command *command = command_table[i];

		assert_true(name_is_unique(command->name));
		assert_non_null(command->args);
		assert_non_null(command->summary);
		assert_non_null(command->run);
		assert_true(command->max_args < 0 || command->max_args >= command->min_args);
		assert_true(command->outputs & 1U << OUTPUT_TABLE);
		for (const struct option_spec *o = command->options; o && o->name; o++) {
			assert_non_null(o->help);
			for (const struct option_spec *g = global_options; g->name; g++) {
				assert_string_not_equal(o->name, g->name);
				assert_true(!o->letter || o->letter != g->letter);
			}
			assert_true((o->value != NULL) ==
				    (o->type != OPTION_SWITCH && o->type != OPTION_COUNT));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nouns_have_kubectls_spellings),
		cmocka_unit_test(flags_may_stand_anywhere),
		cmocka_unit_test(global_flags_may_stand_before_the_verb),
		cmocka_unit_test(double_dash_ends_flags),
		cmocka_unit_test(lone_dash_is_stdin),
		cmocka_unit_test(names_may_carry_their_noun),
		cmocka_unit_test(delete_with_a_file_needs_no_noun),
		cmocka_unit_test(same_flag_may_differ_between_commands),
		cmocka_unit_test(unknown_words_are_told_the_nearest),
		cmocka_unit_test(wrong_number_of_names_shows_the_usage),
		cmocka_unit_test(output_format_holds_for_errors_too),
		cmocka_unit_test(help_wins_over_everything_else),
		cmocka_unit_test(table_is_sound),
	};

	return cmocka_run_group_tests_name("command line", tests, NULL, teardown);
}
