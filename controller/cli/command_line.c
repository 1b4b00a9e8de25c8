#include "controller/cli/command.h"
#include "controller/cli/suggest.h"

#include <stdio.h>
#include <string.h>

/* Where the words of the command stand in argv. */
struct words {
	int verb; /* 0: not found */
	int noun;
	bool help;
};

static const char *verb_alias(const char *word)
{
	return strcmp(word, "list") == 0 ? "get" : word;
}

static bool verb_has_nouns(const char *verb)
{
	for (size_t i = 0; command_table[i]; i++) {
		if (command_has_verb(command_table[i], verb) && command_noun(command_table[i]))
			return true;
	}
	return false;
}

/* Before verb and noun are known, any command (of the verb) may own the flag. */
static bool value_is_next_word(const char *verb, const char *word)
{
	bool alone = false;

	for (size_t i = 0; command_table[i]; i++) {
		if ((!verb || command_has_verb(command_table[i], verb)) &&
		    option_find(command_table[i]->options, word, &alone))
			return alone;
	}
	return option_find(NULL, word, &alone) && alone;
}

static bool asks_for_help(const char *word)
{
	bool is_cluster = word[0] == '-' && word[1] != '-' && word[1];

	return strcmp(word, "--help") == 0 || (is_cluster && strcmp(word, "-h") == 0);
}

static struct words find_words(int argc, char **argv)
{
	struct words words = { 0 };
	const char *verb = NULL;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		words.help |= asks_for_help(argv[i]);
		if (option_is_flag(argv[i])) {
			i += value_is_next_word(verb, argv[i]) ? 1 : 0;
		} else if (!words.verb) {
			words.verb = i;
			verb = verb_alias(argv[i]);
		} else if (!words.noun && verb_has_nouns(verb)) {
			words.noun = i;
		}
	}
	return words;
}

static int unknown(struct err *err, const struct suggest *suggest, const char *prefix)
{
	if (!suggest->best[0])
		err_explain(err, NULL, "'berth help' lists the commands");
	suggest_advise(suggest, prefix, err);
	return err_explain(err, "UNKNOWN_COMMAND", NULL);
}

static int unknown_verb(const char *word, struct err *err)
{
	struct suggest suggest;

	suggest_init(&suggest, word, strlen(word));
	for (size_t i = 0; command_table[i]; i++) {
		char verb[64];
		size_t len = strcspn(command_table[i]->name, " ");

		snprintf(verb, sizeof(verb), "%.*s", (int)len, command_table[i]->name);
		suggest_try(&suggest, verb);
	}
	err_set(err, ERR_INVALID_ARGUMENT, 0, "there is no command '%s'", word);
	return unknown(err, &suggest, "berth ");
}

/* "clusters, nodes, pods": what may follow the verb. */
static void add_nouns(struct text *text, const char *verb)
{
	for (size_t i = 0; command_table[i]; i++) {
		const char *space = strchr(command_table[i]->name, ' ');

		if (command_has_verb(command_table[i], verb) && space)
			text_addf(text, "%s%s", text->len ? ", " : "", space + 1);
	}
}

static int missing_noun(const char *verb, struct err *err)
{
	cleanup_with(text) struct text nouns = { 0 };

	add_nouns(&nouns, verb);
	err_set(err, ERR_INVALID_ARGUMENT, 0, "%s what? One of: %s", verb, text_str(&nouns));
	return err_explain(err, "UNKNOWN_COMMAND", NULL);
}

static int unknown_noun(const char *verb, const char *word, struct err *err)
{
	cleanup_with(text) struct text nouns = { 0 };
	struct suggest suggest;
	char prefix[64];

	suggest_init(&suggest, word, strlen(word));
	for (size_t i = 0; command_table[i]; i++) {
		const char *space = strchr(command_table[i]->name, ' ');

		if (command_has_verb(command_table[i], verb) && space)
			suggest_try(&suggest, space + 1);
	}
	add_nouns(&nouns, verb);
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' does not know '%s', only: %s", verb, word,
		text_str(&nouns));
	snprintf(prefix, sizeof(prefix), "berth %s ", verb);
	return unknown(err, &suggest, prefix);
}

