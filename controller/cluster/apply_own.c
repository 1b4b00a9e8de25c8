#include "controller/client/client_node.h"
#include "controller/cluster/apply.h"
#include "controller/cluster/store.h"
#include "controller/trust/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stop's grace of 10 s and what the engine needs around it; then it is killed. */
#define STOP_MS   25000
#define KILL_MS   10000
#define DELETE_MS 30000
/* An agent that is silent for so long is not waited for on the way to the end. */
#define ANSWER_MS 3000
/* The same through an engine, for which connections may have to be made first. */
#define RELAY_ANSWER_MS 15000
#define THAW_MS         5000
#define REST_MS         60000 /* NS-160 */
/* How long one question to the agent waits before we look whether to go on. */
#define SLICE_MS 1000
/* When the agent has been silent for so long, the engine is asked whether the node lives at all; then
 * after twice the time, and so on. */
#define FIRST_LOOK_MS 2000
#define LOOK_HOLDS_MS 1000
#define CONSOLE_MS    3000
/* How long a console without a word of units is followed. */
#define CONSOLE_BEGIN_MS 10000
#define QUIESCE_GRACE_S  10
#define API_PORT         6443

static struct node *node_of(const struct run *run, const struct step *step)
{
	const char *provider = provider_name(run->ctx->provider);
	cleanup_with(node) struct node *node =
		node_new(step->node, run->ctx->name, step->role, provider, step->run_dir);

	if (!node)
		return NULL;
	provider_relay_argv(provider, node->name, &node->relay);
	return strv_failed(&node->relay) ? NULL : TAKE(node);
}

/* A node without a directory here is reached through its engine. */
static bool has_directory(const struct step *step)
{
	return *step->run_dir != '\0';
}

static int renew_certificates(struct run *run, const struct step *step, struct err *err)
{
	cleanup_with(trust) struct trust *trust = NULL;

	if (trust_open(run->ctx->state_dir, run->ctx->name, true, clock_wall_ns() / 1000000000,
		       &trust, err) < 0 ||
	    trust_renew(trust, TRUST_AS_NEEDED, err) < 0)
		return -1;
	return trust_renew_node(trust, step->node, step->run_dir, TRUST_AS_NEEDED, err);
}

static int create_directory(struct run *run, const struct step *step, struct err *err)
{
	cleanup_with(node) struct node *node = node_of(run, step);

	if (!node)
		return err_oom(err);
	if (has_directory(step) && store_run_dir_create(step->run_dir, err) < 0)
		return -1;
	if (step->agent_tls && renew_certificates(run, step, err) < 0)
		return -1;
	return store_node_save(run->ctx->state_dir, node, err);
}

static int delete_directory(struct run *run, const struct step *step, struct err *err)
{
	const char *state_dir = run->ctx->state_dir, *cluster = run->ctx->name;

	if (*step->node)
		return trust_forget_node(state_dir, cluster, step->node, err) < 0
			       ? -1
			       : store_node_delete(state_dir, step->node, err);
	return trust_delete(state_dir, cluster, err) < 0
		       ? -1
		       : store_cluster_delete(state_dir, cluster, provider_name(run->ctx->provider),
					      err);
}

/* One answer does for all nodes that are silent at that time: they have been for longer than it holds, so it is from
 * after their start. */
static void look_again(struct run *run, struct look_at_nodes *look)
{
	struct err ignored;

	if (look->at_ms && clock_now_ms() - look->at_ms < LOOK_HOLDS_MS)
		return;
	node_list_release(&look->nodes);
	look->answered = provider_list(run->ctx->provider, run->ctx->name, run->by, &look->nodes,
				       &ignored) == 0;
	look->at_ms = clock_now_ms();
}

/* Fails when the engine says that the node has ended. */
static int look_alive(struct run *run, const char *name, struct err *err)
{
	struct look_at_nodes *look = &run->look;
	const struct node *node;
	bool gone;

	pthread_mutex_lock(&look->lock);
	look_again(run, look);
	node = node_list_find(&look->nodes, name);
	gone = look->answered &&
	       (!node || node->state == NODE_STOPPED || node->state == NODE_ERROR);
	pthread_mutex_unlock(&look->lock);
	if (!gone)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, 0, "the node ended while it was booting");
	return err_explain(err, "NODE_EXITED", NULL);
}

/* What the node says of itself, though it is ready. */
static void tell_notes(struct run *run, const char *name, const struct strv *notes)
{
	for (size_t i = 0; i < notes->count; i++) {
		cleanup_free char *text =
			text_format("warning: node '%s': %s", name, notes->items[i]);

		run_tell(run, PROGRESS_NOTE, NULL, 0, text ? text : notes->items[i]);
	}
}

