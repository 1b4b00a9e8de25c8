#include "controller/cluster/apply.h"

#include "controller/cluster/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Engine calls at one time; asking agents costs nothing and is not counted. */
#define MAX_ENGINE_CALLS 16
/* A podman that is ended in the middle of a create never gives the node's address back, so calls that
 * run when something fails first get the time to end by themselves. */
#define SOFT_STOP_MS 3000

/* A step in its thread. */
struct job {
	struct run *run;
	uint32_t index;
};

void run_tell(struct run *run, enum progress_kind kind, const struct step *step, int64_t millis,
	      const char *text)
{
	const struct progress_event event = {
		.kind = kind,
		.step = step,
		.millis = millis,
		.text = text,
	};
	const struct progress *progress = run->ctx->progress;

	if (!progress)
		return;
	pthread_mutex_lock(&run->progress_lock);
	progress->event(progress->arg, &event);
	pthread_mutex_unlock(&run->progress_lock);
}

static void *do_job(void *arg)
{
	struct job *job = arg;
	struct run *run = job->run;
	const struct step *step = run->plan->steps[job->index];
	struct step_state *state = &run->states[job->index];
	int64_t begun = clock_now_ms();
	int rc;

	run_tell(run, PROGRESS_BEGIN, step, 0, "");
	if (step->argv.count)
		rc = run_engine_step(run, step, &state->err);
	else
		rc = run_own_step(run, step, &state->err);
	if (rc < 0)
		run_tell(run, PROGRESS_FAILED, step, clock_now_ms() - begun, state->err.msg);
	else
		run_tell(run, PROGRESS_DONE, step, clock_now_ms() - begun, "");
	/* The outcome is the coordinator's to write, when it has read the index. */
	state->err.code = rc < 0 ? state->err.code : ERR_OK;
	while (write(run->done_pipe[1], &job->index, sizeof(job->index)) < 0 && errno == EINTR)
		;
	free(job);
	return NULL;
}

static size_t index_of(const struct run *run, const char *id)
{
	size_t i = 0;

	while (i < run->plan->count && strcmp(run->plan->steps[i]->id, id) != 0)
		i++;
	return i;
}

/* Whether 'step' only waits for its turn: what becomes of the other is no matter to it. */
static bool only_follows(const struct run *run, const struct step *step, const struct step *other)
{
	return run->keep_going || other->best_effort ||
	       (run->plan->each_node && *step->node && *other->node &&
		strcmp(step->node, other->node) != 0);
}

enum readiness { READY, NOT_YET, NEVER };

static enum readiness readiness_of(const struct run *run, const struct step *step)
{
	enum readiness readiness = READY;

	for (size_t i = 0; i < step->after.count; i++) {
		size_t index = index_of(run, step->after.items[i]);
		enum outcome outcome =
			index == run->plan->count ? OUTCOME_DONE : run->states[index].outcome;

		if (outcome == OUTCOME_NOT_STARTED || outcome == OUTCOME_RUNNING)
			readiness = NOT_YET;
		else if (outcome != OUTCOME_DONE &&
			 !only_follows(run, step, run->plan->steps[index]))
			return NEVER;
	}
	return readiness;
}

static bool is_startable(struct run *run, size_t index)
{
	struct step_state *state = &run->states[index];
	enum readiness readiness;

	if (state->outcome != OUTCOME_NOT_STARTED)
		return false;
	readiness = readiness_of(run, run->plan->steps[index]);
	if (readiness == NEVER && run->plan->each_node)
		state->outcome = OUTCOME_SKIPPED;
	return readiness == READY;
}

static void start(struct run *run, size_t index)
{
	struct step_state *state = &run->states[index];
	struct job *job = malloc(sizeof(*job));

	state->outcome = OUTCOME_RUNNING;
	if (job) {
		*job = (struct job){ run, (uint32_t)index };
		state->has_thread = pthread_create(&state->thread, NULL, do_job, job) == 0;
	}
	if (!state->has_thread) {
		free(job);
		err_set(&state->err, ERR_RESOURCE_EXHAUSTED, 0, "cannot start a thread");
		state->outcome = OUTCOME_FAILED;
	}
}

