/*
 * One machine for both ways: kubelet first when freezing, last when thawing, the containers in
 * parallel in between.
 */
#include "agent/pods/freeze.h"

#include "agent/pods/pods.h"
#include "agent/runtime/runtime.h"
#include "agent/units/unit.h"
#include "shared/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE          16 /* NS-062 */
#define KUBELET_GRACE_MS 5000
#define KUBELET_RAN      "kubelet\n"

struct freeze {
	struct freeze_config config;
	char *marker;
	struct deadline by;
	int64_t started_ms;
	struct freeze_report report;
	bool freezing;   /* what the containers are made to do now */
	bool undoing;    /* of a freeze that failed */
	bool was_paused; /* before this: then a failure takes nothing back */
	bool closing;    /* the agent is: nothing more is begun */
	bool kubelet_ran;
	struct strv paused; /* ids that are frozen when a thaw begins */
	size_t next;
	size_t under_way;
	bool pumping;
	freeze_fn *done;
	void *arg;
};

struct freeze_one {
	struct freeze *f;
	size_t index;
};

static void freeze_free(struct freeze *f)
{
	for (size_t i = 0; i < f->report.container_count; i++)
		free(f->report.containers[i].id);
	free(f->report.containers);
	strv_release(&f->config.namespaces);
	strv_release(&f->paused);
	free(f->marker);
	free(f);
}

/* --- the marker ----------------------------------------------------------------------------------- */

static char *marker_path(const char *dir)
{
	return text_format("%s/paused", dir);
}

bool freeze_is_on(const char *marker_dir)
{
	cleanup_free char *path = marker_path(marker_dir);

	return path && access(path, F_OK) == 0;
}

