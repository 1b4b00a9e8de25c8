#pragma once
/*
 * What the checks look at, and how one says what it found. To add a check: write it beside its kin in
 * doctor_host.c, doctor_engine.c or doctor_system.c and add its row to the table there.
 */
#include "controller/cluster/doctor.h"

struct look {
	const char *root; /* "" for the host's own files; tests have others */
	struct host_facts facts;
	const char *state_dir;
	struct provider *provider; /* NULL: no engine to ask */
	struct deadline by;
	bool has_info;
	struct engine_info info;
	struct err info_err; /* why there is no info */
};

struct doctor_row {
	const char *id;
	void (*check)(const struct look *look, struct doctor_check *check);
};

/* Fills a check. 'cause' and 'fix' may be "". */
void doctor_say(struct doctor_check *check, enum doctor_state state, const char *cause,
		const char *fix, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Appends the rows' results, as far as there is room; returns the new count. */
size_t doctor_host_rows(const struct look *look, struct doctor_check *checks, size_t count);
size_t doctor_engine_rows(const struct look *look, struct doctor_check *checks, size_t count);
size_t doctor_system_rows(const struct look *look, struct doctor_check *checks, size_t count);
size_t doctor_walk(const struct doctor_row *rows, size_t row_count, const struct look *look,
		   struct doctor_check *checks, size_t count);

/* doctor_run() on what 'look' says. */
size_t doctor_run_look(struct look *look, struct doctor_check *checks);
