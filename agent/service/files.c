#include "agent/agent.h"
#include "agent/service/call.h"
#include "agent/service/opened.h"
#include "shared/base/cleanup.h"
#include "shared/base/parse.h"
#include "shared/base/text.h"
#include "shared/base/utf8.h"

#include "node/v1/files.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#define HELPER "berthd-copy"
/* Of one record of `berthd-copy list`. */
#define FIELDS 8
/* Most that it says; a helper that says more is not ours. */
#define LIST_BYTES_MAX ((size_t)900 * 1024)
#define DEPTH_MAX      64

static bool is_absolute(const char *path, void *call)
{
	struct err err;

	if (path[0] == '/')
		return true;
	err_set(&err, ERR_INVALID_ARGUMENT, 0, "path '%s' is not absolute", path);
	call_fail(call, &err);
	return false;
}

/* --- List ------------------------------------------------------------------------------------------ */

struct list_call {
	Berth__Node__V1__FileListReply_Closure reply;
	void *call;
	struct stream *stream;
	struct text said;
	uint64_t offset;
};

/* Closes the session whose id is 'arg': not from within its own answer. */
static int close_later_due(sd_event_source *source, void *arg)
{
	struct streams *streams = *(struct streams **)arg;
	const uint8_t *id = (const uint8_t *)arg + sizeof(streams);
	struct stream *s;
	struct err ignored;

	(void)source;
	if (streams_find(streams, id, STREAM_ID_BYTES, ROLE_ADMIN, &s, &ignored) == 0)
		stream_close(s);
	return 0;
}

/* Should it fail, the session goes when it has been idle for long enough. */
static void close_later(struct agent *agent, const struct stream *s)
{
	sd_event_source *source = NULL;
	uint8_t *note = malloc(sizeof(agent->streams) + STREAM_ID_BYTES);

	if (!note)
		return;
	memcpy(note, &agent->streams, sizeof(agent->streams));
	memcpy(note + sizeof(agent->streams), stream_id(s), STREAM_ID_BYTES);
	if (sd_event_add_defer(agent->loop, &source, close_later_due, note) < 0) {
		free(note);
		return;
	}
	sd_event_source_set_destroy_callback(source, free);
	sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
}

static bool take_fields(char **at, const char *end, char *fields[FIELDS])
{
	for (size_t i = 0; i < FIELDS; i++) {
		char *zero = memchr(*at, '\0', (size_t)(end - *at));

		if (!zero)
			return false;
		fields[i] = *at;
		*at = zero + 1;
	}
	return true;
}

static bool number(const char *s, int64_t max, int64_t *ret)
{
	return parse_int(s, INT64_MIN, max, ret);
}

/* The wire takes UTF-8 alone. Borrows the strings. */
static bool fill_info(char *fields[FIELDS], Berth__Node__V1__FileInfo *ret)
{
	char **const texts[] = { &ret->name, &ret->link, &ret->error };
	char *const from[] = { fields[0], fields[6], fields[7] };
	int64_t size, mode, modified, uid, gid;

	berth__node__v1__file_info__init(ret);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		utf8_copy(from[i], strlen(from[i]) + 1, from[i]);
		*texts[i] = from[i];
	}
	if (!number(fields[1], INT64_MAX, &size) || !number(fields[2], UINT32_MAX, &mode) ||
	    !number(fields[3], INT64_MAX, &modified) || !number(fields[4], UINT32_MAX, &uid) ||
	    !number(fields[5], UINT32_MAX, &gid))
		return false;
	ret->size = (uint64_t)size;
	ret->mode = (uint32_t)mode;
	ret->modified_nanos = modified;
	ret->uid = (uint32_t)uid;
	ret->gid = (uint32_t)gid;
	return true;
}

static size_t count_records(const struct text *said)
{
	size_t zeros = 0;

	for (size_t i = 0; i < said->len; i++)
		zeros += said->data[i] == '\0';
	return zeros / FIELDS;
}

static int parse_list(struct list_call *list, Berth__Node__V1__FileInfo *infos,
		      Berth__Node__V1__FileInfo **items, Berth__Node__V1__FileListReply *rep,
		      struct err *err)
{
	char *at = list->said.data;
	const char *end = at ? at + list->said.len : NULL;
	char *fields[FIELDS];

	rep->files = items;
	while (at < end) {
		Berth__Node__V1__FileInfo *info = &infos[rep->n_files];

		if (!take_fields(&at, end, fields) || !fill_info(fields, info))
			return err_set(err, ERR_INTERNAL, 0, "the list of files cannot be read");
		if (info->name[0])
			items[rep->n_files++] = info;
		else
			rep->truncated = true;
	}
	return 0;
}