static int ask_until_ready(struct run *run, const char *name, struct client *client,
			   struct err *err)
{
	cleanup_with(strv) struct strv notes = { 0 };
	int64_t look_after = FIRST_LOOK_MS, begun = clock_now_ms();

	for (;;) {
		if (atomic_load(&run->cancelled))
			return err_set(err, ERR_CANCELLED, 0, "interrupted");
		if (client_wait_ready(client, deadline_min(run->by, deadline_in_ms(SLICE_MS)),
				      &notes, err) == 0) {
			tell_notes(run, name, &notes);
			return 0;
		}
		if (err->code != ERR_DEADLINE_EXCEEDED && err->code != ERR_UNAVAILABLE)
			return -1;
		if (deadline_is_over(run->by))
			return -1;
		if (clock_now_ms() - begun < look_after)
			continue;
		look_after *= 2;
		if (look_alive(run, name, err) < 0)
			return -1;
	}
}

static void add_console(struct run *run, const char *name, struct err *err)
{
	cleanup_free char *tail = NULL;
	size_t len = strlen(err->msg);

	/* A full disk needs no more words. */
	if (err->code == ERR_CANCELLED || err->code == ERR_RESOURCE_EXHAUSTED)
		return;
	tail = provider_console_tail(run->ctx->provider, name, deadline_in_ms(CONSOLE_MS));
	if (!tail || !*tail)
		return;
	for (char *s = tail; *s; s++) {
		if (*s == '\n')
			*s = '|';
	}
	snprintf(err->msg + len, sizeof(err->msg) - len, "; its console ends: %s", tail);
}

static int wait_ready(struct run *run, const struct step *step, struct err *err)
{
	cleanup_with(node) struct node *node = NULL;
	struct client *client;

	if (!provider_has_agents(run->ctx->provider))
		return 0;
	node = node_of(run, step);
	if (!node)
		return err_oom(err);
	if (node_client(node, &client, err) < 0)
		return -1;
	if (!has_directory(step))
		provider_console_wait(run->ctx->provider, step->node,
				      deadline_min(run->by, deadline_in_ms(CONSOLE_BEGIN_MS)));
	if (ask_until_ready(run, step->node, client, err) == 0)
		return 0;
	add_console(run, step->node, err);
	if (!*err->advice && err->code != ERR_CANCELLED)
		err_explain(err, NULL,
			    "see 'berth doctor'; with --retain the node stays, to look at");
	snprintf(err->node, sizeof(err->node), "%s", step->node);
	return err_wrap(err, "node '%s' is not ready", step->node);
}

/* Of what is left the engine needs its part. */
static struct deadline rest_deadline(const struct run *run)
{
	int64_t left_ms = deadline_left_ms(run->by);

	return deadline_min(deadline_in_ms(REST_MS),
			    left_ms == INT64_MAX ? run->by : deadline_in_ms(left_ms / 2));
}

static int pause_node(struct run *run, const struct step *step, struct err *err)
{
	cleanup_with(node) struct node *node = NULL;
	bool pause = step->action == STEP_PAUSE;
	struct deadline by = run->by;
	struct client *client;

	if (!provider_has_agents(run->ctx->provider))
		return 0;
	if (step->best_effort)
		by = deadline_min(by, deadline_in_ms(THAW_MS));
	node = node_of(run, step);
	if (!node)
		return err_oom(err);
	if (node_client(node, &client, err) < 0 ||
	    client_pause(client, pause, run->ctx->namespaces, by, err) < 0)
		return err_wrap(err, "node '%s' cannot be %s", step->node,
				pause ? "paused" : "unpaused");
	return 0;
}

static int configure_balancer(struct run *run, const struct step *step, struct err *err)
{
	cleanup_with(node) struct node *node = NULL;
	struct client *client;

	if (!provider_has_agents(run->ctx->provider))
		return 0;
	node = node_of(run, step);
	if (!node)
		return err_oom(err);
	if (node_client(node, &client, err) < 0 ||
	    client_set_balancer(client, &step->backends, API_PORT, run->by, err) < 0)
		return err_wrap(err, "node '%s' cannot be told where to send calls", step->node);
	return 0;
}

