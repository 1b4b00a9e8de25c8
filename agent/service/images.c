#include "agent/agent.h"
#include "agent/runtime/runtime.h"
#include "agent/service/call.h"
#include "agent/service/opened.h"
#include "shared/base/cleanup.h"

#include "node/v1/images.pb-c.h"

#include <stdlib.h>
#include <string.h>

struct list_call {
	Berth__Node__V1__ImageListReply_Closure reply;
	void *call;
};

struct load_call {
	const Berth__Node__V1__ImageLoadRequest *req;
	Berth__Node__V1__StreamOpened_Closure reply;
	void *call;
};

struct remove_call {
	const Berth__Node__V1__ImageRemoveRequest *req;
	Berth__Node__V1__ImageRemoveReply_Closure reply;
	void *call;
};

/* A copy of what every handler here starts with; NULL: the call has been failed. */
static void *keep(const void *state, size_t size, void *call)
{
	void *copy = malloc(size);
	struct err err;

	if (copy)
		return memcpy(copy, state, size);
	err_oom(&err);
	call_fail(call, &err);
	return NULL;
}

/* --- List ------------------------------------------------------------------------------------------ */

static void send_images(const struct list_call *list, const struct runtime_image *from,
			size_t count, Berth__Node__V1__ImageInfo *infos,
			Berth__Node__V1__ImageInfo **items)
{
	Berth__Node__V1__ImageListReply rep = BERTH__NODE__V1__IMAGE_LIST_REPLY__INIT;

	for (size_t i = 0; i < count; i++) {
		berth__node__v1__image_info__init(&infos[i]);
		infos[i].id = (char *)from[i].id;
		infos[i].tags = (char **)from[i].tags;
		infos[i].n_tags = from[i].tag_count;
		infos[i].digests = (char **)from[i].digests;
		infos[i].n_digests = from[i].digest_count;
		infos[i].size = from[i].size_bytes;
		items[i] = &infos[i];
	}
	rep.n_images = count;
	rep.images = items;
	list->reply(&rep, list->call);
}

static void on_images(void *arg, const struct runtime_image *from, size_t count,
		      const struct err *failed)
{
	struct list_call list = *(struct list_call *)arg;
	cleanup_free Berth__Node__V1__ImageInfo *infos = NULL;
	cleanup_free Berth__Node__V1__ImageInfo **items = NULL;
	struct err err;

	free(arg);
	if (failed) {
		call_fail(list.call, failed);
		return;
	}
	infos = calloc(count + 1, sizeof(*infos));
	items = calloc(count + 1, sizeof(Berth__Node__V1__ImageInfo *));
	if (infos && items) {
		send_images(&list, from, count, infos, items);
		return;
	}
	err_oom(&err);
	call_fail(list.call, &err);
}

static void images_list(Berth__Node__V1__Images_Service *self,
			const Berth__Node__V1__ImageListRequest *req,
			Berth__Node__V1__ImageListReply_Closure reply, void *call)
{
	const struct list_call list = { .reply = reply, .call = call };
	void *kept = keep(&list, sizeof(list), call);

	(void)self;
	(void)req;
	if (kept)
		runtime_list_images(call_agent(call)->runtime, call_deadline(call), on_images,
				    kept);
}

/* --- Load ------------------------------------------------------------------------------------------ */

/* What takes an archive on its stdin, by the runtime's own name (NS-071). */
static const struct importer {
	const char *runtime;
	const char *argv[8];
} importers[] = {
	{ "containerd",
	  { "ctr", "--namespace", "k8s.io", "images", "import", "--all-platforms", "-", NULL } },
	{ "cri-o", { "podman", "load", NULL } },
	{ "docker", { "docker", "load", NULL } },
	/* Counts what came. */
	{ "fake", { "wc", "-c", NULL } },
};

static const struct importer *find_importer(const char *runtime)
{
	for (size_t i = 0; i < ARRAY_LEN(importers); i++) {
		if (strcmp(importers[i].runtime, runtime) == 0)
			return &importers[i];
	}
	return NULL;
}

static void on_runtime(void *arg, const struct runtime_info *info, const struct err *failed)
{
	struct load_call load = *(struct load_call *)arg;
	const struct importer *importer;
	struct stream *s;
	struct err err;

	free(arg);
	if (failed) {
		call_fail(load.call, failed);
		return;
	}
	importer = find_importer(info->name);
	if (!importer) {
		err_set(&err, ERR_UNIMPLEMENTED, 0, "images cannot be loaded into runtime '%s'",
			info->name);
		err_explain(&err, "IMAGES_UNSUPPORTED", NULL);
		call_fail(load.call, &err);
	} else if (opened_helper(load.call, "image import", importer->argv, true, &s, &err) < 0) {
		call_fail(load.call, &err);
	} else {
		if (load.req->checked)
			stream_check_input(s);
		call_note(load.call, "imports images");
		opened_reply(s, load.reply, load.call);
	}
}

static void images_load(Berth__Node__V1__Images_Service *self,
			const Berth__Node__V1__ImageLoadRequest *req,
			Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	const struct load_call load = { .req = req, .reply = reply, .call = call };
	void *kept = keep(&load, sizeof(load), call);

	(void)self;
	if (kept)
		runtime_get_info(call_agent(call)->runtime, call_deadline(call), on_runtime, kept);
}

/* --- Remove ---------------------------------------------------------------------------------------- */

static void on_removed(void *arg, const struct err *failed)
{
	struct remove_call remove = *(struct remove_call *)arg;
	Berth__Node__V1__ImageRemoveReply rep = BERTH__NODE__V1__IMAGE_REMOVE_REPLY__INIT;

	free(arg);
	if (failed) {
		call_fail(remove.call, failed);
		return;
	}
	call_note(remove.call, "removed image '%s'", remove.req->image);
	remove.reply(&rep, remove.call);
}

static void images_remove(Berth__Node__V1__Images_Service *self,
			  const Berth__Node__V1__ImageRemoveRequest *req,
			  Berth__Node__V1__ImageRemoveReply_Closure reply, void *call)
{
	const struct remove_call remove = { .req = req, .reply = reply, .call = call };
	void *kept = keep(&remove, sizeof(remove), call);

	(void)self;
	if (kept)
		runtime_remove_image(call_agent(call)->runtime, req->image, call_deadline(call),
				     on_removed, kept);
}

Berth__Node__V1__Images_Service images_service = BERTH__NODE__V1__IMAGES__INIT(images_);
