/* Images of a CRI runtime: its ImageService. */
#include "agent/runtime/cri/cri_impl.h"
#include "agent/runtime/cri/messages.h"

static enum delivery deliver_image(struct cri_call *call, const ProtobufCMessage *m,
				   struct arena *a)
{
	(void)a;
	call->to.fn.image(call->to.arg,
			  message_image_ref(((const Runtime__V1__ImageStatusResponse *)m)->image),
			  NULL);
	return DELIVERED;
}

static enum delivery deliver_images(struct cri_call *call, const ProtobufCMessage *m,
				    struct arena *a)
{
	struct runtime_image *list;
	size_t count;

	list = message_to_images(a, (const Runtime__V1__ListImagesResponse *)m, &count);
	if (!list)
		return NO_MEMORY;
	call->to.fn.images(call->to.arg, list, count, NULL);
	return DELIVERED;
}

static enum delivery deliver_pulled(struct cri_call *call, const ProtobufCMessage *m,
				    struct arena *a)
{
	const char *ref = ((const Runtime__V1__PullImageResponse *)m)->image_ref;

	(void)a;
	call->to.fn.image(call->to.arg, ref && *ref ? ref : call->id, NULL);
	return DELIVERED;
}

static const struct cri_method image_status =
	IMAGES("ImageStatus", true, image_status_response, ABSENT_IS_ERROR, deliver_image);
static const struct cri_method list_images =
	IMAGES("ListImages", true, list_images_response, ABSENT_IS_ERROR, deliver_images);
static const struct cri_method remove_image =
	IMAGES("RemoveImage", false, empty, ABSENT_IS_SUCCESS, cri_deliver_done);
static const struct cri_method pull_image =
	IMAGES("PullImage", false, pull_image_response, ABSENT_IS_ERROR, deliver_pulled);

void cri_image_status(struct runtime *rt, const char *image, struct deadline by,
		      runtime_image_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_image(done, arg), by, image);
	Runtime__V1__ImageStatusRequest req = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
	Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;

	if (!call)
		return;
	spec.image = (char *)image;
	req.image = &spec;
	cri_ask(call, &image_status, &req.base);
}

void cri_pull_image(struct runtime *rt, const char *image, struct deadline by,
		    runtime_image_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_image(done, arg), by, image);
	Runtime__V1__PullImageRequest req = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
	Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;

	if (!call)
		return;
	spec.image = (char *)image;
	req.image = &spec;
	cri_ask(call, &pull_image, &req.base);
}

void cri_list_images(struct runtime *rt, struct deadline by, runtime_images_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_images(done, arg), by, NULL);
	Runtime__V1__ListImagesRequest req = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;

	if (call)
		cri_ask(call, &list_images, &req.base);
}

void cri_remove_image(struct runtime *rt, const char *image, struct deadline by,
		      runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, image);
	Runtime__V1__RemoveImageRequest req = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
	Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;

	if (!call)
		return;
	spec.image = (char *)image;
	req.image = &spec;
	cri_ask(call, &remove_image, &req.base);
}
