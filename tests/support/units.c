#include "tests/support/units.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool answer_begins(struct units_answer *answer, const struct err *err)
{
	answer->calls++;
	answer->at_ms = clock_now_ms();
	answer->failed = err;
	if (err)
		answer->err = *err;
	return !err;
}

void answer_status(void *arg, const struct unit_status *list, size_t count, const struct err *err)
{
	struct units_answer *answer = arg;

	if (!answer_begins(answer, err))
		return;
	assert_true(count <= ANSWER_MAX);
	if (count)
		memcpy(answer->list, list, count * sizeof(*list));
	answer->count = count;
}

void answer_action(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct units_answer *answer = arg;

	if (answer_begins(answer, err))
		answer->outcome = *outcome;
}

void answer_state(void *arg, const char *state, const struct err *err)
{
	struct units_answer *answer = arg;

	if (answer_begins(answer, err))
		snprintf(answer->state, sizeof(answer->state), "%s", state);
}

void answer_processes(void *arg, const struct process_result *list, size_t count,
		      const struct err *err)
{
	struct units_answer *answer = arg;

	if (!answer_begins(answer, err))
		return;
	assert_true(count <= ANSWER_MAX);
	if (count)
		memcpy(answer->processes, list, count * sizeof(*list));
	answer->count = count;
}

void loop_until(struct sd_event *loop, bool (*is_so)(void *arg), void *arg, int64_t limit_ms)
{
	struct deadline by = deadline_in_ms(limit_ms);

	while (!is_so(arg)) {
		if (deadline_is_over(by))
			fail_msg("nothing after %lld ms", (long long)limit_ms);
		assert_true(sd_event_run(loop, (uint64_t)deadline_left_ms(by) * 1000) >= 0);
	}
}

static bool is_answered(void *arg)
{
	return ((struct units_answer *)arg)->calls > 0;
}

void loop_until_answered(struct sd_event *loop, const struct units_answer *answer, int64_t limit_ms)
{
	loop_until(loop, is_answered, (void *)answer, limit_ms);
	assert_int_equal(answer->calls, 1);
}

void loop_for(struct sd_event *loop, int64_t ms)
{
	struct deadline by = deadline_in_ms(ms);

	while (!deadline_is_over(by))
		assert_true(sd_event_run(loop, (uint64_t)deadline_left_ms(by) * 1000) >= 0);
}

void make_dir(char ret_path[64])
{
	snprintf(ret_path, 64, "/tmp/berth-test-XXXXXX");
	assert_non_null(mkdtemp(ret_path));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void remove_dir(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void ask_status(struct sd_event *loop, struct units *units, const char *name, int64_t by_ms,
		struct units_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	units_status(units, &name, 1, deadline_in_ms(by_ms), answer_status, ret);
	assert_int_equal(ret->calls, 0);
	loop_until_answered(loop, ret, by_ms + 20000);
}

void ask_act(struct sd_event *loop, struct units *units, enum unit_action action, const char *name,
	     int64_t by_ms, struct units_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	units_act(units, action, name, deadline_in_ms(by_ms), answer_action, ret);
	assert_int_equal(ret->calls, 0);
	loop_until_answered(loop, ret, by_ms + 20000);
}

void ask_force_stop(struct sd_event *loop, struct units *units, const char *name, int64_t grace_ms,
		    int64_t by_ms, struct units_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	units_force_stop(units, name, grace_ms, deadline_in_ms(by_ms), answer_action, ret);
	assert_int_equal(ret->calls, 0);
	loop_until_answered(loop, ret, by_ms + 20000);
}

void ask_kill(struct sd_event *loop, struct units *units, const char *name, bool main_only,
	      int signal, int64_t by_ms, struct units_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	units_kill(units, name, main_only, signal, deadline_in_ms(by_ms), answer_action, ret);
	assert_int_equal(ret->calls, 0);
	loop_until_answered(loop, ret, by_ms + 20000);
}
