#pragma once
/*
 * Host checks: what stops nodes from working here, or will, with cause and fix (test-hosts.md,
 * ecosystem.md 2.6, 2.10). Each check reads, none changes anything.
 */
#include "controller/provider/provider.h"

#include <stddef.h>

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_SKIP };

struct doctor_check {
	const char *id; /* "nofile", "inotify-instances", "cgroup", "engine", ...; static */
	enum doctor_state state;
	char message[200]; /* what was found, one sentence */
	char cause[256];   /* why it matters; "" when ok */
	char fix[256];     /* what to do, or how Berth works around it; "" when ok */
};

#define DOCTOR_MAX_CHECKS 48

/* Runs all checks and returns how many. 'provider' NULL: the engine checks are skipped with the
 * reason. 'checks' has room for DOCTOR_MAX_CHECKS. */
size_t doctor_run(struct provider *provider, const char *state_dir, struct deadline by,
		  struct doctor_check *checks);

const char *doctor_state_name(enum doctor_state state); /* "ok" "warn" "fail" "skip" */
