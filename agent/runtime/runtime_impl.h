#pragma once
/*
 * For those who write a runtime backend. Callers use runtime.h.
 *
 * To add one: (1) write agent/runtime/<name>/ (or runtime_<name>.c) that exports one
 * 'struct runtime_ops', (2) add its row to the array in runtime.c. All slots are required; what a
 * runtime cannot do ends in ERR_UNIMPLEMENTED. The wrappers in runtime.c check arguments and sort
 * lists; a slot may rely on that.
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
	/* See runtime_list_sandboxes(); any order, 'filter' never NULL. */
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
	/* See runtime_list_containers(); any order, 'filter' never NULL. */
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
	/* See runtime_remove_container(). */
	void (*remove_container)(struct runtime *rt, const char *id, struct deadline by,
				 runtime_done_fn *done, void *arg);
	/* See runtime_image_status(). */
	void (*image_status)(struct runtime *rt, const char *image, struct deadline by,
			     runtime_image_fn *done, void *arg);
	/* See runtime_pull_image(). */
	void (*pull_image)(struct runtime *rt, const char *image, struct deadline by,
			   runtime_image_fn *done, void *arg);
};

/* Every backend's state begins with this. */
struct runtime {
	const struct runtime_ops *ops;
	struct sd_event *loop;
};

extern const struct runtime_ops runtime_cri_ops;
extern const struct runtime_ops runtime_fake_ops;
