#pragma once
/* Inside the backend "cri": cri.c has the calls and what they share; sandboxes.c, containers.c and images.c
 * have the slots of each. */
#include "agent/runtime/cri/arena.h"
#include "agent/runtime/cri/transport.h"
#include "agent/runtime/runtime_impl.h"

#include "cri/v1/runtime.pb-c.h"

struct cri {
	struct runtime rt;
	struct transport *transport;
};

struct cri_call;

enum absent {
	ABSENT_IS_ERROR,   /* and only the code says that it is (NS-104) */
	ABSENT_BY_TEXT,    /* an error; UNKNOWN with a text that says so counts too */
	ABSENT_IS_SUCCESS, /* the same, and what was to go is gone */
};

enum delivery {
	DELIVERED,  /* the caller has its answer */
	ASKED_MORE, /* the call goes on with another request */
	NO_MEMORY,  /* the caller has not been told */
};

struct cri_method {
	struct transport_method wire;
	const ProtobufCMessageDescriptor *reply;
	enum absent absent;
	/* Takes the reply; 'a' holds what it makes of it until it returns. */
	enum delivery (*deliver)(struct cri_call *call, const ProtobufCMessage *m, struct arena *a);
};

struct cri_call {
	struct cri *cri;
	const struct cri_method *method;
	struct runtime_reply to;
	struct deadline by;
	char *id;   /* of the thing asked for; a list's filter */
	bool freed; /* the left-over task of a container has been dealt with, once */
	int64_t grace_s;
	char *name; /* what Version said, kept for Status */
	char *version;
};

/* Rows of methods: service's method, whether it reads, the reply's type, what absence means, who takes the
 * reply. */
#define METHOD(service, method, reads, reply, absent, deliver)                                   \
	{                                                                                        \
		{ service, method, reads }, &runtime__v1__##reply##__descriptor, absent, deliver \
	}
#define RUNTIME_READ(method, ...)  METHOD("RuntimeService", method, true, __VA_ARGS__)
#define RUNTIME_WRITE(method, ...) METHOD("RuntimeService", method, false, __VA_ARGS__)
#define IMAGES(method, ...)        METHOD("ImageService", method, __VA_ARGS__)
#define TASKS(method, ...)         METHOD("containerd.services.tasks.v1.Tasks", method, __VA_ARGS__)

void cri_call_free(struct cri_call *call);
/* NULL: no memory, and already told. 'id' (may be NULL) is copied. */
struct cri_call *cri_call_new(struct runtime *rt, struct runtime_reply to, struct deadline by,
			      const char *id);
/* One request; its reply goes to method->deliver. 'req' is borrowed for the call. */
void cri_ask(struct cri_call *call, const struct cri_method *method, const ProtobufCMessage *req);

/* A reply that says nothing but that it is done. */
enum delivery cri_deliver_done(struct cri_call *call, const ProtobufCMessage *m, struct arena *a);
/* 'id' of what was made; none is an error of the runtime's. */
enum delivery cri_deliver_id(struct cri_call *call, const char *id);
/* A status reply without one. */
enum delivery cri_fail_without_status(struct cri_call *call);
/* Tells that there is no memory for the request, and frees the call. */
void cri_fail_oom(struct cri_call *call);

/* A list's filter by the pod: how many labels it takes, 0 or 1, in 'item', which borrows. */
size_t cri_select_pod(const struct runtime_filter *filter, Runtime__V1__KeyValue *item);

/* A StartContainer that was broken off (its caller was killed) may leave a task that containerd's CRI
 * does not know of: the container then counts as not running and yet cannot be removed. The task is
 * ended by containerd's own service. True when the call goes on. */
bool cri_free_task(struct cri_call *call, const struct err *err);

/* Slots of struct runtime_ops. */
void cri_list_sandboxes(struct runtime *rt, const struct runtime_filter *filter, struct deadline by,
			runtime_sandboxes_fn *done, void *arg);
void cri_sandbox_status(struct runtime *rt, const char *id, struct deadline by,
			runtime_sandboxes_fn *done, void *arg);
void cri_sandbox_details(struct runtime *rt, const char *id, struct deadline by,
			 runtime_sandboxes_fn *done, void *arg);
void cri_run_sandbox(struct runtime *rt, const struct sandbox_request *from, struct deadline by,
		     runtime_id_fn *done, void *arg);
void cri_stop_sandbox(struct runtime *rt, const char *id, struct deadline by, runtime_done_fn *done,
		      void *arg);
void cri_remove_sandbox(struct runtime *rt, const char *id, struct deadline by,
			runtime_done_fn *done, void *arg);
void cri_list_containers(struct runtime *rt, const struct runtime_filter *filter,
			 struct deadline by, runtime_containers_fn *done, void *arg);
void cri_container_status(struct runtime *rt, const char *id, struct deadline by,
			  runtime_containers_fn *done, void *arg);
void cri_create_container(struct runtime *rt, const char *sandbox_id,
			  const struct container_request *from,
			  const struct sandbox_request *sandbox, struct deadline by,
			  runtime_id_fn *done, void *arg);
void cri_start_container(struct runtime *rt, const char *id, struct deadline by,
			 runtime_done_fn *done, void *arg);
void cri_stop_container(struct runtime *rt, const char *id, int64_t grace_s, struct deadline by,
			runtime_done_fn *done, void *arg);
void cri_pause_container(struct runtime *rt, const char *id, struct deadline by,
			 runtime_done_fn *done, void *arg);
void cri_unpause_container(struct runtime *rt, const char *id, struct deadline by,
			   runtime_done_fn *done, void *arg);
void cri_list_paused(struct runtime *rt, struct deadline by, runtime_containers_fn *done,
		     void *arg);
void cri_remove_container(struct runtime *rt, const char *id, struct deadline by,
			  runtime_done_fn *done, void *arg);
void cri_open_session(struct runtime *rt, const char *id, const struct runtime_session *session,
		      struct deadline by, runtime_id_fn *done, void *arg);
void cri_image_status(struct runtime *rt, const char *image, struct deadline by,
		      runtime_image_fn *done, void *arg);
void cri_pull_image(struct runtime *rt, const char *image, struct deadline by,
		    runtime_image_fn *done, void *arg);
void cri_list_images(struct runtime *rt, struct deadline by, runtime_images_fn *done, void *arg);
void cri_remove_image(struct runtime *rt, const char *image, struct deadline by,
		      runtime_done_fn *done, void *arg);
