#include "agent/runtime/cri/messages.h"

#include "agent/runtime/runtime_impl.h"
#include "shared/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static const struct kv_list *list_of(struct arena *a, Runtime__V1__KeyValue *const *from,
				     size_t count)
{
	struct kv_list *list = arena_alloc(a, sizeof(*list));
	struct kv *items = arena_array(a, count, sizeof(*items));

	if (!list || !items)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		items[i].key = (char *)or_empty(from[i]->key);
		items[i].value = (char *)or_empty(from[i]->value);
	}
	list->items = items;
	list->count = count;
	return list;
}

static void take_sandbox_metadata(const Runtime__V1__PodSandboxMetadata *m,
				  struct runtime_sandbox *ret)
{
	ret->name = m ? or_empty(m->name) : "";
	ret->namespace = m ? or_empty(m->namespace_) : "";
	ret->uid = m ? or_empty(m->uid) : "";
	ret->attempt = m ? m->attempt : 0;
}

struct runtime_sandbox *message_to_sandboxes(struct arena *a,
					     const Runtime__V1__ListPodSandboxResponse *from,
					     size_t *ret_count)
{
	struct runtime_sandbox *list = arena_array(a, from->n_items, sizeof(*list));

	for (size_t i = 0; list && i < from->n_items; i++) {
		const Runtime__V1__PodSandbox *one = from->items[i];

		list[i].id = or_empty(one->id);
		take_sandbox_metadata(one->metadata, &list[i]);
		list[i].ready = one->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
		list[i].created_ns = one->created_at;
		list[i].ip = "";
		list[i].labels = list_of(a, one->labels, one->n_labels);
		list[i].annotations = list_of(a, one->annotations, one->n_annotations);
	}
	*ret_count = from->n_items;
	return a->failed ? NULL : list;
}

static bool is_host_network(const Runtime__V1__LinuxPodSandboxStatus *status)
{
	const Runtime__V1__Namespace *ns = status ? status->namespaces : NULL;

	return ns && ns->options && ns->options->network == RUNTIME__V1__NAMESPACE_MODE__NODE;
}

bool message_to_sandbox(struct arena *a, const Runtime__V1__PodSandboxStatus *from,
			struct runtime_sandbox *ret)
{
	*ret = (struct runtime_sandbox){
		.id = or_empty(from->id),
		.ready = from->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY,
		.created_ns = from->created_at,
		.ip = from->network ? or_empty(from->network->ip) : "",
		.host_network = is_host_network(from->linux_status),
		.labels = list_of(a, from->labels, from->n_labels),
		.annotations = list_of(a, from->annotations, from->n_annotations),
	};
	take_sandbox_metadata(from->metadata, ret);
	return !a->failed;
}

static enum runtime_state state_of(Runtime__V1__ContainerState state)
{
	switch (state) {
	case RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED:
		return RUNTIME_CREATED;
	case RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING:
		return RUNTIME_RUNNING;
	case RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED:
		return RUNTIME_EXITED;
	default:
		return RUNTIME_UNKNOWN;
	}
}

static const char *image_name(const Runtime__V1__ImageSpec *spec)
{
	if (!spec)
		return "";
	if (spec->user_specified_image && *spec->user_specified_image)
		return spec->user_specified_image;
	return or_empty(spec->image);
}

struct runtime_container *message_to_containers(struct arena *a,
						const Runtime__V1__ListContainersResponse *from,
						size_t *ret_count)
{
	struct runtime_container *list = arena_array(a, from->n_containers, sizeof(*list));

	for (size_t i = 0; list && i < from->n_containers; i++) {
		const Runtime__V1__Container *one = from->containers[i];

		list[i].id = or_empty(one->id);
		list[i].sandbox_id = or_empty(one->pod_sandbox_id);
		list[i].name = one->metadata ? or_empty(one->metadata->name) : "";
		list[i].attempt = one->metadata ? one->metadata->attempt : 0;
		list[i].image = image_name(one->image);
		list[i].image_ref = or_empty(one->image_ref);
		list[i].state = state_of(one->state);
		list[i].created_ns = one->created_at;
		list[i].labels = list_of(a, one->labels, one->n_labels);
		list[i].annotations = list_of(a, one->annotations, one->n_annotations);
		list[i].reason = "";
		list[i].message = "";
		runtime_container_name_pod(&list[i]);
	}
	*ret_count = from->n_containers;
	return a->failed ? NULL : list;
}

