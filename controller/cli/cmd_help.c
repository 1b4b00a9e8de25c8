#include "controller/cli/exit_code.h"
#include "controller/cli/help.h"
#include "controller/cli/invocation.h"
#include "controller/cli/suggest.h"

#include <string.h>

static int unknown_topic(const char *word, struct err *err)
{
	struct suggest suggest;

	suggest_init(&suggest, word, strlen(word));
	for (size_t i = 0; command_table[i]; i++) {
		char verb[64];

		snprintf(verb, sizeof(verb), "%.*s", (int)strcspn(command_table[i]->name, " "),
			 command_table[i]->name);
		suggest_try(&suggest, verb);
	}
	usage_error(err, "no help on '%s'", word);
	err_explain(err, "UNKNOWN_COMMAND", "'berth help' lists the commands");
	suggest_advise(&suggest, "berth help ", err);
	return -1;
}

static bool is_verb(const char *word)
{
	for (size_t i = 0; command_table[i]; i++) {
		if (command_has_verb(command_table[i], word))
			return true;
	}
	return false;
}

static int help_words(FILE *out, const char *verb, const char *noun, struct err *err)
{
	const char *singular = noun ? noun_singular(noun) : NULL;
	const struct command *command;

	if (!noun && strcmp(verb, "exit-codes") == 0) {
		help_exit_codes(out);
		return 0;
	}
	if (!is_verb(verb))
		return unknown_topic(verb, err);
	if (noun && !singular)
		return unknown_topic(noun, err);
	command = command_find(verb, singular);
	if (noun && !command)
		return unknown_topic(noun, err);
	if (command && !(command->flags & CMD_HIDDEN) && (noun || !help_has_nouns(verb)))
		help_command(out, command);
	else
		help_verb(out, verb);
	return 0;
}

static int help(struct invocation *inv, struct err *err)
{
	const struct strv *words = inv->args;

	if (words->count)
		return help_words(inv->out, words->items[0],
				  words->count > 1 ? words->items[1] : NULL, err);
	help_overview(inv->out);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.args = "[COMMAND|exit-codes]",
	.summary = "list the commands, or explain one",
	.max_args = 2,
	.outputs = 1U << OUTPUT_TABLE,
	.run = help,
};
