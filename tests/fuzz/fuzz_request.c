/*
 * What a client sends: an envelope, and behind it the request of any RPC. The first byte chooses: 0 for an
 * envelope, which then leads to its RPC as the server would; else the RPC whose request follows.
 */
#include "agent/server/dispatch.h"
#include "agent/service/services.h"
#include "shared/wire/wire.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* What was taken can be packed, and what was packed is taken. */
static void round_trip(const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *bytes = malloc(len ? len : 1);
	ProtobufCMessage *again;
	struct err err;

	PROMISE(bytes && protobuf_c_message_pack(msg, bytes) == len);
	if (wire_unpack_request(msg->descriptor, bytes, len, &again, &err) == 0)
		protobuf_c_message_free_unpacked(again, NULL);
	free(bytes);
}

static void take(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes, size_t len)
{
	ProtobufCMessage *msg;
	struct err err;

	if (wire_unpack_request(desc, bytes, len, &msg, &err) < 0) {
		PROMISE(err.code == ERR_INVALID_ARGUMENT && err.msg[0]);
		return;
	}
	round_trip(msg);
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void take_envelope(const uint8_t *bytes, size_t len)
{
	struct dispatch_target target;
	Berth__Node__V1__Request *req;
	ProtobufCMessage *msg;
	struct err err;

	if (wire_unpack(&berth__node__v1__request__descriptor, bytes, len, &msg, &err) < 0)
		return;
	req = (Berth__Node__V1__Request *)msg;
	round_trip(msg);
	if (wire_check_peer(WIRE_CONTROLLER, req->protocol, 1, &err) < 0 ||
	    wire_check_peer(WIRE_AGENT, req->protocol, 1, &err) < 0)
		PROMISE(err.code == ERR_FAILED_PRECONDITION && err.advice[0]);
	if (dispatch_find(req->service, req->method, req->protocol, &target, &err) == 0)
		take(target.method->input, req->payload.data, req->payload.len);
	else
		PROMISE(err.code == ERR_UNIMPLEMENTED);
	protobuf_c_message_free_unpacked(msg, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	unsigned n;

	if (len == 0)
		return 0;
	n = bytes[0];
	if (n-- == 0) {
		take_envelope(bytes + 1, len - 1);
		return 0;
	}
	for (size_t i = 0; i < services_count; i++) {
		const ProtobufCServiceDescriptor *service = services[i]->descriptor;

		if (n < service->n_methods) {
			take(service->methods[n].input, bytes + 1, len - 1);
			return 0;
		}
		n -= service->n_methods;
	}
	return 0;
}
