/*
 * load image, load archive: image archives into the runtimes of nodes, all nodes at once, each fed from
 * its own reading of the file. An image of the host's engine is saved to a file first, once.
 */
#include "controller/cli/cmd_transfer.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "controller/exec/exec.h"
#include "controller/provider/oci_cli.h"

#include "node/v1/images.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The last so many bytes are sent with the digest: an archive's own end is among them (NS-075). */
#define LAST_BYTES CLIENT_STREAM_LAST_MAX
/* NS-071: what an import makes of an archive that broke off on its way. */
#define TRIES 3

/* What is loaded now. */
struct load {
	struct invocation *inv;
	const char *name; /* as it was asked for */
	const char *file;
	const char *id; /* of the image, "" when not known: then it is always sent */
};

/* --- one node -------------------------------------------------------------------------------------- */

struct look {
	const char *id;
	bool found;
};

static void on_images(const Berth__Node__V1__ImageListReply *rep, void *arg)
{
	struct look *look = arg;

	for (size_t i = 0; i < rep->n_images; i++)
		look->found = look->found || strcmp(rep->images[i]->id, look->id) == 0;
}

static int has_image(const struct load *load, struct client *client, bool *ret, struct err *err)
{
	Berth__Node__V1__ImageListRequest req = BERTH__NODE__V1__IMAGE_LIST_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__images__descriptor,
				transfer_call_by(load->inv), err);
	struct look look = { .id = load->id };

	if (*load->id)
		berth__node__v1__images__list(&rpc.base, &req, on_images, &look);
	if (*load->id && rpc.result < 0)
		return -1;
	*ret = look.found;
	return 0;
}

DEFINE_CLEANUP(digest, EVP_MD_CTX *, EVP_MD_CTX_free)

static int no_digest(struct err *err)
{
	return err_set(err, ERR_INTERNAL, 0, "OpenSSL computes no SHA-256");
}

/* All but the last, which stay in 'buffer' of twice LAST_BYTES: '*ret_held'. */
static int feed_most(const struct load *load, int fd, EVP_MD_CTX *digest, uint8_t *buffer,
		     struct transfer_feed *feed, size_t *ret_held, struct err *err)
{
	size_t held = 0;
	ssize_t n;

	while ((n = read(fd, buffer + held, 2 * LAST_BYTES - held)) > 0) {
		if (EVP_DigestUpdate(digest, buffer + held, (size_t)n) != 1)
			return no_digest(err);
		held += (size_t)n;
		if (held < 2 * LAST_BYTES)
			continue;
		if (transfer_feed_sink(feed, buffer, LAST_BYTES, err) < 0)
			return -1;
		held = LAST_BYTES;
		memcpy(buffer, buffer + LAST_BYTES, held);
	}
	if (n < 0)
		return err_set(err, ERR_INTERNAL, errno, "read '%s'", load->file);
	*ret_held = held;
	return 0;
}

static int feed_last(const uint8_t *bytes, size_t len, EVP_MD_CTX *digest,
		     struct transfer_feed *feed, struct err *err)
{
	size_t before = len > LAST_BYTES ? len - LAST_BYTES : 0;
	uint8_t sum[EVP_MAX_MD_SIZE];

	if (EVP_DigestFinal_ex(digest, sum, NULL) != 1)
		return no_digest(err);
	if (transfer_feed_sink(feed, bytes, before, err) < 0)
		return -1;
	return transfer_feed_last(feed, bytes + before, len - before, sum, err);
}

static int feed_file(const struct load *load, struct transfer_feed *feed, struct err *err)
{
	cleanup_fd int fd = open(load->file, O_RDONLY | O_CLOEXEC);
	cleanup_free uint8_t *buffer = malloc(2 * LAST_BYTES);
	cleanup_with(digest) EVP_MD_CTX *digest = EVP_MD_CTX_new();
	size_t held = 0;

	if (!buffer)
		return err_oom(err);
	if (fd < 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED_PRECONDITION,
			       errno, "open '%s'", load->file);
	if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
		return no_digest(err);
	if (feed_most(load, fd, digest, buffer, feed, &held, err) < 0)
		return -1;
	if (held == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is empty", load->file);
	return feed_last(buffer, held, digest, feed, err);
}

static int send_once(const struct load *load, struct client *client, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *stream = NULL;
	Berth__Node__V1__ImageLoadRequest req = BERTH__NODE__V1__IMAGE_LOAD_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__images__descriptor,
				transfer_call_by(load->inv), err);
	struct transfer_feed feed = { .inv = load->inv };
	struct client_stream_id id = { 0 };
	int result;

	req.checked = true;
	berth__node__v1__images__load(&rpc.base, &req, client_stream_take_id, &id);
	if (rpc.result < 0 || client_stream_open(client, id.bytes, id.len, &stream, err) < 0)
		return -1;
	feed.stream = stream;
	result = feed_file(load, &feed, err);
	text_release(&feed.said);
	return result;
}

