#include "controller/cli/help.h"

#include "controller/cli/exit_code.h"

#include <string.h>

#define FLAG_COLUMN 28
#define WIDTH       96

/* Text from 'column' on, broken at blanks. */
static void wrapped(FILE *out, const char *text, int column)
{
	int at = column;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > column && at + len > WIDTH) {
			fprintf(out, "\n%*s", column, "");
			at = column;
		}
		fprintf(out, "%.*s", len, text);
		at += len;
		text += len;
		if (*text == ' ') {
			text++;
			if (at + 1 + (int)strcspn(text, " ") <= WIDTH) {
				fputc(' ', out);
				at++;
			} else if (*text) {
				fprintf(out, "\n%*s", column, "");
				at = column;
			}
		}
	}
	fputc('\n', out);
}

static void flag(FILE *out, const struct option_spec *spec)
{
	char left[64];
	char letter[8] = "    ";

	if (spec->letter)
		snprintf(letter, sizeof(letter), "-%c, ", spec->letter);
	snprintf(left, sizeof(left), "  %s--%s%s%s", letter, spec->name, spec->value ? " " : "",
		 spec->value ? spec->value : "");
	fprintf(out, "%-*s", FLAG_COLUMN, left);
	if (strlen(left) >= FLAG_COLUMN)
		fprintf(out, "\n%*s", FLAG_COLUMN, "");
	wrapped(out, spec->help, FLAG_COLUMN);
}

static void flags(FILE *out, const char *title, const struct option_spec *specs)
{
	if (!specs || !specs->name)
		return;
	fprintf(out, "\n%s:\n", title);
	for (; specs->name; specs++)
		flag(out, specs);
}

static void command_row(FILE *out, const struct command *command)
{
	char left[80];

	snprintf(left, sizeof(left), "  %s%s%s", command->name, *command->args ? " " : "",
		 command->args);
	fprintf(out, "%-36s", left);
	if (strlen(left) >= 36)
		fprintf(out, "\n%36s", "");
	fprintf(out, "%s\n", command->summary);
}

void help_exit_codes(FILE *out)
{
	fprintf(out, "Exit codes:\n");
	for (size_t i = 0; exit_code_table[i].meaning; i++)
		fprintf(out, "  %-4d%s\n", exit_code_table[i].code, exit_code_table[i].meaning);
}

void help_overview(FILE *out)
{
	fprintf(out, "Berth makes cluster nodes on this machine and works inside them.\n\n"
		     "Usage: berth VERB [NOUN] [NAME...] [flags]\n\nCommands:\n");
	for (size_t i = 0; command_table[i]; i++) {
		if (!(command_table[i]->flags & CMD_HIDDEN))
			command_row(out, command_table[i]);
	}
	flags(out, "Flags of every command", global_options);
	fputc('\n', out);
	help_exit_codes(out);
	fprintf(out, "\n'berth help COMMAND' or 'berth COMMAND --help' tells more.\n");
}

bool help_has_nouns(const char *verb)
{
	for (size_t i = 0; command_table[i]; i++) {
		if (command_has_verb(command_table[i], verb) && command_noun(command_table[i]))
			return true;
	}
	return false;
}

void help_verb(FILE *out, const char *verb)
{
	fprintf(out, "Usage: berth %s NOUN [NAME...] [flags]\n\nCommands:\n", verb);
	for (size_t i = 0; command_table[i]; i++) {
		if (command_has_verb(command_table[i], verb) &&
		    !(command_table[i]->flags & CMD_HIDDEN))
			command_row(out, command_table[i]);
	}
	fprintf(out, "\n'berth help %s NOUN' tells more.\n", verb);
}

/* First letter large, full stop. */
static void sentence(FILE *out, const char *text)
{
	char first = text[0] >= 'a' && text[0] <= 'z' ? (char)(text[0] - 'a' + 'A') : text[0];

	fprintf(out, "%c%s.\n", first, text + 1);
}

static void formats(FILE *out, unsigned outputs)
{
	const char *sep = "";

	fprintf(out, "\nOutput formats: ");
	for (int i = OUTPUT_TABLE; i <= OUTPUT_NAME; i++) {
		if (!(outputs & 1U << i))
			continue;
		fprintf(out, "%s%s", sep, output_format_name((enum output_format)i));
		sep = ", ";
	}
	fputc('\n', out);
}

static void duration(FILE *out, int64_t ms)
{
	if (ms % 60000 == 0)
		fprintf(out, "%lldm", (long long)(ms / 60000));
	else
		fprintf(out, "%llds", (long long)(ms / 1000));
}

void help_command(FILE *out, const struct command *command)
{
	sentence(out, command->summary);
	fprintf(out, "\nUsage: berth %s%s%s [flags]\n", command->name, *command->args ? " " : "",
		command->args);
	if (command->details)
		fprintf(out, "\n%s\n", command->details);
	if (command->example)
		fprintf(out, "\nExample:\n  %s\n", command->example);
	flags(out, "Flags", command->options);
	fprintf(out,
		"\nFlags of every command, such as --name, -o and --timeout: see 'berth help'.\n");
	formats(out, command->outputs);
	if (command->timeout_ms) {
		fprintf(out, "Default timeout: ");
		duration(out, command->timeout_ms);
		fputc('\n', out);
	}
}

static void reference_command(FILE *out, const struct command *command)
{
	fprintf(out, "\n## berth %s\n\n", command->name);
	sentence(out, command->summary);
	fprintf(out, "\n```\nberth %s%s%s [flags]\n```\n", command->name, *command->args ? " " : "",
		command->args);
	if (command->details)
		fprintf(out, "\n%s\n", command->details);
	if (command->options && command->options->name) {
		fprintf(out, "\n```");
		flags(out, "Flags", command->options);
		fprintf(out, "```\n");
	}
	formats(out, command->outputs);
	if (command->timeout_ms) {
		fprintf(out, "Default timeout: ");
		duration(out, command->timeout_ms);
		fputs(".\n", out);
	}
	if (command->example)
		fprintf(out, "\n```\n%s\n```\n", command->example);
}

void help_reference(FILE *out)
{
	fprintf(out, "# Commands\n\nWritten by the test of the command table from the table "
		     "itself; `berth help` prints the same.\n\n```");
	flags(out, "Flags of every command", global_options);
	fprintf(out, "```\n\n```\n");
	help_exit_codes(out);
	fprintf(out, "```\n");
	for (size_t i = 0; command_table[i]; i++) {
		if (!(command_table[i]->flags & CMD_HIDDEN))
			reference_command(out, command_table[i]);
	}
}