static int quiesce(struct run *run, const struct step *step, struct err *err)
{
	cleanup_with(node) struct node *node = NULL;
	struct quiesce_summary summary = { 0 };
	int64_t patience_ms = has_directory(step) ? ANSWER_MS : RELAY_ANSWER_MS;
	struct client *client;

	if (!provider_has_agents(run->ctx->provider))
		return 0;
	node = node_of(run, step);
	if (!node)
		return err_oom(err);
	if (node_client(node, &client, err) < 0)
		return -1;
	if (client_wait_answer(client, deadline_min(run->by, deadline_in_ms(patience_ms)), err) <
		    0 ||
	    client_quiesce(client, QUIESCE_GRACE_S, rest_deadline(run), &summary, err) < 0)
		return err_wrap(err, "node '%s' could not be brought to rest", step->node);
	if (!summary.ok)
		return err_set(err, ERR_FAILED_PRECONDITION, 0,
			       "node '%s' did not come to rest: %s", step->node, summary.detail);
	return 0;
}

int run_own_step(struct run *run, const struct step *step, struct err *err)
{
	switch (step->action) {
	case STEP_DIRECTORY_CREATE:
		return create_directory(run, step, err);
	case STEP_DIRECTORY_DELETE:
		return delete_directory(run, step, err);
	case STEP_WAIT_READY:
		return wait_ready(run, step, err);
	case STEP_QUIESCE:
		return quiesce(run, step, err);
	case STEP_BALANCER_CONFIGURE:
		return configure_balancer(run, step, err);
	case STEP_PAUSE:
	case STEP_UNPAUSE:
		return pause_node(run, step, err);
	default:
		return err_set(err, ERR_INTERNAL, 0, "nobody can do '%s'", step->id);
	}
}

static bool was_told_to_end(const struct err *err)
{
	return err->code == ERR_CANCELLED || strcmp(err->reason, "ENGINE_NOT_INSTALLED") == 0;
}

static int kill_instead(struct run *run, const struct step *step, struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };
	cleanup_free char *note = text_format("node '%s' does not stop and is killed", step->node);
	struct err why = *err;

	run_tell(run, PROGRESS_NOTE, NULL, 0, note ? note : "");
	if (provider_plan_act(run->ctx->provider, STEP_CONTAINER_KILL, step->node, 0, &plan, err) <
	    0)
		return -1;
	if (provider_run(run->ctx->provider, plan_last(&plan), deadline_in_ms(KILL_MS), err) == 0)
		return 0;
	*err = why;
	return -1;
}

static int stop(struct run *run, const struct step *step, struct err *err)
{
	int64_t left_ms = deadline_left_ms(run->by);
	struct deadline by = deadline_in_ms(STOP_MS);

	if (left_ms < STOP_MS + KILL_MS)
		by = deadline_in_ms(left_ms * 2 / 3);
	if (provider_run(run->ctx->provider, step, by, err) == 0)
		return 0;
	return was_told_to_end(err) ? -1 : kill_instead(run, step, err);
}

/* What is stuck is named, so that somebody can look at it; trying again later is safe (CN-212). */
static int delete_container(struct run *run, const struct step *step, struct err *err)
{
	for (int tries = 1;; tries++) {
		struct deadline by = deadline_min(run->by, deadline_in_ms(DELETE_MS));

		if (provider_run(run->ctx->provider, step, by, err) == 0)
			return 0;
		if (was_told_to_end(err) || tries == 2 || deadline_is_over(run->by))
			break;
	}
	if (!*err->advice)
		err_explain(err, NULL,
			    "its container is left: see what holds it, then delete it again");
	return -1;
}

/* No registry has those: they are built here. */
static bool is_made_here(const char *image)
{
	return strncmp(image, "localhost/", strlen("localhost/")) == 0;
}

static int pull_image(struct run *run, const char *image, struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };
	cleanup_free char *note =
		text_format("image '%s' is not on this host and is pulled", image);

	run_tell(run, PROGRESS_NOTE, NULL, 0, note ? note : "");
	if (provider_plan_pull(run->ctx->provider, image, &plan, err) < 0)
		return -1;
	return provider_run(run->ctx->provider, plan_last(&plan), run->by, err);
}

static int check_image(struct run *run, const struct step *step, struct err *err)
{
	const char *image = step->argv.items[step->argv.count - 1];
	struct err why;

	if (provider_run(run->ctx->provider, step, run->by, err) == 0)
		return 0;
	if (strcmp(err->reason, "IMAGE_NOT_FOUND") != 0 || is_made_here(image))
		return -1;
	if (pull_image(run, image, &why) == 0)
		return 0;
	if (why.code != ERR_UNIMPLEMENTED)
		*err = why;
	return -1;
}

int run_engine_step(struct run *run, const struct step *step, struct err *err)
{
	switch (step->action) {
	case STEP_IMAGE_CHECK:
		return check_image(run, step, err);
	case STEP_CONTAINER_STOP:
		return stop(run, step, err);
	case STEP_CONTAINER_DELETE:
		return delete_container(run, step, err);
	default:
		return provider_run(run->ctx->provider, step, run->by, err);
	}
}
