#include "controller/cli/log_output.h"

#include "controller/cli/cell.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/fields.h"
#include "controller/cli/log_merge.h"
#include "controller/cli/signals.h"
#include "shared/base/stamp.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How far apart the nodes' lines may come when they are followed. */
#define WINDOW_MS 250
#define TICK_MS   100

struct log_source *log_sources_add(struct log_sources *list)
{
	void *items = realloc(list->items, (list->count + 1) * sizeof(struct log_source *));

	if (!items)
		return NULL;
	list->items = items;
	list->items[list->count] = calloc(1, sizeof(struct log_source));
	return list->items[list->count] ? list->items[list->count++] : NULL;
}

static void drop_unopened(struct log_sources *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i]->stream)
			list->items[kept++] = list->items[i];
		else
			free(list->items[i]);
	}
	list->count = kept;
}

void log_sources_release(struct log_sources *list)
{
	for (size_t i = 0; i < list->count; i++) {
		client_stream_close(list->items[i]->stream);
		free(list->items[i]);
	}
	free(list->items);
	*list = (struct log_sources){ 0 };
}

struct log_output {
	struct invocation *inv;
	struct log_sources *list;
	int stop_fd;
	bool escapes; /* a terminal reads it (I19) */
	bool names;   /* lines say where they are from */

	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t news;  /* a source has ended, or a queue has room again */
	struct log_merge *merge;
	struct text out; /* lines that are not written yet */
	size_t running;
	bool broken; /* the output: everybody stops */
	struct err err;
};

struct reader {
	struct log_output *o;
	size_t index;
	pthread_t thread;
	bool started;
};

/* --- a line --------------------------------------------------------------------------------------------- */

/* Tabs are what makes a log readable; everything else that moves a cursor is shown. */
static void add_escaped(struct text *out, const char *text, size_t len)
{
	const char *end = text + len;

	for (;;) {
		cleanup_free char *piece = strndup(text, strcspn(text, "\t"));

		if (piece)
			cell_escape(out, piece);
		text += strcspn(text, "\t");
		if (text >= end)
			return;
		text_add(out, *text++ ? "\t" : "\\x00");
	}
}

static void add_text(struct log_output *o, const struct log_line *line)
{
	if (o->escapes)
		add_escaped(&o->out, line->text, line->len);
	else
		text_add_bytes(&o->out, line->text, line->len);
	text_add_bytes(&o->out, "\n", 1);
}

/* The node's own lines are little without their time; those of containers mostly have their own. */
static bool wants_stamp(const struct log_output *o, const struct log_source *source,
			const struct log_line *line)
{
	return line->stream[0] && (!source->pod[0] || o->inv->opt->timestamps);
}

static void add_plain(struct log_output *o, const struct log_source *source,
		      const struct log_line *line)
{
	char stamp[STAMP_BYTES];

	if (o->names && source->pod[0])
		text_addf(&o->out, "%s/%s: ", source->node, source->pod);
	else if (o->names)
		text_addf(&o->out, "%s: ", source->node);
	if (wants_stamp(o, source, line)) {
		text_add_bytes(&o->out, stamp, stamp_format(line->time_ns, stamp));
		text_add_bytes(&o->out, " ", 1);
	}
	add_text(o, line);
}

