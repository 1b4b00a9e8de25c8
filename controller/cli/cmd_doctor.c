#include "controller/cli/fields.h"
#include "controller/cli/invocation.h"
#include "controller/cli/print.h"
#include "controller/cluster/doctor.h"

#include <string.h>

static struct json_object *check_rows(const struct doctor_check *checks, size_t count)
{
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		struct json_object *row = row_add(rows);

		field_text(row, "id", checks[i].id);
		field_text(row, "state", doctor_state_name(checks[i].state));
		field_text(row, "message", checks[i].message);
		field_text(row, "cause", checks[i].cause);
		field_text(row, "fix", checks[i].fix);
	}
	return rows;
}

static const struct column columns[] = {
	{ .title = "CHECK", .path = "id" },
	{ .title = "STATE", .path = "state" },
	{ .title = "FOUND", .path = "message" },
	{ 0 },
};

static const struct listing listing = { .noun = "check", .name_path = "id", .columns = columns };

/* Below the table, what is worth knowing about each check that is not ok. */
static void print_advice(FILE *out, const struct doctor_check *checks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (checks[i].state != DOCTOR_WARN && checks[i].state != DOCTOR_FAIL)
			continue;
		fprintf(out, "\n%s: %s\n", checks[i].id, checks[i].message);
		if (*checks[i].cause)
			fprintf(out, "  why: %s\n", checks[i].cause);
		if (*checks[i].fix)
			fprintf(out, "  fix: %s\n", checks[i].fix);
	}
}

static int doctor(struct invocation *inv, struct err *err)
{
	struct doctor_check checks[DOCTOR_MAX_CHECKS];
	const char *state_dir = invocation_state_dir(inv, err);
	cleanup_json struct json_object *rows = NULL;
	struct provider *provider = NULL;
	struct err no_engine;
	size_t count;

	if (!state_dir)
		return -1;
	if (invocation_provider(inv, &provider, &no_engine) < 0)
		provider = NULL; /* its checks say so */
	count = doctor_run(provider, state_dir, inv->by, checks);
	rows = check_rows(checks, count);
	if (print_rows(inv->out, invocation_format(inv), rows, &listing, err) < 0)
		return -1;
	if (invocation_format(inv) == OUTPUT_TABLE)
		print_advice(inv->out, checks, count);
	for (size_t i = 0; i < count; i++) {
		if (checks[i].state == DOCTOR_FAIL)
			inv->exit_code = 1;
	}
	return 0;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "check this host: what stops nodes from working here, or will",
	.details =
		"Reads, changes nothing. Exit code 1 when a check fails; a warning is no failure.",
	.outputs = OUTPUTS_RESULT,
	.timeout_ms = 30000,
	.run = doctor,
};