static size_t count_running(const struct run *run, bool engine_only)
{
	size_t count = 0;

	for (size_t i = 0; i < run->plan->count; i++) {
		if (run->states[i].outcome == OUTCOME_RUNNING)
			count += !engine_only || run->plan->steps[i]->argv.count > 0;
	}
	return count;
}

static void start_what_can(struct run *run)
{
	size_t calls = count_running(run, true);

	for (size_t i = 0; i < run->plan->count; i++) {
		bool engine = run->plan->steps[i]->argv.count > 0;

		if ((engine && calls == MAX_ENGINE_CALLS) || !is_startable(run, i))
			continue;
		start(run, i);
		calls += engine;
	}
}

/* What decides when the run stops early. */
struct stopping {
	int cancel_pipe[2]; /* its write end is closed to end the engine's calls */
	bool soft;          /* nothing new starts */
	bool hard;          /* what runs has been told to end */
	bool late;          /* at the run's own deadline, which the steps look at, too */
	struct deadline hard_at;
	bool failed;
	struct err err; /* the first failure */
};

static void stop_early(struct run *run, struct stopping *s, const struct err *why)
{
	if (!s->failed) {
		s->failed = true;
		s->err = *why;
	}
	if (s->soft || run->keep_going)
		return;
	if (run->plan->each_node && why->code != ERR_CANCELLED)
		return;
	s->soft = true;
	s->hard_at = deadline_in_ms(SOFT_STOP_MS);
	atomic_store(&run->cancelled, true);
}

/* Out of memory only the first is told. */
static void remember(const struct run *run, const struct step *step, const struct err *err)
{
	struct err_list *list = run->ctx->failures;
	struct err *items;

	if (!list || run->keep_going)
		return;
	items = realloc(list->items, (list->count + 1) * sizeof(*items));
	if (!items)
		return;
	list->items = items;
	items[list->count] = *err;
	if (!items[list->count].node[0])
		snprintf(items[list->count].node, sizeof(items[list->count].node), "%s",
			 step->node);
	list->count++;
}

static void stop_hard(struct stopping *s)
{
	s->hard = true;
	close(s->cancel_pipe[1]);
	s->cancel_pipe[1] = -1;
}

static void collect(struct run *run, struct stopping *s)
{
	uint32_t index;

	while (read(run->done_pipe[0], &index, sizeof(index)) == sizeof(index)) {
		struct step_state *state = &run->states[index];

		pthread_join(state->thread, NULL);
		state->has_thread = false;
		state->outcome = state->err.code == ERR_OK ? OUTCOME_DONE : OUTCOME_FAILED;
		if (state->outcome == OUTCOME_DONE || run->plan->steps[index]->best_effort)
			continue;
		remember(run, run->plan->steps[index], &state->err);
		stop_early(run, s, &state->err);
	}
}

/* Until a step ends, somebody interrupts, or time is up. */
static void wait_for_news(struct run *run, struct stopping *s)
{
	struct deadline by = s->soft ? (s->hard ? DEADLINE_NEVER : s->hard_at) : run->by;
	struct pollfd fds[] = {
		{ .fd = run->done_pipe[0], .events = POLLIN },
		{ .fd = run->interrupt && !s->soft ? run->interrupt->fd : -1, .events = POLLIN },
	};
	struct err why;

	poll(fds, ARRAY_LEN(fds), deadline_poll_ms(by));
	collect(run, s);
	if (fds[1].revents && !s->soft) {
		err_set(&why, ERR_CANCELLED, 0, "interrupted");
		stop_early(run, s, &why);
	} else if (!s->soft && deadline_is_over(run->by)) {
		s->soft = s->late = true;
		s->hard_at = deadline_in_ms(SOFT_STOP_MS);
	}
	if (s->soft && !s->hard && deadline_is_over(s->hard_at))
		stop_hard(s);
}

