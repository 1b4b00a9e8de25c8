#include "controller/cli/cli.h"

#include "controller/cli/exit_code.h"
#include "controller/cli/failure.h"
#include "controller/cli/help.h"
#include "controller/cli/invocation.h"
#include "controller/cli/signals.h"
#include "controller/cli/suggest.h"
#include "shared/base/log.h"
#include "shared/base/parse.h"

#include <errno.h>
#include <string.h>

#define MAX_CLUSTER_NAME 63

static void set_log_level(const struct options *opt)
{
	if (opt->quiet)
		log_set_level(LOG_LEVEL_QUIET);
	else if (opt->verbose)
		log_set_level(opt->verbose > 1 ? LOG_LEVEL_TRACE : LOG_LEVEL_DEBUG);
}

static int check_provider(const char *name, struct err *err)
{
	/* The last two are named in the contract and come with VM nodes. */
	static const char *const known[] = { "podman", "docker", "fake", "vfkit", "qemu" };
	struct suggest suggest;

	suggest_init(&suggest, name, strlen(name));
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(name, known[i]) == 0)
			return 0;
		suggest_try(&suggest, known[i]);
	}
	usage_error(err, "no provider '%s'; there are podman, docker and fake", name);
	suggest_advise(&suggest, "--provider ", err);
	return err_explain(err, "BAD_VALUE", NULL);
}

/* What no command should have to check again. */
static int check_globals(const struct invocation *inv, struct err *err)
{
	const char *cluster = invocation_cluster(inv);
	const char *provider = inv->opt->provider ? inv->opt->provider : getenv("BERTH_PROVIDER");

	if (inv->opt->name && inv->args->count && strcmp(inv->command->args, "[NAME]") == 0 &&
	    strcmp(inv->opt->name, inv->args->items[0]) != 0)
		return usage_error(err, "'%s' or '%s'? One cluster at a time", inv->args->items[0],
				   inv->opt->name);
	if (!name_is_valid(cluster, MAX_CLUSTER_NAME)) {
		usage_error(err,
			    "'%s' is no cluster name: lower-case letters, digits, '-' and '.', at "
			    "most %d, a letter or digit first and last",
			    cluster, MAX_CLUSTER_NAME);
		return err_explain(err, "BAD_NAME", NULL);
	}
	if (provider && *provider)
		return check_provider(provider, err);
	return 0;
}

static int run(struct invocation *inv, struct err *err)
{
	int result;

	if (check_globals(inv, err) < 0)
		return -1;
	signals_graceful(inv->command->flags & CMD_PLANS);
	result = inv->command->run(inv, err);
	signals_graceful(false);
	return result;
}

static int run_command(const struct command_line *line, const struct interrupt *interrupt,
		       FILE *out, FILE *errs)
{
	struct invocation inv;
	struct err err = { 0 };

	invocation_init(&inv, line, interrupt, out, errs);
	if (run(&inv, &err) < 0)
		invocation_fail(&inv, &err);
	invocation_release(&inv);
	if (inv.exit_code && signals_came())
		return EXIT_CODE_INTERRUPTED;
	return inv.exit_code;
}

static void show_help(const struct command_line *line, FILE *out)
{
	if (line->command)
		help_command(out, line->command);
	else if (line->verb)
		help_verb(out, line->verb);
	else
		help_overview(out);
}

static int dispatch(struct command_line *line, const struct interrupt *interrupt, FILE *out,
		    FILE *errs)
{
	set_log_level(&line->options);
	if (line->options.version) {
		line->command = &cmd_version;
		line->options.client = true;
	}
	if (line->options.help) {
		show_help(line, out);
		return EXIT_CODE_OK;
	}
	if (!line->command) {
		help_overview(errs);
		return EXIT_CODE_USAGE;
	}
	return run_command(line, interrupt, out, errs);
}

int cli_main(int argc, char **argv, const struct interrupt *interrupt, FILE *out, FILE *errs)
{
	struct command_line line;
	struct err err = { 0 };
	int code;

	if (command_line_parse(argc, argv, &line, &err) < 0) {
		failure_print(errs, &err, line.options.output == OUTPUT_JSON);
		code = exit_code_of(&err);
	} else {
		code = dispatch(&line, interrupt, out, errs);
	}
	command_line_release(&line);
	if (fflush(out) != 0 && code == EXIT_CODE_OK && errno != EPIPE)
		code = EXIT_CODE_FAILED;
	return code;
}