static bool is_worth_another(const struct err *err)
{
	return strstr(err->msg, "unexpected EOF") || strstr(err->msg, "short read");
}

static int load_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct load *load = arg;
	struct json_object *row;
	struct client *client;
	bool had = false;
	int result = 0;

	if (nodes_client(node, &client, err) < 0 || has_image(load, client, &had, err) < 0)
		return -1;
	for (int i = 0; i < TRIES && !had; i++) {
		result = send_once(load, client, err);
		if (result == 0 || !is_worth_another(err))
			break;
	}
	if (result < 0)
		return err_wrap(err, "load '%s'", load->name);
	row = row_add(rows);
	field_text(row, "name", load->name);
	field_text(row, "node", node->name);
	field_text(row, "result", had ? "present" : "loaded");
	return 0;
}

/* --- all of it ------------------------------------------------------------------------------------- */

static void to_line(struct json_object *row, struct text *line)
{
	bool had = strcmp(field_str(row, "result"), "present") == 0;

	text_addf(line, "%s %s on %s", field_str(row, "name"), had ? "is already" : "loaded",
		  field_str(row, "node"));
}

static const struct listing listing = { .noun = "image", .name_path = "name", .line = to_line };

static int load_on(struct invocation *inv, const struct node_list *nodes, struct load *load,
		   struct json_object *all, struct err *err)
{
	cleanup_json struct json_object *rows = NULL;

	load->inv = inv;
	if (nodes_ask(inv, nodes, load_node, load, &rows, err) < 0)
		return -1;
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(rows, i)));
	return 0;
}

typedef int load_fn(struct invocation *inv, const struct node_list *nodes, const char *word,
		    struct json_object *all, struct err *err);

static int load_each(struct invocation *inv, load_fn *load, struct err *err)
{
	cleanup_json struct json_object *all = json_object_new_array();
	cleanup_with(node_list) struct node_list nodes = { 0 };

	transfer_expect_bulk();
	if (nodes_select(inv, NODES_ALL, &nodes, err) < 0)
		return -1;
	for (size_t i = 0; i < inv->args->count; i++) {
		if (load(inv, &nodes, inv->args->items[i], all, err) < 0)
			return -1;
	}
	return print_rows(inv->out, invocation_format(inv), all, &listing, err);
}

/* What the node's import takes: tar, as it is or packed by gzip or zstd. */
static bool is_archive(const uint8_t *bytes, size_t len)
{
	return (len >= 262 && memcmp(bytes + 257, "ustar", 5) == 0) ||
	       (len >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0) ||
	       (len >= 4 && memcmp(bytes, "\x28\xb5\x2f\xfd", 4) == 0);
}

static int check_archive(const char *file, struct err *err)
{
	cleanup_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
	uint8_t bytes[512];
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	if (n < 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_PERMISSION_DENIED, errno,
			       "archive '%s'", file);
	if (is_archive(bytes, (size_t)n))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is no image archive", file);
	return err_explain(
		err, "BAD_ARCHIVE",
		"'podman save' and 'docker save' write them: tar, plain or packed by gzip "
		"or zstd");
}

static int archive(struct invocation *inv, const struct node_list *nodes, const char *file,
		   struct json_object *all, struct err *err)
{
	struct load load = { .name = file, .file = file, .id = "" };

	return load_on(inv, nodes, &load, all, err);
}

/* --- the host's engine ----------------------------------------------------------------------------- */

/* Caller releases 'ret_result'. */
static int engine(struct invocation *inv, const struct strv *argv, struct exec_result *ret_result,
		  struct err *err)
{
	struct exec_options options = { .by = inv->by, .interrupt = inv->interrupt };
	int result;

