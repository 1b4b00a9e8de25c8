#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/rows.h"
#include "shared/base/parse.h"

#include "node/v1/images.pb-c.h"

#include <string.h>

struct request {
	const struct strv *names;
	const struct node *node;
	struct json_object *rows;
};

static bool is_wanted(const struct strv *words, const Berth__Node__V1__ImageInfo *info)
{
	if (!words || words->count == 0)
		return true;
	for (size_t i = 0; i < words->count; i++) {
		const char *word = words->items[i];

		if (strncmp(info->id, word, strlen(word)) == 0)
			return true;
		for (size_t j = 0; j < info->n_tags; j++) {
			if (name_matches(word, info->tags[j]))
				return true;
		}
	}
	return false;
}

static void add_texts(struct json_object *row, const char *key, char **texts, size_t count)
{
	struct json_object *array = field_array(row, key);

	for (size_t i = 0; i < count; i++)
		json_object_array_add(array, json_object_new_string(texts[i]));
}

static void add_row(const struct request *request, const Berth__Node__V1__ImageInfo *info)
{
	struct json_object *row = row_add(request->rows);

	field_text(row, "node", request->node->name);
	field_text(row, "image", info->n_tags ? info->tags[0] : "<none>");
	field_text(row, "id", info->id);
	field_int(row, "sizeBytes", (int64_t)info->size);
	add_texts(row, "tags", info->tags, info->n_tags);
	add_texts(row, "digests", info->digests, info->n_digests);
}

static void on_images(const Berth__Node__V1__ImageListReply *rep, void *arg)
{
	const struct request *request = arg;

	for (size_t i = 0; i < rep->n_images; i++) {
		if (is_wanted(request->names, rep->images[i]))
			add_row(request, rep->images[i]);
	}
}

int image_rows(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct rows_request *wanted = arg;
	struct request request = { .names = wanted->names, .node = node, .rows = rows };
	Berth__Node__V1__ImageListRequest req = BERTH__NODE__V1__IMAGE_LIST_REQUEST__INIT;
	struct rpc rpc;

	if (nodes_rpc(node, &berth__node__v1__images__descriptor, wanted->inv->by, &rpc, err) < 0)
		return -1;
	berth__node__v1__images__list(&rpc.base, &req, on_images, &request);
	return rpc.result;
}

static void render_id(struct json_object *row, struct text *cell)
{
	const char *id = field_str(row, "id");

	if (strncmp(id, "sha256:", 7) == 0)
		id += 7;
	text_addf(cell, "%.12s", id);
}

static void render_size(struct json_object *row, struct text *cell)
{
	int64_t bytes = json_object_get_int64(field_get(row, "sizeBytes"));

	if (bytes >= 10 * 1000 * 1000)
		text_addf(cell, "%lldMB", (long long)(bytes / 1000000));
	else if (bytes >= 1000 * 1000)
		text_addf(cell, "%.1fMB", (double)bytes / 1e6);
	else
		text_addf(cell, "%lldkB", (long long)((bytes + 999) / 1000));
}

static const struct column columns[] = {
	{ .title = "IMAGE", .path = "image" },
	{ .title = "ID", .kind = COLUMN_CUSTOM, .render = render_id },
	{ .title = "SIZE", .kind = COLUMN_CUSTOM, .render = render_size },
	{ .title = "NODE", .path = "node" },
	{ 0 },
};

static const struct listing listing = { .noun = "image", .name_path = "image", .columns = columns };

static int get_images(struct invocation *inv, struct err *err)
{
	struct rows_request request = { .inv = inv, .names = inv->args };
	cleanup_json struct json_object *rows = NULL;

	if (nodes_select_and_ask(inv, NODES_ALL, image_rows, &request, &rows, err) < 0)
		return -1;
	return rows_print(inv, rows, &listing, NULL, false, err);
}

static const struct option_spec get_options[] = {
	OPTION_ROW_NODE,
	{ 0 },
};

const struct command cmd_image_get = {
	.name = "get images",
	.args = "[NAME...]",
	.summary = "list the images in the nodes' runtimes",
	.details = "NAME is a reference, with globs, or the beginning of an id.",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 15000,
	.options = get_options,
	.run = get_images,
};
