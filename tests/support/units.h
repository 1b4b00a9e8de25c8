#pragma once
/*
 * For tests of agent/units: a loop, the answers of its calls, and waiting for them.
 */
#include "agent/units/processes.h"
#include "agent/units/unit.h"

#include <systemd/sd-event.h>

#define ANSWER_MAX 16

/* What a 'done' was told; zero-initialise, hand it as 'arg'. */
struct units_answer {
	unsigned calls; /* how often it was called */
	int64_t at_ms;  /* monotonic, of the last call */
	bool failed;
	struct err err;
	struct unit_outcome outcome;
	struct unit_status list[ANSWER_MAX];
	struct process_result processes[ANSWER_MAX];
	size_t count;
	char state[32];
};

void answer_status(void *arg, const struct unit_status *list, size_t count, const struct err *err);
void answer_action(void *arg, const struct unit_outcome *outcome, const struct err *err);
void answer_state(void *arg, const char *state, const struct err *err);
void answer_processes(void *arg, const struct process_result *list, size_t count,
		      const struct err *err);

/* Runs the loop until 'answer' was called or 'limit_ms' are over; then the test fails. */
void loop_until_answered(struct sd_event *loop, const struct units_answer *answer,
			 int64_t limit_ms);

/* Runs the loop until 'is_so' holds; the test fails after 'limit_ms'. */
void loop_until(struct sd_event *loop, bool (*is_so)(void *arg), void *arg, int64_t limit_ms);

/* Runs the loop for that long: to see that something does not happen. */
void loop_for(struct sd_event *loop, int64_t ms);

/* A directory of its own for a test, and its end with all that is in it. */
void make_dir(char ret_path[64]);
void remove_dir(const char *path);

/* The calls of unit.h, waited for; the answer must come by 'by_ms' + 500. */
void ask_status(struct sd_event *loop, struct units *units, const char *name, int64_t by_ms,
		struct units_answer *ret);
void ask_act(struct sd_event *loop, struct units *units, enum unit_action action, const char *name,
	     int64_t by_ms, struct units_answer *ret);
void ask_force_stop(struct sd_event *loop, struct units *units, const char *name, int64_t grace_ms,
		    int64_t by_ms, struct units_answer *ret);
void ask_kill(struct sd_event *loop, struct units *units, const char *name, bool main_only,
	      int signal, int64_t by_ms, struct units_answer *ret);
