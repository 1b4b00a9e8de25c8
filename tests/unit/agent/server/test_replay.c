#include "agent/server/replay.h"

#include "shared/base/deadline.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int64_t now_us;

static int64_t fake_now(void)
{
	return now_us;
}

struct rig {
	struct replay *replay;
	struct replay_found found;
	struct err err;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	now_us = 1000000;
	clock_set_source(fake_now);
	*state = rig;
	return replay_new(&replay_limits_default, NULL, &rig->replay, &rig->err);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	clock_set_source(NULL);
	replay_free(rig->replay);
	free(rig);
	return 0;
}

static const uint8_t *id(unsigned n)
{
	static uint8_t bytes[WIRE_CALL_ID_BYTES];

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &n, sizeof(n));
	return bytes;
}

static struct call *a_call(int n)
{
	static char calls[4];

	return (struct call *)&calls[n];
}

static void done(struct rig *rig, unsigned n, const char *reply)
{
	assert_int_equal(
		replay_begin(rig->replay, id(n), n, METHOD_REPEATABLE, 0, a_call(0), &rig->err), 0);
	replay_finish(rig->replay, id(n), (const uint8_t *)reply, strlen(reply));
}

static bool knows(struct rig *rig, unsigned n)
{
	return replay_find(rig->replay, id(n), n, &rig->found, &rig->err);
}

/* F20 */
static void a_running_call_is_found_and_joined(void **state)
{
	struct rig *rig = *state;

	assert_false(knows(rig, 1));
	replay_begin(rig->replay, id(1), 1, METHOD_REPEATABLE, 0, a_call(2), &rig->err);
	assert_true(knows(rig, 1));
	assert_ptr_equal(rig->found.call, a_call(2));
	assert_null(rig->found.reply);
}

/* F20: bit-equal */
static void a_finished_mutation_answers_the_same_bytes(void **state)
{
	struct rig *rig = *state;

	done(rig, 1, "first");
	assert_true(knows(rig, 1));
	assert_null(rig->found.call);
	assert_int_equal(rig->found.reply_len, 5);
	assert_memory_equal(rig->found.reply, "first", 5);
}

static void a_finished_read_is_forgotten(void **state)
{
	struct rig *rig = *state;

	replay_begin(rig->replay, id(1), 1, METHOD_REPEATABLE, 0, a_call(0), &rig->err);
	replay_finish(rig->replay, id(1), NULL, 0);
	assert_false(knows(rig, 1));
	assert_int_equal(replay_count(rig->replay), 0);
}

