#include "controller/cli/progress.h"

#include "controller/cli/cell.h"
#include "controller/cli/failure.h"
#include "controller/cli/fields.h"

#include <langinfo.h>
#include <string.h>

#define MAX_RUNNING 64

struct progress_view {
	FILE *out;
	enum progress_mode mode;
	bool terminal;
	bool utf8;
	const struct step *running[MAX_RUNNING]; /* shown below the finished ones */
	size_t running_count;
	size_t drawn; /* lines of the running steps that are on the screen */
};

struct progress_view *progress_view_new(FILE *out, const struct options *opt)
{
	struct progress_view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->out = out;
	view->mode = opt->quiet ? PROGRESS_NONE : (enum progress_mode)opt->progress;
	view->terminal = view->mode == PROGRESS_AUTO && stream_is_terminal(out);
	view->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	return view;
}

void progress_view_free(struct progress_view *view)
{
	free(view);
}

/* "create berth-worker" */
static void describe(const struct step *step, struct text *text)
{
	static const char *const words[] = {
		[STEP_IMAGE_CHECK] = "check the image",
		[STEP_IMAGE_PULL] = "pull the image",
		[STEP_NETWORK_CREATE] = "create the network",
		[STEP_NETWORK_DELETE] = "delete the network",
		[STEP_VOLUME_DELETE] = "delete the volume of ",
		[STEP_DIRECTORY_CREATE] = "make the directory of ",
		[STEP_DIRECTORY_DELETE] = "remove the directory of ",
		[STEP_CONTAINER_CREATE] = "create ",
		[STEP_CONTAINER_START] = "start ",
		[STEP_CONTAINER_STOP] = "stop ",
		[STEP_CONTAINER_KILL] = "kill ",
		[STEP_CONTAINER_UNPAUSE] = "thaw ",
		[STEP_CONTAINER_DELETE] = "delete ",
		[STEP_WAIT_READY] = "wait for ",
		[STEP_QUIESCE] = "bring to rest ",
		[STEP_PAUSE] = "pause ",
		[STEP_UNPAUSE] = "unpause ",
		[STEP_BALANCER_CONFIGURE] = "configure ",
	};
	size_t action = (size_t)step->action;

	if (step->action == STEP_DIRECTORY_DELETE && !*step->node)
		text_add(text, "forget the cluster");
	else
		text_add(text, action < ARRAY_LEN(words) ? words[action]
							 : step_action_name(step->action));
	if (step->action != STEP_IMAGE_CHECK)
		text_add(text, step->node);
}

static const char *event_name(enum progress_kind kind)
{
	static const char *const names[] = { "begin", "done", "failed", "note" };

	return names[kind];
}

static void event_json(struct progress_view *view, const struct progress_event *event)
{
	cleanup_json struct json_object *object = json_object_new_object();

	field_time_ns(object, "time", clock_wall_ns());
	field_text(object, "event", event_name(event->kind));
	if (event->step) {
		field_text(object, "step", event->step->id);
		field_text(object, "action", step_action_name(event->step->action));
		field_text(object, "node", event->step->node);
	}
	field_int(object, "millis", event->millis);
	field_text(object, "message", event->text);
	fprintf(view->out, "%s\n",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void add_message(struct text *line, const struct progress_event *event)
{
	if (event->text && *event->text) {
		text_add(line, line->len ? ": " : "");
		cell_escape(line, event->text);
	}
}

static void event_plain(struct progress_view *view, const struct progress_event *event)
{
	cleanup_with(text) struct text line = { 0 };
	char took[32];

	if (event->step)
		describe(event->step, &line);
	cell_millis(event->millis, took, sizeof(took));
	if (event->kind == PROGRESS_BEGIN)
		text_add(&line, " ...");
	else if (event->kind == PROGRESS_DONE)
		text_addf(&line, " done (%s)", took);
	else if (event->kind == PROGRESS_FAILED)
		text_addf(&line, " failed (%s)", took);
	add_message(&line, event);
	fprintf(view->out, "%s\n", text_str(&line));
}

static void remove_running(struct progress_view *view, const struct step *step)
{
	for (size_t i = 0; i < view->running_count; i++) {
		if (view->running[i] != step)
			continue;
		view->running_count--;
		memmove(&view->running[i], &view->running[i + 1],
			(view->running_count - i) * sizeof(*view->running));
		return;
	}
}

static void draw_finished(struct progress_view *view, const struct progress_event *event)
{
	cleanup_with(text) struct text line = { 0 };
	const char *good = view->utf8 ? "\xe2\x9c\x93" : "+";
	const char *bad = view->utf8 ? "\xe2\x9c\x97" : "x";
	char took[32];

	if (event->step) {
		cell_millis(event->millis, took, sizeof(took));
		text_addf(&line, " %s ", event->kind == PROGRESS_DONE ? good : bad);
		describe(event->step, &line);
		text_addf(&line, "  %s", took);
	}
	add_message(&line, event);
	fprintf(view->out, "%s\n", text_str(&line));
}

/* Finished steps stay; the running ones below them are drawn anew. */
static void event_terminal(struct progress_view *view, const struct progress_event *event)
{
	if (view->drawn)
		fprintf(view->out, "\033[%zuA\033[J", view->drawn);
	if (event->kind == PROGRESS_BEGIN) {
		if (view->running_count < MAX_RUNNING)
			view->running[view->running_count++] = event->step;
	} else {
		remove_running(view, event->step);
		draw_finished(view, event);
	}
	for (size_t i = 0; i < view->running_count; i++) {
		cleanup_with(text) struct text line = { 0 };

		describe(view->running[i], &line);
		fprintf(view->out, " %s %s ...\n", view->utf8 ? "\xe2\x80\xa2" : "*",
			text_str(&line));
	}
	view->drawn = view->running_count;
}

void progress_view_event(void *arg, const struct progress_event *event)
{
	struct progress_view *view = arg;

	if (view->mode == PROGRESS_NONE)
		return;
	if (view->mode == PROGRESS_JSON)
		event_json(view, event);
	else if (view->terminal)
		event_terminal(view, event);
	else
		event_plain(view, event);
	fflush(view->out);
}
