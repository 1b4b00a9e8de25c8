#pragma once
/* Inside the backend "cri": cri.c has the calls, what they share and the containers' slots, images.c those
 * of images. */
#include "agent/runtime/cri/arena.h"
#include "agent/runtime/cri/transport.h"
#include "agent/runtime/runtime_impl.h"

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

/* NULL: no memory, and already told. 'id' (may be NULL) is copied. */
struct cri_call *cri_call_new(struct runtime *rt, struct runtime_reply to, struct deadline by,
			      const char *id);
/* One request; its reply goes to method->deliver. 'req' is borrowed for the call. */
void cri_ask(struct cri_call *call, const struct cri_method *method, const ProtobufCMessage *req);

/* A reply that says nothing but that it is done. */
enum delivery cri_deliver_done(struct cri_call *call, const ProtobufCMessage *m, struct arena *a);

/* Slots of struct runtime_ops. */
void cri_image_status(struct runtime *rt, const char *image, struct deadline by,
		      runtime_image_fn *done, void *arg);
void cri_pull_image(struct runtime *rt, const char *image, struct deadline by,
		    runtime_image_fn *done, void *arg);
void cri_list_images(struct runtime *rt, struct deadline by, runtime_images_fn *done, void *arg);
void cri_remove_image(struct runtime *rt, const char *image, struct deadline by,
		      runtime_done_fn *done, void *arg);
