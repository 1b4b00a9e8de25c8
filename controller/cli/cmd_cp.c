/*
 * cp: a tar stream between here and a node, or between two nodes. What a node sends is unpacked as
 * strictly here as there (security-faults.md A5): a node may be anybody's.
 */
#include "controller/cli/cmd_transfer.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/client/stream.h"
#include "shared/base/parse.h"
#include "shared/copy/path.h"
#include "shared/copy/unpack.h"

#include "node/v1/files.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* One side of the copy. */
struct place {
	char node[256]; /* "": here */
	const char *path;
};

struct copy {
	struct invocation *inv;
	struct place from, to;
	struct node *other; /* of a copy between nodes: the one that is copied to */
};

/* --- words ----------------------------------------------------------------------------------------- */

/* "NODE:PATH"; a path with a colon is said as "./a:b". */
static int parse_place(const char *word, struct place *ret, struct err *err)
{
	size_t len = strcspn(word, ":/");

	*ret = (struct place){ .path = word };
	if (!*word)
		return usage_error(err, "a path is empty");
	if (word[len] != ':')
		return 0;
	if (len >= sizeof(ret->node))
		return usage_error(err, "'%.40s...' is no node name", word);
	snprintf(ret->node, sizeof(ret->node), "%.*s", (int)len, word);
	ret->path = word + len + 1;
	if (!name_is_valid(ret->node, 253)) {
		usage_error(err, "'%s' is no node name", ret->node);
		return err_explain(err, "BAD_NAME", "a path here with a colon is said as ./PATH");
	}
	if (ret->path[0] != '/')
		return usage_error(err, "'%s': a path on a node begins with a slash", word);
	return 0;
}

/* --- the node's side ------------------------------------------------------------------------------- */

static void note_directory(const Berth__Node__V1__FileListReply *rep, void *arg)
{
	bool *is_directory = arg;

	*is_directory = rep->n_files > 0 && S_ISDIR(rep->files[0]->mode);
}

static int node_has_directory(const struct copy *copy, struct client *client, const char *path,
			      bool *ret, struct err *err)
{
	struct rpc rpc = rpc_to(client, &berth__node__v1__files__descriptor,
				transfer_call_by(copy->inv), err);
	Berth__Node__V1__FileListRequest req = BERTH__NODE__V1__FILE_LIST_REQUEST__INIT;
	bool is_directory = false;

	req.path = (char *)path;
	berth__node__v1__files__list(&rpc.base, &req, note_directory, &is_directory);
	if (rpc.result < 0 && err->code != ERR_NOT_FOUND)
		return -1;
	/* That it is not there is an answer and no failure. */
	*err = (struct err){ 0 };
	*ret = is_directory;
	return 0;
}

static int open_out(const struct copy *copy, struct client *client,
		    struct client_stream **ret_stream, struct err *err)
{
	struct rpc rpc = rpc_to(client, &berth__node__v1__files__descriptor,
				transfer_call_by(copy->inv), err);
	Berth__Node__V1__FileCopyOutRequest req = BERTH__NODE__V1__FILE_COPY_OUT_REQUEST__INIT;
	struct client_stream_id id = { 0 };

	req.path = (char *)copy->from.path;
	req.follow_links = true;
	berth__node__v1__files__copy_out(&rpc.base, &req, client_stream_take_id, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, ret_stream, err);
}

static int open_in(const struct copy *copy, struct client *client,
		   struct client_stream **ret_stream, struct err *err)
{
	struct rpc rpc = rpc_to(client, &berth__node__v1__files__descriptor,
				transfer_call_by(copy->inv), err);
	Berth__Node__V1__FileCopyInRequest req = BERTH__NODE__V1__FILE_COPY_IN_REQUEST__INIT;
	struct client_stream_id id = { 0 };
	struct copy_target target;
	bool is_directory;

	if (node_has_directory(copy, client, copy->to.path, &is_directory, err) < 0 ||
	    copy_target_find(copy->from.path, copy->to.path, is_directory, &target, err) < 0)
		return -1;
	req.directory = target.directory;
	req.name = target.name;
	berth__node__v1__files__copy_in(&rpc.base, &req, client_stream_take_id, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, ret_stream, err);
}

/* --- here ------------------------------------------------------------------------------------------ */

static int open_here(const struct copy *copy, struct copy_target *ret_target, int *ret_fd,
		     struct err *err)
{
	struct stat st;
	bool is_directory = stat(copy->to.path, &st) == 0 && S_ISDIR(st.st_mode);
	int fd;

	if (copy_target_find(copy->from.path, copy->to.path, is_directory, ret_target, err) < 0)
		return -1;
	fd = open(ret_target->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, 0, "there is no directory '%s'",
			       ret_target->directory);
	if (fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "open directory '%s'",
			       ret_target->directory);
	*ret_fd = fd;
	return 0;
}

/* Before any node is asked: what is wrong here is no node's fault. */
static int check_here(const struct copy *copy, struct err *err)
{
	struct copy_target target;
	cleanup_fd int fd = -1;

	if (!copy->from.node[0] && access(copy->from.path, F_OK) < 0)
		return err_set(err, errno == EACCES ? ERR_PERMISSION_DENIED : ERR_NOT_FOUND, errno,
			       "copy '%s'", copy->from.path);
	return copy->to.node[0] ? 0 : open_here(copy, &target, &fd, err);
}

