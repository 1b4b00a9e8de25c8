#include "tests/support/podrig.h"

#include "agent/pods/pods_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>

#define LIMIT_MS 10000

static const struct pods_timing quick = {
	.relist_min_ms = 20,
	.relist_max_ms = 200,
	.kubelet_ms = 100,
	.crash = { .initial_ms = 40, .max_ms = 160 },
	.pull = { .initial_ms = 40, .max_ms = 160 },
	.retry = { .initial_ms = 20, .max_ms = 80 },
};

/* --- the rig -------------------------------------------------------------------------------------- */

static void open_pods(struct podrig *rig)
{
	struct err err;

	if (pods_open_with(rig->state_dir, rig->rt->loop, rig->units, rig->rt->rt, &quick,
			   &rig->pods, &err) < 0)
		fail_msg("%s", err.msg);
}

struct podrig *podrig_open(void)
{
	struct podrig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->rt = rt_open("fake", NULL);
	snprintf(rig->state_dir, sizeof(rig->state_dir), "/tmp/berth-pods-XXXXXX");
	assert_non_null(mkdtemp(rig->state_dir));
	if (units_open("fake", rig->rt->loop, &rig->units, &err) < 0)
		fail_msg("%s", err.msg);
	podrig_kubelet(rig, UNIT_STOP);
	open_pods(rig);
	return rig;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void podrig_close(struct podrig *rig)
{
	pods_close(rig->pods);
	units_close(rig->units);
	rt_close(rig->rt);
	nftw(rig->state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(rig);
}

void podrig_restart(struct podrig *rig)
{
	pods_close(rig->pods);
	rt_reopen(rig->rt, "fake");
	open_pods(rig);
}

/* --- calls ---------------------------------------------------------------------------------------- */

static struct podrig_answer *fresh(struct podrig *rig)
{
	memset(&rig->answer, 0, sizeof(rig->answer));
	return &rig->answer;
}

static void await(struct podrig *rig, int64_t limit_ms)
{
	struct deadline by = deadline_in_ms(limit_ms);

	assert_int_equal(rig->answer.calls, 0);
	while (!rig->answer.calls) {
		if (deadline_is_over(by))
			fail_msg("no answer within %lld ms", (long long)limit_ms);
		assert_true(sd_event_run(rig->rt->loop, 20000) >= 0);
	}
	assert_int_equal(rig->answer.calls, 1);
}

static void note(struct podrig_answer *a, const struct err *err)
{
	a->calls++;
	if (err)
		a->err = *err;
}

static void on_applied(void *arg, const char *uid, const char *result, const struct err *err)
{
	struct podrig_answer *a = arg;

	if (!err) {
		snprintf(a->uid, sizeof(a->uid), "%s", uid);
		snprintf(a->result, sizeof(a->result), "%s", result);
	}
	note(a, err);
}

static void on_deleted(void *arg, const char *uid, const struct err *err)
{
	on_applied(arg, uid, "deleted", err);
}

static void on_list(void *arg, const struct pod_view *list, size_t count, const struct err *err)
{
	struct podrig_answer *a = arg;

	a->count = count;
	if (count) {
		snprintf(a->uid, sizeof(a->uid), "%s", list->uid);
		snprintf(a->name, sizeof(a->name), "%s", list->name);
		snprintf(a->phase, sizeof(a->phase), "%s", list->phase);
		snprintf(a->message, sizeof(a->message), "%s", list->message);
		a->ready = list->ready;
		a->restarts = list->restarts;
		a->source = list->source;
	}
	if (count && list->container_count) {
		snprintf(a->state, sizeof(a->state), "%s", list->containers[0].state);
		snprintf(a->reason, sizeof(a->reason), "%s", list->containers[0].reason);
	}
	note(a, err);
}

enum err_code podrig_apply_pod(struct podrig *rig, const K8s__Core__V1__Pod *pod)
{
	pods_apply(rig->pods, pod, deadline_in_ms(LIMIT_MS), on_applied, fresh(rig));
	await(rig, LIMIT_MS);
	return rig->answer.err.code;
}

enum err_code podrig_apply(struct podrig *rig, const char *text)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod(text);

	return podrig_apply_pod(rig, pod);
}

enum err_code podrig_delete(struct podrig *rig, int64_t grace_s)
{
	pods_delete(rig->pods, "default", "web", grace_s, deadline_in_ms(LIMIT_MS), on_deleted,
		    fresh(rig));
	await(rig, LIMIT_MS);
	return rig->answer.err.code;
}

enum err_code podrig_list(struct podrig *rig)
{
	pods_list(rig->pods, NULL, deadline_in_ms(LIMIT_MS), on_list, fresh(rig));
	await(rig, LIMIT_MS);
	return rig->answer.err.code;
}

enum err_code podrig_wait(struct podrig *rig, bool gone, int64_t by_ms)
{
	pods_wait(rig->pods, "default", "web", gone, deadline_in_ms(by_ms), on_list, fresh(rig));
	await(rig, by_ms + 200);
	return rig->answer.err.code;
}

static void on_unit(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	(void)outcome;
	note(arg, err);
}

void podrig_kubelet(struct podrig *rig, enum unit_action action)
{
	units_act(rig->units, action, "kubelet.service", deadline_in_ms(LIMIT_MS), on_unit,
		  fresh(rig));
	await(rig, LIMIT_MS);
	assert_int_equal(rig->answer.err.code, ERR_OK);
}

/* --- waiting -------------------------------------------------------------------------------------- */

static void until(struct podrig *rig, const char *field, const char *wanted)
{
	struct deadline by = deadline_in_ms(LIMIT_MS);

	for (;;) {
		assert_int_equal(podrig_list(rig), ERR_OK);
		if (strcmp(field, wanted) == 0)
			return;
		if (deadline_is_over(by))
			fail_msg("'%s' is not '%s' (message '%s')", field, wanted,
				 rig->answer.message);
		sd_event_run(rig->rt->loop, 10000);
	}
}

void podrig_until_phase(struct podrig *rig, const char *phase)
{
	until(rig, rig->answer.phase, phase);
}

void podrig_until_reason(struct podrig *rig, const char *reason)
{
	until(rig, rig->answer.reason, reason);
}

unsigned podrig_count(struct podrig *rig, const char *beginning)
{
	return rt_count_effects(rig->rt, beginning);
}

void podrig_until_effects(struct podrig *rig, const char *beginning, unsigned count)
{
	struct deadline by = deadline_in_ms(LIMIT_MS);

	while (podrig_count(rig, beginning) < count) {
		if (deadline_is_over(by))
			fail_msg("only %u effects '%s', not %u", podrig_count(rig, beginning),
				 beginning, count);
		assert_true(sd_event_run(rig->rt->loop, 10000) >= 0);
	}
}

void podrig_turns(struct podrig *rig, unsigned turns)
{
	while (turns--)
		assert_true(sd_event_run(rig->rt->loop, 5000) >= 0);
}

void podrig_until_quiet(struct podrig *rig, int64_t ms)
{
	struct deadline limit = deadline_in_ms(LIMIT_MS), quiet = deadline_in_ms(ms);
	unsigned seen = podrig_count(rig, "");

	while (!deadline_is_over(quiet)) {
		unsigned now = podrig_count(rig, "");

		assert_false(deadline_is_over(limit));
		if (now != seen)
			quiet = deadline_in_ms(ms);
		seen = now;
		assert_true(sd_event_run(rig->rt->loop, 5000) >= 0);
	}
}

/* --- the story ------------------------------------------------------------------------------------ */

struct name_of {
	char id[80];
	char name[64];
};

char *podrig_story(struct podrig *rig)
{
	cleanup_free char *path = text_format("%s/effects", rig->rt->dir);
	struct name_of names[128];
	struct text story = { 0 };
	char line[4096];
	size_t count = 0;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char verb[32], a[128] = "", b[64] = "", c[16] = "", id[80] = "";
		const char *name = "";

		assert_true(sscanf(line, "%31s %127s %63s %15s %79s", verb, a, b, c, id) >= 2);
		if (strcmp(verb, "create-container") == 0) {
			assert_true(count < ARRAY_LEN(names));
			snprintf(names[count].id, sizeof(names[count].id), "%s", id);
			snprintf(names[count++].name, sizeof(names[0].name), "%s", b);
			name = b;
		}
		for (size_t i = 0; i < count && !*name; i++)
			name = strcmp(names[i].id, a) == 0 ? names[i].name : "";
		text_addf(&story, "%s%s%s%s", story.len ? " " : "",
			  strcmp(verb, "create-container") == 0 ? "create" : verb, *name ? ":" : "",
			  name);
	}
	fclose(f);
	return text_take(&story);
}
