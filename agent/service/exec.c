#include "agent/agent.h"
#include "agent/service/call.h"
#include "agent/streams/child.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include "node/v1/exec.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* A terminal's edge, far beyond any screen; the kernel's field has 16 bits. */
#define EDGE_MAX 10000

static bool check_request(const Berth__Node__V1__ExecStartRequest *req, struct err *err)
{
	if (req->n_argv == 0 || !req->argv[0][0]) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "no program was named");
		return false;
	}
	if (req->directory[0] && req->directory[0] != '/') {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "directory '%s' is not absolute",
			req->directory);
		return false;
	}
	if (req->rows > EDGE_MAX || req->columns > EDGE_MAX) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "a terminal has at most %d rows and columns",
			EDGE_MAX);
		return false;
	}
	for (size_t i = 0; i < req->n_env; i++) {
		if (!req->env[i]->name[0] || strchr(req->env[i]->name, '=')) {
			err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is no name of a variable",
				req->env[i]->name);
			return false;
		}
	}
	return true;
}

static int fill_lists(const Berth__Node__V1__ExecStartRequest *req, struct strv *argv,
		      struct strv *env, struct err *err)
{
	for (size_t i = 0; i < req->n_argv; i++)
		strv_add(argv, req->argv[i]);
	for (size_t i = 0; i < req->n_env; i++)
		strv_addf(env, "%s=%s", req->env[i]->name, req->env[i]->value);
	return strv_failed(argv) || strv_failed(env) ? err_oom(err) : 0;
}

static int start_in_node(void *call, const Berth__Node__V1__ExecStartRequest *req,
			 struct stream **ret_stream, struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };
	cleanup_with(strv) struct strv env = { 0 };
	struct child_spec spec = {
		.kind = "exec",
		.directory = req->directory[0] ? req->directory : NULL,
		.user = req->user[0] ? req->user : NULL,
		.tty = req->tty,
		.rows = req->rows,
		.columns = req->columns,
		.input = req->input,
	};

	if (!check_request(req, err) || fill_lists(req, &argv, &env, err) < 0)
		return -1;
	spec.argv = (const char *const *)argv.items;
	spec.env = (const char *const *)env.items;
	return child_stream_open(call_agent(call)->streams, &spec, ROLE_ADMIN, ret_stream, err);
}

static void exec_start(Berth__Node__V1__Exec_Service *self,
		       const Berth__Node__V1__ExecStartRequest *req,
		       Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	Berth__Node__V1__StreamOpened rep = BERTH__NODE__V1__STREAM_OPENED__INIT;
	struct stream *s;
	struct err err;
	int rc;

	(void)self;
	if (req->target)
		rc = err_set(&err, ERR_UNIMPLEMENTED, 0, "commands in containers");
	else
		rc = start_in_node(call, req, &s, &err);
	if (rc < 0) {
		call_fail(call, &err);
		return;
	}
	call_note(call, "runs '%s'", req->argv[0]);
	rep.stream_id.data = (uint8_t *)stream_id(s);
	rep.stream_id.len = STREAM_ID_BYTES;
	reply(&rep, call);
}

static void exec_attach(Berth__Node__V1__Exec_Service *self,
			const Berth__Node__V1__ExecAttachRequest *req,
			Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	struct err err;

	(void)self;
	(void)req;
	(void)reply;
	err_set(&err, ERR_UNIMPLEMENTED, 0, "attaching to containers");
	call_fail(call, &err);
}

Berth__Node__V1__Exec_Service exec_service = BERTH__NODE__V1__EXEC__INIT(exec_);
