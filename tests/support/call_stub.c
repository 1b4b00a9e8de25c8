#include "tests/support/call_stub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

void call_stub_init(struct call_stub *stub, struct agent *agent, int64_t by_ms)
{
	memset(stub, 0, sizeof(*stub));
	stub->agent = agent;
	stub->role = ROLE_ADMIN;
	stub->by = deadline_in_ms(by_ms);
}

void call_stub_reply(const ProtobufCMessage *message, void *call)
{
	struct call_stub *stub = call;

	stub->ends++;
	assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(stub->bytes));
	stub->len = protobuf_c_message_pack(message, stub->bytes);
}

struct agent *call_agent(void *call)
{
	return ((struct call_stub *)call)->agent;
}

enum method_role call_role(void *call)
{
	return ((struct call_stub *)call)->role;
}

struct deadline call_deadline(void *call)
{
	return ((struct call_stub *)call)->by;
}

void call_park(void *call)
{
	((struct call_stub *)call)->parks++;
}

void call_note(void *call, const char *fmt, ...)
{
	(void)call;
	(void)fmt;
}

void call_fail(void *call, const struct err *err)
{
	struct call_stub *stub = call;

	stub->ends++;
	stub->failed = true;
	stub->err = *err;
}