static void find_failed_starts(struct run *run, struct stopping *s)
{
	for (size_t i = 0; i < run->plan->count; i++) {
		if (run->states[i].outcome == OUTCOME_FAILED && !run->plan->steps[i]->best_effort)
			stop_early(run, s, &run->states[i].err);
	}
}

static int open_pipes(struct run *run, struct stopping *s, struct err *err)
{
	if (pipe(run->done_pipe) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "cannot make a pipe");
	if (pipe(s->cancel_pipe) < 0) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "cannot make a pipe");
		close(run->done_pipe[0]);
		close(run->done_pipe[1]);
		return -1;
	}
	for (int i = 0; i < 2; i++) {
		fcntl(run->done_pipe[i], F_SETFD, FD_CLOEXEC);
		fcntl(s->cancel_pipe[i], F_SETFD, FD_CLOEXEC);
	}
	fcntl(run->done_pipe[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static void close_pipes(struct run *run, struct stopping *s)
{
	close(run->done_pipe[0]);
	close(run->done_pipe[1]);
	close(s->cancel_pipe[0]);
	if (s->cancel_pipe[1] >= 0)
		close(s->cancel_pipe[1]);
}

static bool has_unstarted(const struct run *run)
{
	for (size_t i = 0; i < run->plan->count; i++) {
		if (run->states[i].outcome == OUTCOME_NOT_STARTED)
			return true;
	}
	return false;
}

int run_plan(struct run *run, struct err *err)
{
	struct stopping s = { 0 };
	struct interrupt cancel;

	if (open_pipes(run, &s, err) < 0)
		return -1;
	cancel.fd = s.cancel_pipe[0];
	provider_set_interrupt(run->ctx->provider, &cancel);
	for (;;) {
		if (!s.soft) {
			start_what_can(run);
			find_failed_starts(run, &s);
		}
		if (count_running(run, false) == 0)
			break;
		wait_for_news(run, &s);
	}
	provider_set_interrupt(run->ctx->provider, run->interrupt);
	close_pipes(run, &s);
	if (!s.failed && s.late && has_unstarted(run))
		return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "not done in time");
	if (!s.failed)
		return 0;
	*err = s.err;
	return -1;
}

/* Without a lock only what could not be kept from others anyway is lost: a state directory that cannot
 * be written must not keep a cluster from being deleted. */
static int take_lock(const struct cluster_ctx *ctx, struct store_lock *lock, struct err *err)
{
	if (store_lock_take(ctx->state_dir, ctx->name, lock, err) == 0) {
		if (lock->abandoned)
			wait_for_orphans(ctx->name, ctx->by);
		return 0;
	}
	*lock = (struct store_lock){ .fd = -1 };
	return strcmp(err->reason, "CLUSTER_BUSY") == 0 ? -1 : 0;
}

int cluster_apply(const struct cluster_ctx *ctx, const struct plan *plan, bool undo,
		  struct err *err)
{
	struct run run = { .ctx = ctx, .plan = plan, .by = ctx->by, .interrupt = ctx->interrupt };
	struct store_lock lock;
	int rc;

	if (take_lock(ctx, &lock, err) < 0)
		return -1;
	run.states = calloc(plan->count + 1, sizeof(*run.states));
	if (!run.states) {
		store_lock_release(&lock);
		return err_oom(err);
	}
	pthread_mutex_init(&run.progress_lock, NULL);
	pthread_mutex_init(&run.look.lock, NULL);
	rc = run_plan(&run, err);
	if (rc < 0 && undo) {
		provider_set_interrupt(ctx->provider, NULL);
		undo_run(&run);
	}
	provider_set_interrupt(ctx->provider, ctx->interrupt);
	node_list_release(&run.look.nodes);
	pthread_mutex_destroy(&run.look.lock);
	pthread_mutex_destroy(&run.progress_lock);
	free(run.states);
	store_lock_release(&lock);
	return rc;
}
