#pragma once
/*
 * For those who write a runtime backend. Callers use runtime.h.
 *
 * To add one: (1) write agent/runtime/<name>/ (or runtime_<name>.c) that exports one
 * 'struct runtime_ops', (2) add its row to the array in runtime.c. All slots but the optional ones are
 * required; what a runtime cannot do ends in ERR_UNIMPLEMENTED. The wrappers in runtime.c check arguments; a slot may
 * rely on that: ids and names are not empty, 'filter' is never NULL. Lists go through
 * runtime_order_sandboxes() or runtime_order_containers() before they are handed out.
 */
#include "agent/runtime/runtime.h"

struct runtime_ops {
	/* As in `berthd serve --runtime NAME:ADDRESS`; [a-z]+. */
	const char *name;

	/* Allocates the backend's state ('struct runtime' first in it). No I/O. */
	int (*open)(const char *address, struct sd_event *loop, struct runtime **ret_runtime,
		    struct err *err);
	/* See runtime_close(). */
	void (*close)(struct runtime *rt);
	/* See runtime_get_info(). */
	void (*get_info)(struct runtime *rt, struct deadline by, runtime_info_fn *done, void *arg);
	/* See runtime_list_sandboxes(). */
	void (*list_sandboxes)(struct runtime *rt, const struct runtime_filter *filter,
			       struct deadline by, runtime_sandboxes_fn *done, void *arg);
	/* See runtime_sandbox_status(). */
	void (*sandbox_status)(struct runtime *rt, const char *id, struct deadline by,
			       runtime_sandboxes_fn *done, void *arg);
	/* See runtime_run_sandbox(). */
	void (*run_sandbox)(struct runtime *rt, const struct sandbox_request *req,
			    struct deadline by, runtime_id_fn *done, void *arg);
	/* See runtime_stop_sandbox(). */
	void (*stop_sandbox)(struct runtime *rt, const char *id, struct deadline by,
			     runtime_done_fn *done, void *arg);
	/* See runtime_remove_sandbox(). */
	void (*remove_sandbox)(struct runtime *rt, const char *id, struct deadline by,
			       runtime_done_fn *done, void *arg);
	/* See runtime_list_containers(). */
	void (*list_containers)(struct runtime *rt, const struct runtime_filter *filter,
				struct deadline by, runtime_containers_fn *done, void *arg);
	/* See runtime_container_status(). */
	void (*container_status)(struct runtime *rt, const char *id, struct deadline by,
				 runtime_containers_fn *done, void *arg);
	/* See runtime_create_container(). */
	void (*create_container)(struct runtime *rt, const char *sandbox_id,
				 const struct container_request *req,
				 const struct sandbox_request *sandbox, struct deadline by,
				 runtime_id_fn *done, void *arg);
	/* See runtime_start_container(). */
	void (*start_container)(struct runtime *rt, const char *id, struct deadline by,
				runtime_done_fn *done, void *arg);
	/* See runtime_stop_container(). */
	void (*stop_container)(struct runtime *rt, const char *id, int64_t grace_s,
			       struct deadline by, runtime_done_fn *done, void *arg);
	/* See runtime_pause_container(). These three are optional together. */
	void (*pause_container)(struct runtime *rt, const char *id, struct deadline by,
				runtime_done_fn *done, void *arg);
	/* See runtime_unpause_container(). */
	void (*unpause_container)(struct runtime *rt, const char *id, struct deadline by,
				  runtime_done_fn *done, void *arg);
	/* See runtime_list_paused(). */
	void (*list_paused)(struct runtime *rt, struct deadline by, runtime_containers_fn *done,
			    void *arg);
	/* See runtime_remove_container(). */
	void (*remove_container)(struct runtime *rt, const char *id, struct deadline by,
				 runtime_done_fn *done, void *arg);
	/* See runtime_sandbox_details(). Optional: NULL, and runtime_sandbox_status() answers. */
	void (*sandbox_details)(struct runtime *rt, const char *id, struct deadline by,
				runtime_sandboxes_fn *done, void *arg);
	/* See runtime_open_session(). Optional. */
	void (*open_session)(struct runtime *rt, const char *id,
			     const struct runtime_session *session, struct deadline by,
			     runtime_id_fn *done, void *arg);
	/* See runtime_list_images(). Optional. */
	void (*list_images)(struct runtime *rt, struct deadline by, runtime_images_fn *done,
			    void *arg);
	/* See runtime_remove_image(). Optional. */
	void (*remove_image)(struct runtime *rt, const char *image, struct deadline by,
			     runtime_done_fn *done, void *arg);
	/* See runtime_image_status(). */
	void (*image_status)(struct runtime *rt, const char *image, struct deadline by,
			     runtime_image_fn *done, void *arg);
	/* See runtime_pull_image(). */
	void (*pull_image)(struct runtime *rt, const char *image, struct deadline by,
			   runtime_image_fn *done, void *arg);
};

