/* What an agent answers, for the controller: an envelope with a status, of which nothing may harm a terminal,
 * and an output. */
#include "agent/service/services.h"
#include "shared/wire/wire.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_text(const char *s)
{
	for (; *s; s++)
		PROMISE((unsigned char)*s >= ' ' && *s != 0x7f);
}

/* As the output of whatever was called: every kind of answer. */
static void take_payload(const Berth__Node__V1__Reply *reply)
{
	for (size_t i = 0; i < services_count; i++) {
		const ProtobufCServiceDescriptor *service = services[i]->descriptor;

		for (unsigned m = 0; m < service->n_methods; m++) {
			ProtobufCMessage *output;
			struct err err;

			if (wire_unpack(service->methods[m].output, reply->payload.data,
					reply->payload.len, &output, &err) == 0)
				protobuf_c_message_free_unpacked(output, NULL);
			else
				PROMISE(err.code == ERR_INVALID_ARGUMENT && err.msg[0]);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	ProtobufCMessage *msg;
	struct err err;

	if (wire_unpack(&berth__node__v1__reply__descriptor, bytes, len, &msg, &err) < 0)
		return 0;
	take_payload((Berth__Node__V1__Reply *)msg);
	PROMISE(status_to_err(((Berth__Node__V1__Reply *)msg)->status, &err) == -1);
	check_text(err.msg);
	check_text(err.advice);
	check_text(err.reason);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}