static void tell_skipped(const struct copy *copy, const struct copy_totals *totals)
{
	if (totals->skipped)
		invocation_note(copy->inv,
				"%llu sockets, pipes, devices or vanished files left out",
				(unsigned long long)totals->skipped);
}

static int copy_to_node(const struct copy *copy, struct client *client, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *stream = NULL;
	struct transfer_feed feed = { .inv = copy->inv };
	struct copy_pack pack = { .path = copy->from.path, .follow = true, .arg = &feed };
	char name[COPY_NAME_BYTES];
	struct copy_totals totals;

	if (!copy_base_name(copy->from.path, name))
		return usage_error(err, "the path '%.40s...' is too long", copy->from.path);
	if (open_in(copy, client, &stream, err) < 0)
		return -1;
	feed.stream = stream;
	pack.name = name;
	pack.sink = transfer_feed_sink;
	if (copy_pack(&pack, &totals, err) < 0 || transfer_feed_end(&feed, err) < 0)
		return -1;
	tell_skipped(copy, &totals);
	return 0;
}

static int copy_from_node(const struct copy *copy, struct client *client, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *stream = NULL;
	struct transfer_pull pull = { .inv = copy->inv };
	struct copy_target target;
	struct copy_unpack unpack = { .name = target.name,
				      .source = transfer_pull_source,
				      .arg = &pull };
	cleanup_fd int fd = -1;
	struct copy_totals totals;
	int result;

	if (open_here(copy, &target, &fd, err) < 0 || open_out(copy, client, &stream, err) < 0)
		return -1;
	pull.stream = stream;
	unpack.dir_fd = fd;
	result = copy_unpack(&unpack, &totals, err);
	transfer_pull_release(&pull);
	return result;
}

/* Straight through: what one node packs the other unpacks. */
static int copy_between(const struct copy *copy, struct client *client, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *from = NULL;
	cleanup_with(client_stream) struct client_stream *to = NULL;
	struct transfer_pull pull = { .inv = copy->inv };
	struct transfer_feed feed = { .inv = copy->inv };
	struct client *other;
	const void *bytes;
	ssize_t n;

	if (nodes_client(copy->other, &other, err) < 0 || open_in(copy, other, &to, err) < 0 ||
	    open_out(copy, client, &from, err) < 0)
		return -1;
	pull.stream = from;
	feed.stream = to;
	while ((n = transfer_pull_source(&pull, &bytes, err)) > 0) {
		if (transfer_feed_sink(&feed, bytes, (size_t)n, err) < 0)
			break;
	}
	transfer_pull_release(&pull);
	return n == 0 ? transfer_feed_end(&feed, err) : -1;
}

static int copy_with(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct copy *copy = arg;
	struct client *client;

	(void)rows;
	if (nodes_client(node, &client, err) < 0)
		return -1;
	if (copy->other)
		return copy_between(copy, client, err);
	if (copy->from.node[0])
		return copy_from_node(copy, client, err);
	return copy_to_node(copy, client, err);
}

static int find_node(struct invocation *inv, char *name, struct node_list *ret_list,
		     struct err *err)
{
	char *words[] = { name, NULL };
	struct strv list = { .items = words, .count = 1 };

	return nodes_select_words(inv, &list, NODES_ONE, ret_list, err);
}

static int run(struct copy *copy, struct err *err)
{
	cleanup_with(node_list) struct node_list primary = { 0 }, other = { 0 };
	cleanup_json struct json_object *rows = NULL;
	bool from = copy->from.node[0];
	bool to = copy->to.node[0];

	if (find_node(copy->inv, from ? copy->from.node : copy->to.node, &primary, err) < 0)
		return -1;
	if (from && to && find_node(copy->inv, copy->to.node, &other, err) < 0)
		return -1;
	if (other.count)
		copy->other = other.items[0];
	return nodes_ask(copy->inv, &primary, copy_with, copy, &rows, err);
}

static int cp(struct invocation *inv, struct err *err)
{
	struct copy copy = { .inv = inv };

	if (parse_place(inv->args->items[0], &copy.from, err) < 0 ||
	    parse_place(inv->args->items[1], &copy.to, err) < 0)
		return -1;
	if (!copy.from.node[0] && !copy.to.node[0]) {
		usage_error(err, "neither '%s' nor '%s' is on a node", copy.from.path,
			    copy.to.path);
		return err_explain(err, "USAGE", "a path on a node is said as NODE:PATH");
	}
	if (check_here(&copy, err) < 0)
		return -1;
	transfer_expect_bulk();
	return run(&copy, err);
}

const struct command cmd_cp = {
	.name = "cp",
	.args = "SRC DST",
	.summary = "copy files and directories to, from and between nodes",
	.details =
		"SRC and DST are a PATH here or NODE:PATH. Into a directory that exists goes SRC "
		"under its own name;\n"
		"else DST is the new name. SRC/. is what is in SRC. Modes, times and links are "
		"kept; "
		"on a node all\n"
		"belongs to root.",
	.example = "berth cp ./manifests worker:/etc/kubernetes",
	.min_args = 2,
	.max_args = 2,
	.flags = CMD_PLANS,
	.outputs = 1U << OUTPUT_TABLE | 1U << OUTPUT_JSON,
	.run = cp,
};