	if (strv_failed(argv))
		return err_oom(err);
	if (exec_run(argv, &options, ret_result, err) < 0)
		return -1;
	if (ret_result->exit_code == 0)
		return 0;
	result = oci_error(argv->items[0], text_str(&ret_result->errs), ret_result->exit_code, err);
	exec_result_release(ret_result);
	return result;
}

static int no_image(const char *program, const char *ref, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, 0, "%s on this host has no image '%s'", program, ref);
	return err_explain(
		err, "IMAGE_NOT_FOUND",
		"pull or build it there first; 'berth load archive' takes a file instead");
}

/* "sha256:..." of the image's configuration, which is what a node's runtime calls it by. */
static int image_id(struct invocation *inv, const char *program, const char *ref, char ret[80],
		    struct err *err)
{
	__attribute__((cleanup(cleanup_exec_result))) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	const char *id;

	strv_add(&argv, program);
	strv_add(&argv, "image");
	strv_add(&argv, "inspect");
	strv_add(&argv, "--format={{.Id}}");
	strv_add(&argv, "--");
	strv_add(&argv, ref);
	if (engine(inv, &argv, &result, err) < 0)
		return strcmp(err->reason, "IMAGE_NOT_FOUND") == 0
			       ? no_image(program, ref, err)
			       : err_wrap(err, "image '%s'", ref);
	id = text_str(&result.out);
	if (strncmp(id, "sha256:", 7) == 0)
		id += 7;
	snprintf(ret, 80, "sha256:%.*s", (int)strcspn(id, "\n"), id);
	return 0;
}

static int save(struct invocation *inv, const char *program, const char *ref, const char *file,
		struct err *err)
{
	__attribute__((cleanup(cleanup_exec_result))) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	strv_add(&argv, program);
	strv_add(&argv, "save");
	strv_addf(&argv, "--output=%s", file);
	strv_add(&argv, "--");
	strv_add(&argv, ref);
	if (engine(inv, &argv, &result, err) < 0)
		return err_wrap(err, "save image '%s'", ref);
	return 0;
}

static int image(struct invocation *inv, const struct node_list *nodes, const char *ref,
		 struct json_object *all, struct err *err)
{
	const char *temporary = getenv("TMPDIR");
	cleanup_free char *dir = text_format("%s/berth-image-XXXXXX",
					     temporary && *temporary ? temporary : "/var/tmp");
	cleanup_free char *file = NULL;
	struct load load = { .name = ref };
	struct provider *provider;
	char id[80];
	int result;

	if (invocation_provider(inv, &provider, err) < 0 ||
	    image_id(inv, provider_name(provider), ref, id, err) < 0)
		return -1;
	if (!dir || !mkdtemp(dir))
		return err_set(err, ERR_INTERNAL, errno, "make a temporary directory");
	file = text_format("%s/image.tar", dir);
	load.file = file;
	load.id = id;
	result = file ? save(inv, provider_name(provider), ref, file, err) : err_oom(err);
	if (result == 0)
		result = load_on(inv, nodes, &load, all, err);
	if (file)
		unlink(file);
	rmdir(dir);
	return result;
}

static int load_images(struct invocation *inv, struct err *err)
{
	return load_each(inv, image, err);
}

static int load_archives(struct invocation *inv, struct err *err)
{
	for (size_t i = 0; i < inv->args->count; i++) {
		if (check_archive(inv->args->items[i], err) < 0)
			return -1;
	}
	return load_each(inv, archive, err);
}

static const struct option_spec load_options[] = {
	OPTION_ROW_NODE,
	{ 0 },
};

#define COMMON                                                                        \
	.min_args = 1, .max_args = -1, .flags = CMD_PLANS, .outputs = OUTPUTS_RESULT, \
	.timeout_ms = 30 * 60 * 1000, .options = load_options

const struct command cmd_image_load = {
	COMMON,
	.name = "load image",
	.args = "REF...",
	.summary = "load images of the host's engine into the nodes that lack them",
	.example = "berth load image localhost/app:1",
	.run = load_images,
};

const struct command cmd_archive_load = {
	COMMON,
	.name = "load archive",
	.args = "FILE...",
	.summary = "load image archives (docker save, OCI layout) into nodes",
	.example = "berth load archive app.tar -N worker",
	.run = load_archives,
};