static void list_reply(struct list_call *list)
{
	Berth__Node__V1__FileListReply rep = BERTH__NODE__V1__FILE_LIST_REPLY__INIT;
	size_t room = count_records(&list->said) + 1;
	cleanup_free Berth__Node__V1__FileInfo *infos = calloc(room, sizeof(*infos));
	cleanup_free Berth__Node__V1__FileInfo **items =
		calloc(room, sizeof(Berth__Node__V1__FileInfo *));
	struct err err;
	int rc = 0;

	if (!infos || !items || text_failed(&list->said))
		rc = err_oom(&err);
	if (rc == 0)
		rc = parse_list(list, infos, items, &rep, &err);
	if (rc == 0)
		list->reply(&rep, list->call);
	else
		call_fail(list->call, &err);
}

/* The helper's exit code tells the error's (agent/copy/main.c). */
static struct err helper_error(const struct stream_end *end)
{
	struct err err = end->err;

	if (end->exit_code == 100 + ERR_NOT_FOUND)
		err.code = ERR_NOT_FOUND;
	if (end->exit_code == 100 + ERR_PERMISSION_DENIED)
		err.code = ERR_PERMISSION_DENIED;
	return err;
}

static void list_end(struct list_call *list, const struct err *err)
{
	struct agent *agent = call_agent(list->call);

	close_later(agent, list->stream);
	if (err)
		call_fail(list->call, err);
	else
		list_reply(list);
	text_release(&list->said);
	free(list);
}

/* stream_read_fn */
static void on_said(void *arg, const struct stream_read *read, const struct err *failed)
{
	struct list_call *list = arg;
	struct deadline by = call_deadline(list->call);
	struct err err;

	if (failed) {
		list_end(list, failed);
		return;
	}
	for (size_t i = 0; i < read->count; i++)
		text_add_bytes(&list->said, read->pieces[i].bytes, read->pieces[i].len);
	list->offset = read->next_offset;
	if (read->end && read->end->err.code) {
		err = helper_error(read->end);
		list_end(list, &err);
	} else if (read->end) {
		list_end(list, NULL);
	} else if (deadline_is_over(by)) {
		err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "the file system does not answer in time");
		list_end(list, &err);
	} else if (list->said.len > LIST_BYTES_MAX) {
		err_set(&err, ERR_INTERNAL, 0, "the list of files is too long");
		list_end(list, &err);
	} else {
		stream_read(list->stream, list->offset, 0, by, on_said, list);
	}
}

static int list_start(struct list_call *list, const Berth__Node__V1__FileListRequest *req,
		      struct err *err)
{
	char depth[16];
	const char *const argv[] = { HELPER, "list", depth, req->path, NULL };

	snprintf(depth, sizeof(depth), "%u", req->depth > DEPTH_MAX ? DEPTH_MAX : req->depth);
	return opened_helper(list->call, "list of files", argv, false, &list->stream, err);
}

static void files_list(Berth__Node__V1__Files_Service *self,
		       const Berth__Node__V1__FileListRequest *req,
		       Berth__Node__V1__FileListReply_Closure reply, void *call)
{
	struct list_call *list;
	struct err err;

	(void)self;
	if (!is_absolute(req->path, call))
		return;
	list = calloc(1, sizeof(*list));
	if (!list) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	list->reply = reply;
	list->call = call;
	if (list_start(list, req, &err) < 0) {
		free(list);
		call_fail(call, &err);
		return;
	}
	stream_read(list->stream, 0, 0, call_deadline(call), on_said, list);
}

/* --- CopyOut, CopyIn ------------------------------------------------------------------------------- */

static void files_copy_out(Berth__Node__V1__Files_Service *self,
			   const Berth__Node__V1__FileCopyOutRequest *req,
			   Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	const char *const argv[] = { HELPER, "out", req->follow_links ? "follow" : "nofollow",
				     req->path, NULL };
	struct stream *s;
	struct err err;

	(void)self;
	if (!is_absolute(req->path, call))
		return;
	if (opened_helper(call, "copy out", argv, false, &s, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	call_note(call, "copies '%s' out", req->path);
	opened_reply(s, reply, call);
}

static bool is_name(const char *name, void *call)
{
	struct err err;

	if (!strchr(name, '/') && strcmp(name, "..") != 0)
		return true;
	err_set(&err, ERR_INVALID_ARGUMENT, 0, "'%s' is no file name", name);
	call_fail(call, &err);
	return false;
}

static void files_copy_in(Berth__Node__V1__Files_Service *self,
			  const Berth__Node__V1__FileCopyInRequest *req,
			  Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	const char *const argv[] = {
		HELPER,         "in",      req->keep_owner ? "keep-owner" : "root",
		req->directory, req->name, NULL
	};
	struct stream *s;
	struct err err;

	(void)self;
	if (!is_absolute(req->directory, call) || !is_name(req->name, call))
		return;
	if (opened_helper(call, "copy in", argv, true, &s, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	call_note(call, "copies '%s' into '%s'", req->name, req->directory);
	opened_reply(s, reply, call);
}

Berth__Node__V1__Files_Service files_service = BERTH__NODE__V1__FILES__INIT(files_);
