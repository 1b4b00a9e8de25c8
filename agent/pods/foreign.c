#include "agent/pods/foreign.h"

#include "shared/base/cleanup.h"
#include "shared/pod/render.h"

#include <stdlib.h>
#include <string.h>

/* The view's strings are this one's own. */
struct foreign_pod {
	struct pod_view view;
	bool ready_sandbox;
};

struct foreign {
	struct foreign_pod *pods;
	size_t count;
};

struct foreign *foreign_new(void)
{
	return calloc(1, sizeof(struct foreign));
}

void foreign_free(struct foreign *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		struct pod_view *v = &f->pods[i].view;

		for (size_t k = 0; k < v->container_count; k++) {
			free((char *)v->containers[k].name);
			free((char *)v->containers[k].container_id);
		}
		free((void *)v->containers);
		free((char *)v->name);
		free((char *)v->namespace);
		free((char *)v->uid);
	}
	free(f->pods);
	free(f);
}

/* The pod of that uid, made when it is new; NULL when memory is short. */
static struct foreign_pod *get(struct foreign *f, const char *uid, const char *name,
			       const char *namespace)
{
	struct foreign_pod *pod;
	void *more;

	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->pods[i].view.uid, uid) == 0)
			return &f->pods[i];
	}
	more = realloc(f->pods, (f->count + 1) * sizeof(*f->pods));
	if (!more)
		return NULL;
	f->pods = more;
	pod = &f->pods[f->count++];
	*pod = (struct foreign_pod){ .view = { .uid = strdup(uid),
					       .name = strdup(name),
					       .namespace = strdup(namespace),
					       .phase = "Unknown",
					       .ip = "",
					       .message = "" } };
	return pod->view.uid && pod->view.name && pod->view.namespace ? pod : NULL;
}

bool foreign_add_sandboxes(struct foreign *f, const struct runtime_sandbox *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct foreign_pod *pod = get(f, list[i].uid, list[i].name, list[i].namespace);

		if (!pod)
			return false;
		if (kv_get(list[i].annotations, NOTE_KUBELET_SOURCE))
			pod->view.source = POD_FROM_KUBELET;
		if (!pod->view.created_ns)
			pod->view.created_ns = list[i].created_ns;
		pod->ready_sandbox |= list[i].ready;
	}
	return true;
}

static const char *state_name(enum runtime_state state)
{
	if (state == RUNTIME_RUNNING || state == RUNTIME_PAUSED)
		return "running";
	return state == RUNTIME_EXITED ? "terminated" : "waiting";
}

static bool has_container(const struct pod_view *v, const char *name)
{
	for (size_t i = 0; i < v->container_count; i++) {
		if (strcmp(v->containers[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool add_container(struct pod_view *v, const struct runtime_container *c)
{
	struct pod_container_view *items =
		realloc((void *)v->containers, (v->container_count + 1) * sizeof(*items));
	struct pod_container_view *item;

	if (!items)
		return false;
	v->containers = items;
	item = &items[v->container_count++];
	*item = (struct pod_container_view){
		.name = strdup(c->name),
		.state = state_name(c->state),
		.ready = c->state == RUNTIME_RUNNING,
		.restart_count = c->attempt,
		.reason = "",
		.message = "",
		.container_id = strdup(c->id),
	};
	v->restarts += c->attempt;
	return item->name && item->container_id;
}

/* Without its spec, what runs is all that can be told. */
static void judge(struct foreign_pod *pod)
{
	size_t running = 0, ready = 0;

	for (size_t i = 0; i < pod->view.container_count; i++) {
		running += strcmp(pod->view.containers[i].state, "running") == 0;
		ready += pod->view.containers[i].ready;
	}
	if (pod->ready_sandbox)
		pod->view.phase = running ? "Running" : "Pending";
	pod->view.ready = pod->ready_sandbox && running && ready == running;
}

bool foreign_add_containers(struct foreign *f, const struct runtime_container *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct foreign_pod *pod;

		/* Not of a pod at all: made past the CRI. */
		if (!*list[i].uid)
			continue;
		pod = get(f, list[i].uid, list[i].pod, list[i].namespace);
		if (!pod || (!has_container(&pod->view, list[i].name) &&
			     !add_container(&pod->view, &list[i])))
			return false;
	}
	for (size_t i = 0; i < f->count; i++)
		judge(&f->pods[i]);
	return true;
}

size_t foreign_count(const struct foreign *f)
{
	return f->count;
}

const struct pod_view *foreign_get(const struct foreign *f, size_t i)
{
	return &f->pods[i].view;
}