bool message_to_container(struct arena *a, const Runtime__V1__ContainerStatus *from,
			  struct runtime_container *ret)
{
	*ret = (struct runtime_container){
		.id = or_empty(from->id),
		.sandbox_id = "",
		.name = from->metadata ? or_empty(from->metadata->name) : "",
		.attempt = from->metadata ? from->metadata->attempt : 0,
		.image = image_name(from->image),
		.image_ref = or_empty(from->image_ref),
		.state = state_of(from->state),
		.created_ns = from->created_at,
		.started_ns = from->started_at,
		.finished_ns = from->finished_at,
		.exit_code = from->exit_code,
		.reason = or_empty(from->reason),
		.message = or_empty(from->message),
		.labels = list_of(a, from->labels, from->n_labels),
		.annotations = list_of(a, from->annotations, from->n_annotations),
	};
	runtime_container_name_pod(ret);
	return !a->failed;
}

void message_to_info(const Runtime__V1__StatusResponse *from, struct runtime_info *ret)
{
	size_t count = from->status ? from->status->n_conditions : 0;

	ret->message = "";
	for (size_t i = 0; i < count; i++) {
		const Runtime__V1__RuntimeCondition *c = from->status->conditions[i];
		bool is_runtime = strcmp(or_empty(c->type), "RuntimeReady") == 0;
		bool is_network = strcmp(or_empty(c->type), "NetworkReady") == 0;

		if (is_runtime)
			ret->runtime_ready = c->status;
		if (is_network)
			ret->network_ready = c->status;
		if ((is_runtime || is_network) && !c->status && !*ret->message)
			ret->message = or_empty(c->message);
	}
}

const char *message_image_ref(const Runtime__V1__Image *image)
{
	if (!image)
		return NULL;
	if (image->id && *image->id)
		return image->id;
	if (image->n_repo_digests)
		return image->repo_digests[0];
	return image->n_repo_tags ? image->repo_tags[0] : NULL;
}

/* The number after "pid": in the outermost object; what is deeper, or in a text, is somebody else's. */
static uint32_t json_pid(const char *s)
{
	static const char key[] = "\"pid\"";
	unsigned depth = 0;

	for (; *s; s++) {
		if (*s == '{' || *s == '[') {
			depth++;
		} else if (*s == '}' || *s == ']') {
			depth--;
		} else if (*s == '"') {
			bool found = depth == 1 && strncmp(s, key, sizeof(key) - 1) == 0;

			for (s++; *s && *s != '"'; s++)
				s += *s == '\\' && s[1];
			if (!*s)
				return 0;
			if (found && s[1 + strspn(s + 1, " ")] == ':')
				return (uint32_t)strtoul(s + 2 + strspn(s + 1, " "), NULL, 10);
		}
	}
	return 0;
}

uint32_t message_sandbox_pid(const Runtime__V1__PodSandboxStatusResponse *from)
{
	for (size_t i = 0; i < from->n_info; i++) {
		if (strcmp(or_empty(from->info[i]->key), "info") == 0)
			return json_pid(or_empty(from->info[i]->value));
	}
	return 0;
}

struct runtime_image *
message_to_images(struct arena *a, const Runtime__V1__ListImagesResponse *from, size_t *ret_count)
{
	struct runtime_image *list = arena_array(a, from->n_images, sizeof(*list));

	for (size_t i = 0; list && i < from->n_images; i++) {
		const Runtime__V1__Image *one = from->images[i];

		list[i].id = or_empty(one->id);
		list[i].tags = (const char *const *)one->repo_tags;
		list[i].tag_count = one->n_repo_tags;
		list[i].digests = (const char *const *)one->repo_digests;
		list[i].digest_count = one->n_repo_digests;
		list[i].size_bytes = one->size;
	}
	*ret_count = from->n_images;
	return list;
}

bool message_says_absent(const struct err *err, const char *id)
{
	return err->code == ERR_UNKNOWN && id && strstr(err->msg, id) &&
	       (strcasestr(err->msg, "not found") || strcasestr(err->msg, "no such container") ||
		strcasestr(err->msg, "does not exist"));
}
