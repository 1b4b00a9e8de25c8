#include "controller/cli/cmd_logs_tree.h"

#include "controller/cli/nodes.h"
#include "controller/client/stream.h"
#include "shared/copy/path.h"

#include "node/v1/files.pb-c.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

/* One reading. */
struct reading {
	const struct log_tree *tree;
	struct transfer_pull pull;
	struct err *err; /* of the source, when it has failed */
	bool failed;
	struct text tail; /* of the file that is read now */
	size_t files;
	size_t bytes;
};

static la_ssize_t read_source(struct archive *a, void *arg, const void **ret_bytes)
{
	struct reading *r = arg;
	ssize_t n = transfer_pull_source(&r->pull, ret_bytes, r->err);

	if (n >= 0)
		return n;
	r->failed = true;
	archive_set_error(a, EIO, "the source failed");
	return -1;
}

static int archive_failed(struct reading *r, struct archive *a)
{
	const char *why = archive_error_string(a);

	if (!r->failed)
		err_set(r->err, ERR_DATA_LOSS, 0, "the node sent no archive: %s", why ? why : "?");
	return -1;
}

/* The end of what came; not moved each time, for that costs as much as what is kept. */
static void keep_end(struct text *tail, size_t max)
{
	size_t drop = tail->len > max ? tail->len - max : 0;
	const char *line;

	if (!drop)
		return;
	/* Half a line says nothing. */
	line = memchr(tail->data + drop, '\n', max);
	if (line)
		drop = (size_t)(line - tail->data) + 1;
	tail->len -= drop;
	memmove(tail->data, tail->data + drop, tail->len + 1);
}

static int read_file(struct reading *r, struct archive *a)
{
	size_t max = r->tree->max, size;
	const void *bytes;
	la_int64_t offset;
	int rc;

	r->tail.len = 0;
	while ((rc = archive_read_data_block(a, &bytes, &size, &offset)) == ARCHIVE_OK) {
		text_add_bytes(&r->tail, bytes, size);
		if (r->tail.len >= 2 * max)
			keep_end(&r->tail, max);
		if (text_failed(&r->tail))
			return err_oom(r->err);
	}
	keep_end(&r->tail, max);
	return rc == ARCHIVE_EOF ? 0 : archive_failed(r, a);
}

static int too_much(struct err *err)
{
	err_set(err, ERR_RESOURCE_EXHAUSTED, 0,
		"more than %zu files or %zu MiB of logs: the rest is left out", LOG_TREE_FILES,
		LOG_TREE_BYTES >> 20);
	return err_explain(err, "TOO_MANY_LOGS", "'berth cp NODE:/var/log DIR' takes all of it");
}

static int tell_file(struct reading *r, struct archive *a, const char *name)
{
	const char *text = "";
	bool plain;

	if (read_file(r, a) < 0)
		return -1;
	if (r->files++ == LOG_TREE_FILES || (r->bytes += r->tail.len) > LOG_TREE_BYTES)
		return too_much(r->err);
	if (r->tail.len)
		text = text_str(&r->tail);
	plain = !memchr(text, '\0', r->tail.len);
	r->tree->file(r->tree->arg, name, plain ? text : "", plain ? r->tail.len : 0,
		      plain ? NULL : "no text: it is left out");
	return 0;
}

/* Binary, and read by the journal's own program into a file beside. */
static bool is_journal(const char *name)
{
	return strncmp(name, "journal/", strlen("journal/")) == 0;
}

static int each_entry(struct reading *r, struct archive *a)
{
	char name[COPY_PATH_BYTES];
	struct archive_entry *entry;
	int rc;

	while ((rc = archive_read_next_header(a, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		const char *path = archive_entry_pathname(entry);

		if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
		    !path)
			continue;
		if (copy_path_clean(path, ".", name, r->err) < 0)
			return -1;
		if (*name && !is_journal(name) && tell_file(r, a, name) < 0)
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : archive_failed(r, a);
}

static int open_tree(const struct log_tree *tree, struct client *client,
		     struct client_stream **ret_stream, struct err *err)
{
	struct rpc rpc = rpc_to(client, &berth__node__v1__files__descriptor, tree->by, err);
	Berth__Node__V1__FileCopyOutRequest req = BERTH__NODE__V1__FILE_COPY_OUT_REQUEST__INIT;
	struct client_stream_id id = { 0 };

	req.path = (char *)tree->path;
	berth__node__v1__files__copy_out(&rpc.base, &req, client_stream_take_id, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, ret_stream, err);
}

static int read_archive(struct reading *r)
{
	struct archive *a = archive_read_new();
	int rc;

	if (!a)
		return err_oom(r->err);
	archive_read_support_format_tar(a);
	if (archive_read_open(a, r, NULL, read_source, NULL) == ARCHIVE_OK)
		rc = each_entry(r, a);
	else
		rc = archive_failed(r, a);
	archive_read_free(a);
	return rc;
}

int log_tree_read(const struct log_tree *tree, struct node *node, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *stream = NULL;
	struct invocation bounded = *tree->inv;
	struct reading r = { .tree = tree, .pull = { .inv = &bounded }, .err = err };
	struct client *client;
	int rc;

	bounded.by = tree->by;
	if (nodes_client(node, &client, err) < 0 || open_tree(tree, client, &stream, err) < 0)
		return -1;
	r.pull.stream = stream;
	rc = read_archive(&r);
	transfer_pull_release(&r.pull);
	text_release(&r.tail);
	return rc;
}