struct runtime_refusal;

/* Every backend's state begins with this; runtime_open() fills it. */
struct runtime {
	const struct runtime_ops *ops;
	struct sd_event *loop;
	struct runtime_refusal *refusals; /* runtime.c's own */
};

enum runtime_reply_kind {
	RUNTIME_REPLY_DONE,
	RUNTIME_REPLY_ID,
	RUNTIME_REPLY_INFO,
	RUNTIME_REPLY_SANDBOXES,
	RUNTIME_REPLY_CONTAINERS,
	RUNTIME_REPLY_IMAGE,
	RUNTIME_REPLY_IMAGES,
};

/* Whom to answer, whatever the kind of answer. Pass by value. */
struct runtime_reply {
	enum runtime_reply_kind kind;
	union {
		runtime_done_fn *done;
		runtime_id_fn *id;
		runtime_info_fn *info;
		runtime_sandboxes_fn *sandboxes;
		runtime_containers_fn *containers;
		runtime_image_fn *image;
		runtime_images_fn *images;
	} fn;
	void *arg;
};

static inline struct runtime_reply reply_to_done(runtime_done_fn *fn, void *arg)
{
	return (struct runtime_reply){ RUNTIME_REPLY_DONE, { .done = fn }, arg };
}

static inline struct runtime_reply reply_to_id(runtime_id_fn *fn, void *arg)
{
	return (struct runtime_reply){ RUNTIME_REPLY_ID, { .id = fn }, arg };
}

static inline struct runtime_reply reply_to_info(runtime_info_fn *fn, void *arg)
{
	return (struct runtime_reply){ RUNTIME_REPLY_INFO, { .info = fn }, arg };
}

static inline struct runtime_reply reply_to_sandboxes(runtime_sandboxes_fn *fn, void *arg)
{
	return (struct runtime_reply){ RUNTIME_REPLY_SANDBOXES, { .sandboxes = fn }, arg };
}

static inline struct runtime_reply reply_to_containers(runtime_containers_fn *fn, void *arg)
{
	return (struct runtime_reply){ RUNTIME_REPLY_CONTAINERS, { .containers = fn }, arg };
}

static inline struct runtime_reply reply_to_image(runtime_image_fn *fn, void *arg)
{
	return (struct runtime_reply){ RUNTIME_REPLY_IMAGE, { .image = fn }, arg };
}

static inline struct runtime_reply reply_to_images(runtime_images_fn *fn, void *arg)
{
	return (struct runtime_reply){ RUNTIME_REPLY_IMAGES, { .images = fn }, arg };
}

/* Answers with the error and nothing else, at once. */
void runtime_reply_fail(const struct runtime_reply *to, const struct err *err);

/* Puts lists into the order callers see: newest first, ties by the higher attempt (PS-044). Items
 * whose id does not begin with 'id_prefix' (NULL or "": all stay) are dropped. Returns the new
 * count. */
size_t runtime_order_sandboxes(struct runtime_sandbox *list, size_t count, const char *id_prefix);
size_t runtime_order_containers(struct runtime_container *list, size_t count,
				const char *id_prefix);

/* Fills pod, namespace and uid from the labels (PS-021), "" where there is none. Borrowed from
 * them. */
void runtime_container_name_pod(struct runtime_container *c);

#define LABEL_POD_NAME      "io.kubernetes.pod.name"
#define LABEL_POD_NAMESPACE "io.kubernetes.pod.namespace"
#define LABEL_POD_UID       "io.kubernetes.pod.uid"

extern const struct runtime_ops runtime_cri_ops;
extern const struct runtime_ops runtime_fake_ops;
