#include "controller/cluster/doctor.h"

#include "controller/cluster/doctor_look.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INFO_MS 6000 /* a stopped engine is told within 6 s (CN-295) */

const char *doctor_state_name(enum doctor_state state)
{
	static const char *const names[] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_WARN] = "warn",
		[DOCTOR_FAIL] = "fail",
		[DOCTOR_SKIP] = "skip",
	};

	return (size_t)state < ARRAY_LEN(names) ? names[state] : "skip";
}

void doctor_say(struct doctor_check *check, enum doctor_state state, const char *cause,
		const char *fix, const char *fmt, ...)
{
	va_list ap;

	check->state = state;
	snprintf(check->cause, sizeof(check->cause), "%s", cause);
	snprintf(check->fix, sizeof(check->fix), "%s", fix);
	va_start(ap, fmt);
	vsnprintf(check->message, sizeof(check->message), fmt, ap);
	va_end(ap);
}

size_t doctor_walk(const struct doctor_row *rows, size_t row_count, const struct look *look,
		   struct doctor_check *checks, size_t count)
{
	for (size_t i = 0; i < row_count && count < DOCTOR_MAX_CHECKS; i++) {
		struct doctor_check *check = &checks[count++];

		*check = (struct doctor_check){ .id = rows[i].id };
		rows[i].check(look, check);
	}
	return count;
}

size_t doctor_run_look(struct look *look, struct doctor_check *checks)
{
	size_t count = 0;

	if (look->provider) {
		struct deadline by = deadline_min(look->by, deadline_in_ms(INFO_MS));

		look->has_info =
			provider_info(look->provider, by, &look->info, &look->info_err) == 0;
	}
	count = doctor_engine_rows(look, checks, count);
	count = doctor_host_rows(look, checks, count);
	return doctor_system_rows(look, checks, count);
}

size_t doctor_run(struct provider *provider, const char *state_dir, struct deadline by,
		  struct doctor_check *checks)
{
	struct look look = { .root = "", .state_dir = state_dir, .provider = provider, .by = by };

	if (provider)
		look.facts = *provider_facts(provider);
	else
		host_facts_read(&look.facts);
	return doctor_run_look(&look, checks);
}