static void an_id_used_for_another_request_is_refused(void **state)
{
	struct rig *rig = *state;

	done(rig, 1, "x");
	assert_true(replay_find(rig->replay, id(1), 77, &rig->found, &rig->err));
	assert_null(rig->found.call);
	assert_null(rig->found.reply);
	assert_int_equal(rig->err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(rig->err.reason, "CALL_ID_REUSED");
}

static void replies_expire_after_ten_minutes(void **state)
{
	struct rig *rig = *state;

	done(rig, 1, "x");
	now_us += 5 * 60 * 1000000LL;
	done(rig, 2, "y");
	assert_int_equal(replay_expire(rig->replay), 5 * 60 * 1000);
	now_us += 5 * 60 * 1000000LL - 1000;
	assert_true(knows(rig, 1));
	now_us += 1000;
	assert_false(knows(rig, 1));
	assert_true(knows(rig, 2));
	now_us += 5 * 60 * 1000000LL;
	assert_int_equal(replay_expire(rig->replay), -1);
	assert_int_equal(replay_count(rig->replay), 0);
}

/* By the time of their end, not of their begin. */
static void the_oldest_of_too_many_replies_goes_first(void **state)
{
	struct rig *rig = *state;

	replay_begin(rig->replay, id(9999), 9999, METHOD_REPEATABLE, 0, a_call(1), &rig->err);
	for (unsigned n = 0; n < 1024; n++)
		done(rig, n, "x");
	replay_finish(rig->replay, id(9999), (const uint8_t *)"z", 1);
	assert_int_equal(replay_count(rig->replay), 1024);
	assert_false(knows(rig, 0));
	assert_true(knows(rig, 1));
	assert_true(knows(rig, 9999));
}

static void replies_are_bounded_in_bytes(void **state)
{
	struct rig *rig = *state;
	char *big = malloc(300 * 1024 + 1);

	memset(big, 'a', 300 * 1024);
	big[300 * 1024] = '\0';
	for (unsigned n = 0; n < 5; n++)
		done(rig, n, big);
	assert_int_equal(replay_count(rig->replay), 3);
	assert_false(knows(rig, 1));
	assert_true(knows(rig, 2));
	free(big);
}

static void running_calls_are_never_dropped(void **state)
{
	struct rig *rig = *state;

	replay_begin(rig->replay, id(5000), 5000, METHOD_REPEATABLE, 0, a_call(3), &rig->err);
	now_us += 3600 * 1000000LL;
	for (unsigned n = 0; n < 2000; n++)
		done(rig, n, "x");
	assert_true(knows(rig, 5000));
	assert_ptr_equal(rig->found.call, a_call(3));
}

/* --- what comes late --------------------------------------------------------------------------------- */

static int64_t now_ms(struct rig *rig)
{
	return replay_clock_ms(rig->replay);
}

static bool is_fresh(struct rig *rig, int64_t made_ms, int64_t until_ms)
{
	const struct replay_time time = { made_ms, until_ms };

	if (replay_check_fresh(rig->replay, &time, &rig->err) == 0)
		return true;
	assert_int_equal(rig->err.code, ERR_ABORTED);
	assert_string_equal(rig->err.reason, "CALL_STALE");
	return false;
}

/* F21 */
static void a_call_begins_while_its_caller_waits_and_five_minutes_at_most(void **state)
{
	struct rig *rig = *state;
	int64_t made = now_ms(rig);

	assert_true(is_fresh(rig, made, made + 1000));
	assert_true(is_fresh(rig, made, 0));
	now_us += 1000 * 1000;
	assert_true(is_fresh(rig, made, made + 1000));
	now_us += 1000;
	assert_false(is_fresh(rig, made, made + 1000));
	assert_non_null(strstr(rig->err.msg, "nobody waits"));
	now_us = 1000000 + REPLAY_FRESH_MS * 1000LL;
	assert_true(is_fresh(rig, made, 0));
	now_us += 1000;
	assert_false(is_fresh(rig, made, 0));
	assert_false(is_fresh(rig, made, now_ms(rig) + 3600 * 1000));
}

static void older_controllers_tell_no_time(void **state)
{
	struct rig *rig = *state;

	assert_true(is_fresh(rig, 0, 0));
	done(rig, 1, "x");
	assert_true(is_fresh(rig, 0, 0));
}

static void clocks_that_differ_are_noticed(void **state)
{
	struct rig *rig = *state;

	assert_true(is_fresh(rig, now_ms(rig) + 1, 0));
	assert_false(is_fresh(rig, now_ms(rig) + 1000, 0));
	assert_false(is_fresh(rig, INT64_MAX, INT64_MAX));
	assert_false(is_fresh(rig, INT64_MIN, 0));
	assert_false(is_fresh(rig, -1, -1));
}

/* F21: what had to make room for others counts as well as what is too old. */
static void no_call_from_before_a_forgotten_one_is_new(void **state)
{
	struct rig *rig = *state;
	int64_t made = now_ms(rig);

	for (unsigned n = 0; n < 1025; n++) {
		assert_int_equal(replay_begin(rig->replay, id(n), n, METHOD_ONCE, now_ms(rig),
					      a_call(0), &rig->err),
				 0);
		replay_finish(rig->replay, id(n), (const uint8_t *)"x", 1);
		now_us += 1000;
	}
	assert_false(knows(rig, 0));
	assert_false(is_fresh(rig, made, 0));
	assert_true(knows(rig, 1));
	assert_true(is_fresh(rig, made + 1, 0));
}

/* What the model knows of a call. */
struct made {
	int64_t made_ms;
	bool done;
};

#define MODEL_CALLS 4096
#define MODEL_STEPS 300000

/* A request of call 'n' arrives: it is done, or is known, or is refused. True: it was done. */
static bool arrives(struct rig *rig, unsigned n, const struct made *call)
{
	if (knows(rig, n) || !is_fresh(rig, call->made_ms, 0))
		return false;
	assert_int_equal(replay_begin(rig->replay, id(n), n, METHOD_ONCE, call->made_ms, a_call(0),
				      &rig->err),
			 0);
	replay_finish(rig->replay, id(n), (const uint8_t *)"reply", 5);
	return true;
}

/* F21: 300,000 requests, each perhaps the first of its call and perhaps one that was held for up to an hour,
 * in any order; time goes on by up to two seconds each. None is done twice. */
static void nothing_that_was_held_back_is_done_again(void **state)
{
	struct replay_limits few = replay_limits_default;
	struct made *calls = calloc(MODEL_CALLS, sizeof(*calls));
	unsigned seed = 21, count = 0, again = 0;
	struct rig *rig = *state;

	few.replies = 64;
	replay_free(rig->replay);
	assert_int_equal(replay_new(&few, NULL, &rig->replay, &rig->err), 0);

	for (unsigned step = 0; step < MODEL_STEPS; step++) {
		unsigned n = (unsigned)rand_r(&seed);
		bool is_done;

		now_us += rand_r(&seed) % (step % 10000 < 5000 ? 2000 : 2000000);
		n = count == 0 || (n & 7) == 0 ? count++ : n % count;
		n %= MODEL_CALLS;
		if (calls[n].made_ms == 0)
			calls[n].made_ms = now_ms(rig) - rand_r(&seed) % 1000;
		is_done = arrives(rig, n, &calls[n]);
		again += is_done && calls[n].done;
		calls[n].done |= is_done;
		count = count > MODEL_CALLS ? MODEL_CALLS : count;
	}
	assert_int_equal(again, 0);
	assert_int_equal(count, MODEL_CALLS);
	free(calls);
}

/* --- across a restart of the agent ---------------------------------------------------------------- */

struct life {
	char dir[64];
	char path[80];
	struct rig rig;
};

/* Begins the next life: nothing of the one before is closed in order, as after SIGKILL. */
static void live(struct life *life)
{
	assert_int_equal(replay_new(&replay_limits_default, life->path, &life->rig.replay,
				    &life->rig.err),
			 0);
}

static void die(struct life *life)
{
	replay_free(life->rig.replay);
}

static int life_setup(void **state)
{
	struct life *life = calloc(1, sizeof(*life));

	now_us = 1000000;
	clock_set_source(fake_now);
	make_dir(life->dir);
	snprintf(life->path, sizeof(life->path), "%s/calls", life->dir);
	live(life);
	*state = life;
	return 0;
}

static int life_teardown(void **state)
{
	struct life *life = *state;

	clock_set_source(NULL);
	die(life);
	remove_dir(life->dir);
	free(life);
	return 0;
}

/* S8, F1 */
static void a_reply_outlives_the_agent_bit_for_bit(void **state)
{
	struct life *life = *state;

	done(&life->rig, 1, "first");
	die(life);
	live(life);
	assert_true(knows(&life->rig, 1));
	assert_int_equal(life->rig.found.reply_len, 5);
	assert_memory_equal(life->rig.found.reply, "first", 5);
	assert_false(life->rig.found.lost);
	assert_false(knows(&life->rig, 2));
}

/* S8, F1 */
static void a_call_that_must_not_happen_twice_is_lost_when_it_was_running(void **state)
{
	struct life *life = *state;

	replay_begin(life->rig.replay, id(1), 1, METHOD_ONCE, 0, a_call(0), &life->rig.err);
	replay_begin(life->rig.replay, id(2), 2, METHOD_REPEATABLE, 0, a_call(1), &life->rig.err);
	for (int lives = 0; lives < 3; lives++) {
		die(life);
		live(life);
		assert_true(knows(&life->rig, 1));
		assert_true(life->rig.found.lost);
		assert_null(life->rig.found.reply);
		assert_false(knows(&life->rig, 2));
	}
}

/* F21: what the journal has told of may be repeated by those who have not had their answer. */
static void a_call_from_before_a_restart_may_be_done_in_the_next_life(void **state)
{
	struct life *life = *state;
	int64_t made = replay_clock_ms(life->rig.replay);

	done(&life->rig, 1, "x");
	now_us += 1000000;
	die(life);
	live(life);
	assert_true(is_fresh(&life->rig, made, 0));
}

static void an_id_of_another_life_is_not_for_another_request(void **state)
{
	struct life *life = *state;

	done(&life->rig, 1, "x");
	die(life);
	live(life);
	assert_true(replay_find(life->rig.replay, id(1), 77, &life->rig.found, &life->rig.err));
	assert_string_equal(life->rig.err.reason, "CALL_ID_REUSED");
}

static void the_age_goes_on_across_lives(void **state)
{
	struct life *life = *state;

	done(&life->rig, 1, "x");
	now_us += 6 * 60 * 1000000LL;
	die(life);
	live(life);
	assert_true(knows(&life->rig, 1));
	now_us += 4 * 60 * 1000000LL;
	assert_false(knows(&life->rig, 1));
	die(life);
	live(life);
	assert_int_equal(replay_count(life->rig.replay), 0);
}

/* The clock begins again with each boot. */
static void a_record_of_another_boot_is_kept_for_a_while(void **state)
{
	struct life *life = *state;

	now_us = 3600 * 1000000LL;
	done(&life->rig, 1, "x");
	die(life);
	now_us = 1000000;
	live(life);
	assert_true(knows(&life->rig, 1));
	now_us += 10 * 60 * 1000000LL;
	assert_false(knows(&life->rig, 1));
}

static void the_file_stays_small_however_many_calls_there_are(void **state)
{
	struct life *life = *state;
	struct stat st;
	char reply[1001];

	memset(reply, 'r', sizeof(reply));
	reply[1000] = '\0';
	for (unsigned n = 0; n < 10000; n++) {
		done(&life->rig, n, reply);
		assert_int_equal(stat(life->path, &st), 0);
		assert_true(st.st_size < 3 * 1024 * 1024);
	}
	die(life);
	live(life);
	assert_int_equal(replay_count(life->rig.replay), 1024);
	assert_true(knows(&life->rig, 9999));
	assert_true(knows(&life->rig, 10000 - 1024));
}

static void any_byte_of_much_changes_the_digest(void **state)
{
	static uint8_t bytes[16 * 1024 + 13];
	uint64_t plain = replay_digest(REPLAY_DIGEST_START, bytes, sizeof(bytes)), changed[2];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = 1;
		changed[i % 2] = replay_digest(REPLAY_DIGEST_START, bytes, sizeof(bytes));
		bytes[i] = 0;
		assert_true(changed[i % 2] != plain);
		/* Nor is the same byte in the next place the same. */
		assert_true(i == 0 || changed[0] != changed[1]);
	}
	assert_true(replay_digest(REPLAY_DIGEST_START, bytes, sizeof(bytes) - 1) != plain);
}

#define LIFE(name) cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_running_call_is_found_and_joined, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_finished_mutation_answers_the_same_bytes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_finished_read_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(an_id_used_for_another_request_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replies_expire_after_ten_minutes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_oldest_of_too_many_replies_goes_first, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replies_are_bounded_in_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(running_calls_are_never_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_call_begins_while_its_caller_waits_and_five_minutes_at_most, setup,
			teardown),
		cmocka_unit_test_setup_teardown(older_controllers_tell_no_time, setup, teardown),
		cmocka_unit_test_setup_teardown(clocks_that_differ_are_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(no_call_from_before_a_forgotten_one_is_new, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nothing_that_was_held_back_is_done_again, setup,
						teardown),
		cmocka_unit_test(any_byte_of_much_changes_the_digest),
		LIFE(a_call_from_before_a_restart_may_be_done_in_the_next_life),
		LIFE(a_reply_outlives_the_agent_bit_for_bit),
		LIFE(a_call_that_must_not_happen_twice_is_lost_when_it_was_running),
		LIFE(an_id_of_another_life_is_not_for_another_request),
		LIFE(the_age_goes_on_across_lives),
		LIFE(a_record_of_another_boot_is_kept_for_a_while),
		LIFE(the_file_stays_small_however_many_calls_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
