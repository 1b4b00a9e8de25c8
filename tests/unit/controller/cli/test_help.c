/* Help, as every command prints it, against golden files: what changes there was meant to. */
#include "controller/cli/help.h"

#include "tests/support/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void rule(FILE *out, const char *words)
{
	fprintf(out, "\n==== berth %s\n", words);
}

static void all_verbs(FILE *out)
{
	char seen[512] = " ", verb[64], word[80];

	for (size_t i = 0; command_table[i]; i++) {
		snprintf(verb, sizeof(verb), "%.*s", (int)strcspn(command_table[i]->name, " "),
			 command_table[i]->name);
		snprintf(word, sizeof(word), " %s ", verb);
		if (strstr(seen, word) || !help_has_nouns(verb))
			continue;
		strncat(seen, word + 1, sizeof(seen) - strlen(seen) - 1);
		snprintf(word, sizeof(word), "help %s", verb);
		rule(out, word);
		help_verb(out, verb);
	}
}

static void help_is_as_agreed(void **state)
{
	size_t len;
	char *text, words[80];
	FILE *out = open_memstream(&text, &len);

	(void)state;
	rule(out, "help");
	help_overview(out);
	all_verbs(out);
	for (size_t i = 0; command_table[i]; i++) {
		snprintf(words, sizeof(words), "help %s", command_table[i]->name);
		rule(out, words);
		help_command(out, command_table[i]);
	}
	fclose(out);
	cli_golden("tests/unit/controller/cli/golden/help.txt", text);
	free(text);
}

static void reference_is_written_from_the_table(void **state)
{
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	help_reference(out);
	fclose(out);
	cli_golden("docs/commands.md", text);
	free(text);
}

static void no_line_is_wider_than_a_terminal(void **state)
{
	size_t len;
	char *text, *rest, *line;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	for (size_t i = 0; command_table[i]; i++)
		help_command(out, command_table[i]);
	fclose(out);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (strlen(line) > 100)
			fail_msg("%zu columns: %s", strlen(line), line);
	}
	free(text);
}

static void help_goes_to_stdout_and_is_success(void **state)
{
	(void)state;
	cli_expect(0, "Commands:", "", "help", NULL);
	cli_expect(0, "Usage: berth create cluster", "", "help", "create", "cluster", NULL);
	cli_expect(0, "Usage: berth create cluster", "", "create", "clusters", "--help", NULL);
	cli_expect(0, "Usage: berth get NOUN", "", "get", "-h", NULL);
	cli_expect(0, "Usage: berth get NOUN", "", "help", "get", NULL);
	cli_expect(0, "130 interrupted", "", "help", "exit-codes", NULL);
	cli_expect(0, "Usage: berth delete NOUN", "", "help", "delete", NULL);
}

static void no_command_is_a_usage_error(void **state)
{
	(void)state;
	cli_expect(2, "", "Commands:", "-v", NULL);
	cli_expect(2, "", "did you mean 'berth help apply'?", "help", "aply", NULL);
	cli_expect(2, "", "no help on 'frob'", "help", "get", "frob", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_is_as_agreed),
		cmocka_unit_test(reference_is_written_from_the_table),
		cmocka_unit_test(no_line_is_wider_than_a_terminal),
		cmocka_unit_test(help_goes_to_stdout_and_is_success),
		cmocka_unit_test(no_command_is_a_usage_error),
	};

	return cmocka_run_group_tests_name("help", tests, NULL, NULL);
}