/* What an earlier pause has noted about kubelet stays true when the node is paused again. */
static int marker_write(const struct freeze *f)
{
	int fd = open(f->marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const char *text = f->kubelet_ran ? KUBELET_RAN : "";
	bool ok;

	if (fd < 0)
		return errno == EEXIST ? 0 : -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

static bool marker_says_kubelet_ran(const struct freeze *f)
{
	char text[sizeof(KUBELET_RAN)] = "";
	int fd = open(f->marker, O_RDONLY | O_CLOEXEC);
	bool ran =
		fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, KUBELET_RAN) == 0;

	if (fd >= 0)
		close(fd);
	return ran;
}

/* --- the end -------------------------------------------------------------------------------------- */

static void fail(struct freeze *f, const char *what, const char *why)
{
	f->report.ok = false;
	if (!*f->report.detail)
		snprintf(f->report.detail, sizeof(f->report.detail), "%s: %.200s", what, why);
}

static void finish(struct freeze *f)
{
	f->report.paused = access(f->marker, F_OK) == 0;
	f->report.millis = (uint32_t)(clock_now_ms() - f->started_ms);
	f->done(f->arg, &f->report);
	freeze_free(f);
}

static void on_kubelet_started(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct freeze *f = arg;

	(void)outcome;
	f->report.kubelet = err ? "failed" : f->undoing ? "" : "started";
	if (err)
		fail(f, "kubelet does not start", err->msg);
	finish(f);
}

/* Nothing is paused any more: kubelet and pod sync go on. */
static void go_on(struct freeze *f)
{
	bool kubelet = f->undoing ? f->kubelet_ran : marker_says_kubelet_ran(f);

	if (unlink(f->marker) < 0 && errno != ENOENT)
		fail(f, "the node still counts as paused", strerror(errno));
	if (f->config.pods)
		pods_set_frozen(f->config.pods, false);
	if (kubelet)
		units_act(f->config.units, UNIT_START, "kubelet", f->by, on_kubelet_started, f);
	else
		finish(f);
}

/* --- containers ----------------------------------------------------------------------------------- */

static void pump(struct freeze *f);
static void ask_what_is_left(struct freeze *f);

static size_t count_result(const struct freeze *f, const char *result)
{
	size_t count = 0;

	for (size_t i = 0; i < f->report.container_count; i++)
		count += strcmp(f->report.containers[i].result, result) == 0;
	return count;
}

static void undo(struct freeze *f)
{
	if (f->was_paused || f->closing) {
		finish(f);
		return;
	}
	f->undoing = true;
	f->freezing = false;
	f->next = 0;
	pump(f);
}

static void containers_done(struct freeze *f)
{
	if (f->closing) {
		finish(f);
	} else if (f->undoing) {
		go_on(f);
	} else if (!f->freezing) {
		ask_what_is_left(f);
	} else if (count_result(f, "failed") > 0) {
		undo(f);
	} else if (marker_write(f) < 0) {
		fail(f, "cannot note that the node is paused", strerror(errno));
		undo(f);
	} else {
		finish(f);
	}
}

/* One that has ended meanwhile does not run, which is what was wanted. */
static bool has_ended(const struct err *err)
{
	return err->code == ERR_NOT_FOUND || strcmp(err->reason, "CONTAINER_NOT_RUNNING") == 0;
}

static void on_one(void *arg, const struct err *err)
{
	struct freeze_one one = *(struct freeze_one *)arg;
	struct freeze *f = one.f;
	struct freeze_container *c = &f->report.containers[one.index];

	free(arg);
	f->under_way--;
	f->closing |= err && err->code == ERR_CANCELLED;
	if (!err) {
		c->result = f->freezing ? "paused" : "unpaused";
	} else if (has_ended(err)) {
		c->result = "absent";
	} else {
		c->result = "failed";
		snprintf(c->message, sizeof(c->message), "%.159s", err->msg);
		fail(f, f->freezing ? "a container cannot be paused" : "a container stays paused",
		     err->msg);
	}
	pump(f);
}

static bool is_due(const struct freeze *f, const struct freeze_container *c)
{
	return !f->undoing || strcmp(c->result, "paused") == 0;
}

static void pump(struct freeze *f)
{
	if (f->pumping)
		return;
	f->pumping = true;
	while (!f->closing && f->next < f->report.container_count && f->under_way < AT_ONCE) {
		size_t i = f->next++;
		struct freeze_one *one;

		if (!is_due(f, &f->report.containers[i]))
			continue;
		one = malloc(sizeof(*one));
		if (!one) {
			fail(f, "out of memory", f->report.containers[i].id);
			continue;
		}
		*one = (struct freeze_one){ f, i };
		f->under_way++;
		if (f->freezing)
			runtime_pause_container(f->config.runtime, f->report.containers[i].id,
						f->by, on_one, one);
		else
			runtime_unpause_container(f->config.runtime, f->report.containers[i].id,
						  f->by, on_one, one);
	}
	f->pumping = false;
	if (!f->under_way)
		containers_done(f);
}

static bool take(struct freeze *f, const char *id)
{
	struct freeze_container *list =
		realloc(f->report.containers, (f->report.container_count + 1) * sizeof(*list));

	if (!list)
		return false;
	f->report.containers = list;
	list[f->report.container_count] = (struct freeze_container){ .result = "failed" };
	list[f->report.container_count].id = strdup(id);
	return list[f->report.container_count++].id;
}

static bool is_asked_for(const struct freeze *f, const struct runtime_container *c)
{
	if (c->state != RUNTIME_RUNNING || (!f->freezing && !strv_has(&f->paused, c->id)))
		return false;
	return f->config.namespaces.count == 0 || strv_has(&f->config.namespaces, c->namespace);
}

static void on_listed(void *arg, const struct runtime_container *list, size_t count,
		      const struct err *err)
{
	struct freeze *f = arg;

	f->closing |= err && err->code == ERR_CANCELLED;
	for (size_t i = 0; i < count; i++) {
		if (is_asked_for(f, &list[i]) && !take(f, list[i].id))
			fail(f, "containers", "out of memory");
	}
	if (err)
		fail(f, "cannot list containers", err->msg);
	if (!f->report.ok && f->freezing)
		undo(f);
	else
		pump(f);
}

/* A runtime that cannot pause has nothing that is paused. */
static void on_paused(void *arg, const struct runtime_container *list, size_t count,
		      const struct err *err)
{
	struct freeze *f = arg;

	f->closing |= err && err->code == ERR_CANCELLED;
	for (size_t i = 0; i < count; i++)
		strv_add(&f->paused, list[i].id);
	if (err && err->code != ERR_UNIMPLEMENTED)
		fail(f, "cannot tell which containers are paused", err->msg);
	if (f->closing || !f->report.ok)
		finish(f);
	else if (f->paused.count == 0)
		go_on(f);
	else
		runtime_list_containers(f->config.runtime, NULL, f->by, on_listed, f);
}

static void on_paused_left(void *arg, const struct runtime_container *list, size_t count,
			   const struct err *err)
{
	struct freeze *f = arg;

	(void)list;
	if ((err && err->code == ERR_CANCELLED) || count > 0 || !f->report.ok)
		finish(f);
	else
		go_on(f);
}

/* Other namespaces may be paused still: then the node is, too. */
static void ask_what_is_left(struct freeze *f)
{
	runtime_list_paused(f->config.runtime, f->by, on_paused_left, f);
}

/* --- kubelet -------------------------------------------------------------------------------------- */

static void containers_begin(struct freeze *f)
{
	if (f->config.pods)
		pods_set_frozen(f->config.pods, true);
	runtime_list_containers(f->config.runtime, NULL, f->by, on_listed, f);
}

static void on_kubelet_stopped(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct freeze *f = arg;

	(void)outcome;
	if (err) {
		f->report.kubelet = "failed";
		fail(f, "kubelet does not stop", err->msg);
		finish(f);
		return;
	}
	f->report.kubelet = f->kubelet_ran ? "stopped" : "";
	containers_begin(f);
}

/* A job of "none" means that there was nothing to stop. */
static void on_kubelet(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct freeze *f = arg;

	f->kubelet_ran = err || strcmp(outcome->job_result, "none") != 0;
	if (err && err->code != ERR_CANCELLED)
		units_force_stop(f->config.units, "kubelet", 1000, f->by, on_kubelet_stopped, f);
	else
		on_kubelet_stopped(f, outcome, err);
}

/* --- start ---------------------------------------------------------------------------------------- */

static struct freeze *freeze_new(const struct freeze_config *config, bool freezing,
				 struct deadline by, freeze_fn *done, void *arg)
{
	static const struct freeze_report no_memory = { .detail = "out of memory", .kubelet = "" };
	struct freeze *f = calloc(1, sizeof(*f));

	if (f) {
		f->config = *config;
		f->config.namespaces = (struct strv){ 0 };
		strv_add_all(&f->config.namespaces, &config->namespaces);
		f->marker = marker_path(config->marker_dir);
	}
	if (!f || !f->marker || strv_failed(&f->config.namespaces)) {
		if (f)
			freeze_free(f);
		done(arg, &no_memory);
		return NULL;
	}
	f->config.marker_dir = NULL;
	f->freezing = freezing;
	f->by = by;
	f->done = done;
	f->arg = arg;
	f->started_ms = clock_now_ms();
	f->report.ok = true;
	f->report.kubelet = "";
	f->was_paused = access(f->marker, F_OK) == 0;
	return f;
}

void freeze_start(const struct freeze_config *config, struct deadline by, freeze_fn *done,
		  void *arg)
{
	struct freeze *f = freeze_new(config, true, by, done, arg);

	if (f)
		units_act(f->config.units, UNIT_STOP, "kubelet",
			  deadline_min(by, deadline_in_ms(KUBELET_GRACE_MS)), on_kubelet, f);
}

void thaw_start(const struct freeze_config *config, struct deadline by, freeze_fn *done, void *arg)
{
	struct freeze *f = freeze_new(config, false, by, done, arg);

	if (f)
		runtime_list_paused(f->config.runtime, by, on_paused, f);
}
