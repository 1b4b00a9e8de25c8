/* What an agent answers, for the controller: an envelope with a status. Nothing of it may harm a terminal. */
#include "shared/wire/wire.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_text(const char *s)
{
	for (; *s; s++)
		PROMISE((unsigned char)*s >= ' ' && *s != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	ProtobufCMessage *msg;
	struct err err;

	if (wire_unpack(&berth__node__v1__reply__descriptor, bytes, len, &msg, &err) < 0)
		return 0;
	PROMISE(status_to_err(((Berth__Node__V1__Reply *)msg)->status, &err) == -1);
	check_text(err.msg);
	check_text(err.advice);
	check_text(err.reason);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}