static int find_command(char **argv, const struct words *words, struct command_line *line,
			struct err *err)
{
	const char *noun;

	if (!words->verb)
		return 0;
	line->verb = verb_alias(argv[words->verb]);
	if (!verb_has_nouns(line->verb)) {
		line->command = command_find(line->verb, NULL);
		return line->command ? 0 : unknown_verb(argv[words->verb], err);
	}
	if (!words->noun) {
		line->command = command_find(line->verb, NULL);
		return line->command || words->help ? 0 : missing_noun(line->verb, err);
	}
	noun = noun_singular(argv[words->noun]);
	line->command = noun ? command_find(line->verb, noun) : NULL;
	return line->command ? 0 : unknown_noun(line->verb, argv[words->noun], err);
}

/* "node/x", as -o name prints it, means x. */
static const char *without_noun(const struct command *command, const char *word)
{
	const char *noun = command ? command_noun(command) : NULL;
	size_t len = noun ? strlen(noun) : 0;

	if (noun && strncmp(word, noun, len) == 0 && word[len] == '/' && word[len + 1])
		return word + len + 1;
	return word;
}

static int parse_words(int argc, char **argv, const struct words *words, struct command_line *line,
		       struct err *err)
{
	const struct option_spec *options = line->command ? line->command->options : NULL;
	const char *name = line->command ? line->command->name : "";
	bool only_args = false;

	for (int i = 1; i < argc;) {
		if (!only_args && strcmp(argv[i], "--") == 0) {
			only_args = true;
			i++;
		} else if (!only_args && option_is_flag(argv[i])) {
			if (option_parse(name, options, argc, argv, &i, &line->options, err) < 0)
				return -1;
		} else {
			if (i != words->verb && i != words->noun)
				strv_add(&line->args, without_noun(line->command, argv[i]));
			i++;
		}
	}
	return strv_failed(&line->args) ? err_oom(err) : 0;
}

static int check_args(const struct command_line *line, struct err *err)
{
	const struct command *command = line->command;
	int count = (int)line->args.count;

	if (count < command->min_args)
		err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' needs %s", command->name,
			command->args);
	else if (command->max_args >= 0 && count > command->max_args)
		err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s': unexpected '%s'", command->name,
			line->args.items[command->max_args]);
	else
		return 0;
	err_explain(err, "USAGE", NULL);
	snprintf(err->advice, sizeof(err->advice), "usage: berth %s%s%s [flags]", command->name,
		 *command->args ? " " : "", command->args);
	return -1;
}

static int check_output(const struct command_line *line, struct err *err)
{
	if (line->command->outputs & 1U << line->options.output)
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' has no output format '%s'", line->command->name,
		output_format_name((enum output_format)line->options.output));
	return err_explain(err, "BAD_VALUE", NULL);
}

/* The format counts for errors too, wherever on the line it stands. */
static void find_output(int argc, char **argv, struct options *opt)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		bool next = strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0;

		if (strcmp(argv[i], "-ojson") == 0 || strcmp(argv[i], "-o=json") == 0 ||
		    strcmp(argv[i], "--output=json") == 0 ||
		    (next && i + 1 < argc && strcmp(argv[i + 1], "json") == 0))
			opt->output = OUTPUT_JSON;
	}
}

int command_line_parse(int argc, char **argv, struct command_line *ret_line, struct err *err)
{
	struct words words = find_words(argc, argv);

	memset(ret_line, 0, sizeof(*ret_line));
	options_init(&ret_line->options);
	find_output(argc, argv, &ret_line->options);
	ret_line->options.help = words.help;
	if (find_command(argv, &words, ret_line, err) < 0)
		return -1;
	if (words.help)
		return 0;
	if (!ret_line->command && argc == 2 && strcmp(argv[1], "--version") == 0) {
		ret_line->options.version = true;
		return 0;
	}
	if (parse_words(argc, argv, &words, ret_line, err) < 0)
		return -1;
	if (!ret_line->command)
		return 0;
	return check_args(ret_line, err) < 0 || check_output(ret_line, err) < 0 ? -1 : 0;
}

void command_line_release(struct command_line *line)
{
	strv_release(&line->args);
	options_release(&line->options);
}