static void add_json(struct log_output *o, const struct log_source *source,
		     const struct log_line *line)
{
	struct json_object *object = json_object_new_object();
	char stamp[STAMP_BYTES];

	field_text(object, "node", source->node);
	if (source->pod[0]) {
		field_text(object, "pod", source->pod);
		field_text(object, "container", source->container);
	}
	stamp_format(line->time_ns, stamp);
	field_text(object, "time", stamp);
	field_text(object, "stream", line->stream);
	json_object_object_add(object, "message",
			       json_object_new_string_len(line->text, (int)line->len));
	text_add(&o->out, json_object_to_json_string_ext(
				  object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	text_add(&o->out, "\n");
	json_object_put(object);
}

static int write_out(struct log_output *o, struct err *err)
{
	size_t len = o->out.len;

	if (text_failed(&o->out))
		return err_oom(err);
	if (len == 0)
		return 0;
	o->out.len = 0;
	if (fwrite(o->out.data, 1, len, o->inv->out) == len && fflush(o->inv->out) == 0)
		return 0;
	err_set(err, ERR_CANCELLED, errno, "nobody reads the output");
	return err_explain(err, "OUTPUT_CLOSED", NULL);
}

/* log_line_fn */
static int on_line(void *arg, size_t source, const struct log_line *line, struct err *err)
{
	struct log_output *o = arg;

	if (invocation_format(o->inv) == OUTPUT_JSON)
		add_json(o, o->list->items[source], line);
	else
		add_plain(o, o->list->items[source], line);
	return o->out.len < 256 * 1024 ? 0 : write_out(o, err);
}

/* --- the threads ---------------------------------------------------------------------------------------- */

/* With the lock held: what is in order goes out. Once broken, everybody stops. */
static int settle(struct log_output *o, int rc, struct err *err)
{
	if (rc == 0)
		rc = write_out(o, err);
	pthread_cond_broadcast(&o->news);
	if (rc == 0 || o->broken)
		return rc;
	o->broken = true;
	o->err = *err;
	return -1;
}

/* Another source is behind: what we have waits for it. Not for long when following. */
static void wait_for_room(struct log_output *o, size_t index)
{
	while (log_merge_is_full(o->merge, index) && !o->broken)
		pthread_cond_wait(&o->news, &o->lock);
}

/* client_stream_data_fn */
static int on_data(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	struct reader *r = arg;
	struct log_output *o = r->o;
	int rc;

	if (channel != CLIENT_STREAM_OUT)
		return 0; /* a helper's complaint: it is in the end, too */
	pthread_mutex_lock(&o->lock);
	wait_for_room(o, r->index);
	if (o->broken) {
		*err = o->err;
		rc = -1;
	} else {
		rc = log_merge_put(o->merge, r->index, bytes, len, clock_now_ms(), err);
		rc = settle(o, rc, err);
	}
	pthread_mutex_unlock(&o->lock);
	return rc;
}

static void *read_source(void *arg)
{
	struct reader *r = arg;
	struct log_output *o = r->o;
	struct log_source *source = o->list->items[r->index];
	struct client_stream_io io = {
		.in_fd = -1, .stop_fd = o->stop_fd, .data = on_data, .arg = r
	};
	struct client_stream_end end = { 0 };
	struct err ignored;

	if (client_stream_run(source->stream, &io, o->inv->by, &end, &source->err) == 0)
		source->err = end.err;
	pthread_mutex_lock(&o->lock);
	if (!o->broken)
		settle(o, log_merge_end(o->merge, r->index, &ignored), &ignored);
	o->running--;
	pthread_cond_broadcast(&o->news);
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static void start(struct log_output *o, struct reader *readers)
{
	pthread_mutex_lock(&o->lock);
	for (size_t i = 0; i < o->list->count; i++) {
		struct err ignored;

		readers[i] = (struct reader){ .o = o, .index = i };
		readers[i].started =
			pthread_create(&readers[i].thread, NULL, read_source, &readers[i]) == 0;
		o->running += readers[i].started;
		if (readers[i].started)
			continue;
		err_set(&o->list->items[i]->err, ERR_RESOURCE_EXHAUSTED, 0,
			"cannot start a thread");
		log_merge_end(o->merge, i, &ignored);
	}
	pthread_mutex_unlock(&o->lock);
}

/* What has waited for the others long enough goes on by itself. */
static void tick_until_over(struct log_output *o)
{
	struct timespec until;
	struct err err;

	pthread_mutex_lock(&o->lock);
	while (o->running > 0) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += TICK_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&o->news, &o->lock, &until);
		if (!o->broken && o->list->count > 1)
			settle(o, log_merge_tick(o->merge, clock_now_ms(), &err), &err);
	}
	pthread_mutex_unlock(&o->lock);
}

static void tell(struct invocation *inv, struct log_sources *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct err *err = &list->items[i]->err;

		if (err->code == ERR_OK)
			continue;
		if (err->code == ERR_CANCELLED) {
			/* `| head` has seen enough, which is no failure of ours. */
			if (strcmp(err->reason, "OUTPUT_CLOSED") != 0)
				inv->exit_code = EXIT_CODE_INTERRUPTED;
			continue;
		}
		if (!err->node[0])
			snprintf(err->node, sizeof(err->node), "%.63s", list->items[i]->node);
		invocation_fail(inv, err);
	}
}

static int run(struct invocation *inv, struct log_sources *list, int stop_fd, struct err *err)
{
	cleanup_free struct reader *readers = calloc(list->count + 1, sizeof(*readers));
	struct log_output o = {
		.inv = inv,
		.list = list,
		.stop_fd = stop_fd,
		.escapes = fileno(inv->out) >= 0 && isatty(fileno(inv->out)),
		.names = list->count > 1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.news = PTHREAD_COND_INITIALIZER,
	};

	o.merge = log_merge_new(list->count, inv->opt->follow ? WINDOW_MS : -1, on_line, &o);
	if (!readers || !o.merge) {
		log_merge_free(o.merge);
		return err_oom(err);
	}
	start(&o, readers);
	tick_until_over(&o);
	for (size_t i = 0; i < list->count; i++) {
		if (readers[i].started)
			pthread_join(readers[i].thread, NULL);
	}
	log_merge_free(o.merge);
	text_release(&o.out);
	tell(inv, list);
	return 0;
}

int log_output_run(struct invocation *inv, struct log_sources *list, struct err *err)
{
	cleanup_fd int stop_fd = -1;

	drop_unopened(list);
	if (!list->count)
		return 0;
	if (signals_divert(&stop_fd, err) < 0)
		return -1;
	/* Another size of the window is no reason to stop. */
	signal(SIGWINCH, SIG_DFL);
	return run(inv, list, stop_fd, err);
}
