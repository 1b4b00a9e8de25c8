/*
 * What a runtime answers: headers, a body cut in any way, a status, and the message in it. Input: pieces of
 * one length byte and that many bytes; a piece that begins with 'h' is a header "name\0value", with 'e' the
 * stream's end, else it is body.
 */
#include "agent/runtime/cri/grpc.h"
#include "agent/runtime/cri/messages.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void take_header(struct grpc_reply *r, const uint8_t *piece, size_t len)
{
	const uint8_t *zero = memchr(piece, 0, len);
	size_t name_len = zero ? (size_t)(zero - piece) : len;
	const uint8_t *value = zero ? zero + 1 : piece + len;

	grpc_reply_header(r, piece, name_len, value, (size_t)(piece + len - value));
}

static void *unpack(struct arena *a, const ProtobufCMessageDescriptor *desc,
		    const struct grpc_reply *r)
{
	ProtobufCAllocator allocator = arena_allocator(a);

	return protobuf_c_message_unpack(desc, &allocator, r->body_len, r->body);
}

static void take_lists(struct arena *a, const struct grpc_reply *r)
{
	Runtime__V1__ListPodSandboxResponse *sandboxes =
		unpack(a, &runtime__v1__list_pod_sandbox_response__descriptor, r);
	Runtime__V1__ListContainersResponse *containers =
		unpack(a, &runtime__v1__list_containers_response__descriptor, r);
	Runtime__V1__ListImagesResponse *images =
		unpack(a, &runtime__v1__list_images_response__descriptor, r);
	size_t count;

	if (sandboxes)
		message_to_sandboxes(a, sandboxes, &count);
	if (containers)
		message_to_containers(a, containers, &count);
	if (images)
		message_to_images(a, images, &count);
}

static void take_status(struct arena *a, const struct grpc_reply *r)
{
	Runtime__V1__PodSandboxStatusResponse *sandbox =
		unpack(a, &runtime__v1__pod_sandbox_status_response__descriptor, r);
	Runtime__V1__ContainerStatusResponse *container =
		unpack(a, &runtime__v1__container_status_response__descriptor, r);
	Runtime__V1__StatusResponse *status =
		unpack(a, &runtime__v1__status_response__descriptor, r);
	struct runtime_sandbox its_sandbox;
	struct runtime_container its_container;
	struct runtime_info info = { 0 };

	if (sandbox && sandbox->status)
		message_to_sandbox(a, sandbox->status, &its_sandbox);
	if (sandbox)
		message_sandbox_pid(sandbox);
	if (container && container->status)
		message_to_container(a, container->status, &its_container);
	if (status)
		message_to_info(status, &info);
}

static void finish(struct grpc_reply *r, uint32_t http2_error)
{
	struct arena a = { 0 };
	struct err err;

	if (grpc_reply_end(r, http2_error, &err) == 0) {
		take_lists(&a, r);
		take_status(&a, r);
	} else {
		PROMISE(err.code != ERR_OK && err.msg[0]);
	}
	arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct grpc_reply r;
	uint32_t http2_error = 0;

	grpc_reply_init(&r);
	while (len > 0) {
		size_t piece = bytes[0] < len - 1 ? bytes[0] : len - 1;
		const uint8_t *at = bytes + 1;

		if (piece && at[0] == 'h')
			take_header(&r, at + 1, piece - 1);
		else if (piece && at[0] == 'e')
			http2_error = (uint32_t)piece - 1;
		else
			grpc_reply_data(&r, at, piece);
		bytes += 1 + piece;
		len -= 1 + piece;
	}
	finish(&r, http2_error);
	grpc_reply_release(&r);
	return 0;
}
