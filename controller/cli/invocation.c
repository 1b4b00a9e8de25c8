#include "controller/cli/invocation.h"

#include "controller/cli/cell.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/failure.h"
#include "controller/cli/progress.h"
#include "controller/cluster/store.h"

#include <stdarg.h>
#include <string.h>

/* `delete cluster demo` means `delete cluster --name demo`. */
static bool names_cluster(const struct command_line *line)
{
	const char *noun = command_noun(line->command);

	return noun && strcmp(noun, "cluster") == 0 && line->command->max_args == 1 &&
	       line->args.count == 1;
}

void invocation_init(struct invocation *inv, const struct command_line *line,
		     const struct interrupt *interrupt, FILE *out, FILE *errs)
{
	*inv = (struct invocation){
		.command = line->command,
		.opt = &line->options,
		.args = &line->args,
		.out = out,
		.errs = errs,
		.interrupt = interrupt,
	};
	inv->cluster = line->options.name;
	if (!inv->cluster && names_cluster(line))
		inv->cluster = line->args.items[0];
	invocation_set_deadline(inv, 0);
}

void invocation_release(struct invocation *inv)
{
	progress_view_free(inv->view);
	provider_close(inv->provider);
	free(inv->state_dir);
	free(inv->address);
}

void invocation_set_deadline(struct invocation *inv, int64_t least_ms)
{
	int64_t ms = inv->command->timeout_ms;

	if (inv->opt->timeout_ms >= 0)
		ms = inv->opt->timeout_ms;
	else if (ms < least_ms)
		ms = least_ms;
	inv->by = ms ? deadline_in_ms(ms) : DEADLINE_NEVER;
}

enum output_format invocation_format(const struct invocation *inv)
{
	return (enum output_format)inv->opt->output;
}

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

bool invocation_has_cluster(const struct invocation *inv)
{
	return inv->cluster || env("BERTH_CLUSTER");
}

const char *invocation_cluster(const struct invocation *inv)
{
	const char *from_env = env("BERTH_CLUSTER");

	if (inv->cluster)
		return inv->cluster;
	return from_env ? from_env : CLUSTER_DEFAULT_NAME;
}

/* Takes 'path'. Engines and sockets want to know from where. */
static char *absolute(char *path)
{
	cleanup_free char *relative = path, *here = NULL;

	if (!relative || *relative == '/')
		return TAKE(relative);
	here = getcwd(NULL, 0);
	return here ? text_format("%s/%s", here, relative) : NULL;
}

static const char *wanted_provider(const struct invocation *inv)
{
	if (inv->provider_name)
		return inv->provider_name;
	return inv->opt->provider ? inv->opt->provider : env("BERTH_PROVIDER");
}

bool invocation_has_provider(const struct invocation *inv)
{
	return wanted_provider(inv) != NULL;
}

const char *invocation_state_dir(struct invocation *inv, struct err *err)
{
	cleanup_free char *dir = NULL;

	if (inv->state_dir)
		return inv->state_dir;
	dir = absolute(store_default_dir(inv->opt->state_dir));
	if (!inv->address)
		inv->address = provider_address(wanted_provider(inv));
	if (dir && inv->address)
		inv->state_dir = store_engine_dir(dir, inv->address);
	if (!inv->state_dir)
		err_oom(err);
	return inv->state_dir;
}

int invocation_provider(struct invocation *inv, struct provider **ret_provider, struct err *err)
{
	const char *name = wanted_provider(inv);

	if (!inv->provider) {
		int rc = inv->opt->dry_run ? provider_open_to_plan(name, NULL, &inv->provider, err)
					   : provider_open(name, NULL, &inv->provider, err);

		if (rc < 0)
			return -1;
		provider_set_interrupt(inv->provider, inv->interrupt);
	}
	*ret_provider = inv->provider;
	return 0;
}

int invocation_use_provider(struct invocation *inv, const char *name, struct err *err)
{
	struct provider *provider;

	provider_close(inv->provider);
	free(inv->state_dir);
	free(inv->address);
	inv->provider = NULL;
	inv->state_dir = inv->address = NULL;
	inv->provider_name = name;
	return invocation_provider(inv, &provider, err);
}

int invocation_cluster_ctx(struct invocation *inv, const char *name, struct cluster_ctx *ret_ctx,
			   struct err *err)
{
	struct cluster_ctx ctx = { .name = name, .interrupt = inv->interrupt, .by = inv->by };

	ctx.state_dir = invocation_state_dir(inv, err);
	if (!ctx.state_dir || invocation_provider(inv, &ctx.provider, err) < 0)
		return -1;
	if (!inv->view)
		inv->view = progress_view_new(inv->errs, inv->opt);
	if (!inv->view)
		return err_oom(err);
	inv->progress = (struct progress){ .event = progress_view_event, .arg = inv->view };
	ctx.progress = &inv->progress;
	*ret_ctx = ctx;
	return 0;
}

void invocation_fail(struct invocation *inv, const struct err *err)
{
	failure_print(inv->errs, err, invocation_format(inv) == OUTPUT_JSON);
	if (!inv->exit_code)
		inv->exit_code = exit_code_of(err);
}

void invocation_note(const struct invocation *inv, const char *fmt, ...)
{
	cleanup_with(text) struct text escaped = { 0 };
	char line[1024];
	va_list ap;

	if (inv->opt->quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	cell_escape(&escaped, line);
	fprintf(inv->errs, "%s\n", text_str(&escaped));
}

int usage_error(struct err *err, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	err_set(err, ERR_INVALID_ARGUMENT, 0, "%s", message);
	return err_explain(err, "USAGE", NULL);
}
