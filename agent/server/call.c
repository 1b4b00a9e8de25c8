#include "agent/server/call.h"

#include "agent/server/record.h"
#include "shared/base/cleanup.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Tells a call from one that has ended: ending twice is a bug that must not go on. */
#define CALL_MAGIC 0xca11ca11u

int call_new(struct agent *agent, const struct dispatch_target *target, enum method_role role,
	     const uint8_t id[WIRE_CALL_ID_BYTES], uint32_t timeout_ms, ProtobufCMessage *request,
	     struct call **ret_call, struct err *err)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		protobuf_c_message_free_unpacked(request, NULL);
		return err_oom(err);
	}
	if (timeout_ms == 0)
		timeout_ms = CALL_TIMEOUT_DEFAULT_MS;
	if (timeout_ms > CALL_TIMEOUT_MAX_MS)
		timeout_ms = CALL_TIMEOUT_MAX_MS;
	call->magic = CALL_MAGIC;
	call->agent = agent;
	call->target = *target;
	call->role = role;
	memcpy(call->id, id, sizeof(call->id));
	call->by = deadline_in_ms(timeout_ms);
	call->started_us = clock_now_us();
	call->request = request;
	*ret_call = call;
	return 0;
}

static void call_free(struct call *call)
{
	protobuf_c_message_free_unpacked(call->request, NULL);
	call->magic = 0;
	free(call);
}

static void call_answer(struct call *call, const ProtobufCMessage *msg, const struct err *err)
{
	call_answer_fn *answer = call->answer;

	call->answer = NULL;
	if (answer)
		answer(call->answer_arg, call, msg, err);
}

static void call_end(struct call *call, const ProtobufCMessage *msg, const struct err *err)
{
	assert(call->magic == CALL_MAGIC && !call->ended);
	call->ended = true;
	call_answer(call, msg, err);
	if (!call->invoking)
		call_free(call);
}

static void call_reply(const ProtobufCMessage *msg, void *arg)
{
	struct err err;

	if (!msg) {
		err_set(&err, ERR_INTERNAL, 0, "the handler gave no reply");
		call_end(arg, NULL, &err);
		return;
	}
	call_end(arg, msg, NULL);
}

void call_invoke(struct call *call)
{
	ProtobufCService *service = call->target.service;

	call->invoking = true;
	service->invoke(service, call->target.method_index, call->request, call_reply, call);
	call->invoking = false;
	if (call->ended)
		call_free(call);
}

void call_give_up(struct call *call, const struct err *err)
{
	call_answer(call, NULL, err);
}

struct agent *call_agent(void *call)
{
	return ((struct call *)call)->agent;
}

enum method_role call_role(void *call)
{
	return ((struct call *)call)->role;
}

struct deadline call_deadline(void *call)
{
	return ((struct call *)call)->by;
}

void call_park(void *arg)
{
	struct call *call = arg;

	if (call->limits && call->answer)
		call->class = limits_park(call->limits, call->class);
}

void call_note(void *arg, const char *fmt, ...)
{
	struct call *call = arg;
	char text[512];
	va_list ap;

	if (!call->recorder)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	recorder_note(call->recorder, call, text);
}

void call_fail(void *call, const struct err *err)
{
	call_end(call, NULL, err);
}
