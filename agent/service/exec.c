#include "agent/agent.h"
#include "agent/runtime/runtime.h"
#include "agent/service/call.h"
#include "agent/service/opened.h"
#include "agent/streams/child.h"
#include "agent/streams/container.h"
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

static void reply_opened(void *call, const char *what, struct stream *s,
			 Berth__Node__V1__StreamOpened_Closure reply)
{
	call_note(call, "runs '%s'", what);
	opened_reply(s, reply, call);
}

/* --- in a container -------------------------------------------------------------------------------- */

/* Start and Attach: first which container, then where the runtime has the session, then the session. */
struct joining {
	void *call;
	Berth__Node__V1__StreamOpened_Closure reply;
	const Berth__Node__V1__ContainerTarget *target; /* the request's, as all pointers here */
	const char *const *argv;                        /* NULL: the main process; owned */
	struct container_target how;
};

static void joining_free(struct joining *j)
{
	free((void *)j->argv);
	free(j);
}

static void joining_fail(struct joining *j, const struct err *err)
{
	call_fail(j->call, err);
	joining_free(j);
}

/* container_done_fn */
static void on_joined(void *arg, struct stream *stream, const struct err *err)
{
	struct joining *j = arg;

	if (err) {
		joining_fail(j, err);
		return;
	}
	reply_opened(j->call, j->argv ? j->argv[0] : j->target->pod, stream, j->reply);
	joining_free(j);
}

/* runtime_id_fn */
static void on_url(void *arg, const char *url, const struct err *err)
{
	struct joining *j = arg;

	if (err) {
		joining_fail(j, err);
		return;
	}
	j->how.url = url;
	container_stream_open(call_agent(j->call)->streams, &j->how, ROLE_ADMIN,
			      call_deadline(j->call), on_joined, j);
}

static const char *wanted_namespace(const struct joining *j)
{
	return j->target->namespace_[0] ? j->target->namespace_ : "default";
}

static bool is_of_pod(const struct joining *j, const struct runtime_container *c)
{
	return strcmp(c->pod, j->target->pod) == 0 &&
	       strcmp(c->namespace, wanted_namespace(j)) == 0;
}

static bool is_wanted(const struct joining *j, const struct runtime_container *c)
{
	return is_of_pod(j, c) &&
	       (!j->target->container[0] || strcmp(c->name, j->target->container) == 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "a, b": the pod's containers, those that run or all. */
static void name_containers(const struct joining *j, const struct runtime_container *list,
			    size_t count, bool running, struct text *ret)
{
	cleanup_with(strv) struct strv names = { 0 };

	for (size_t i = 0; i < count; i++) {
		if (is_of_pod(j, &list[i]) && !strv_has(&names, list[i].name) &&
		    (!running || list[i].state == RUNTIME_RUNNING))
			strv_add(&names, list[i].name);
	}
	if (names.count)
		qsort(names.items, names.count, sizeof(*names.items), by_name);
	for (size_t i = 0; i < names.count; i++)
		text_addf(ret, "%s%s", i ? ", " : "", names.items[i]);
}

static int not_named(const struct joining *j, const struct runtime_container *list, size_t count,
		     struct err *err)
{
	cleanup_with(text) struct text names = { 0 };

	name_containers(j, list, count, true, &names);
	err_set(err, ERR_INVALID_ARGUMENT, 0, "pod '%s' has several containers: %s", j->target->pod,
		text_str(&names));
	return err_explain(err, "CONTAINER_REQUIRED", "name one with --container");
}

static int none_there(const struct joining *j, const struct runtime_container *list, size_t count,
		      struct err *err)
{
	cleanup_with(text) struct text names = { 0 };

	name_containers(j, list, count, false, &names);
	if (names.len) {
		err_set(err, ERR_NOT_FOUND, 0, "pod '%s' has no container '%s'; there is: %s",
			j->target->pod, j->target->container, text_str(&names));
		return err_explain(err, "CONTAINER_NOT_FOUND", NULL);
	}
	err_set(err, ERR_NOT_FOUND, 0, "no pod '%s' in namespace '%s' on this node", j->target->pod,
		wanted_namespace(j));
	return err_explain(err, "POD_NOT_FOUND",
			   "'berth get pods -A' lists what there is, and where");
}

static int none_runs(const struct joining *j, struct err *err)
{
	const char *container = j->target->container;

	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"no container%s%s of pod '%s' is running in namespace '%s'",
		container[0] ? " " : "", container, j->target->pod, wanted_namespace(j));
	return err_explain(err, "CONTAINER_NOT_RUNNING",
			   "'berth describe pod' says what became of it");
}

/* The one that runs; newest first, so that of a container's lives it is the present one. */
static int choose(const struct joining *j, const struct runtime_container *list, size_t count,
		  const char **ret_id, struct err *err)
{
	const struct runtime_container *chosen = NULL;
	bool is_there = false;

	for (size_t i = 0; i < count; i++) {
		if (!is_wanted(j, &list[i]))
			continue;
		is_there = true;
		if (list[i].state != RUNTIME_RUNNING)
			continue;
		if (chosen && strcmp(chosen->name, list[i].name) != 0)
			return not_named(j, list, count, err);
		chosen = chosen ? chosen : &list[i];
	}
	if (!chosen)
		return is_there ? none_runs(j, err) : none_there(j, list, count, err);
	*ret_id = chosen->id;
	return 0;
}

/* runtime_containers_fn */
static void on_containers(void *arg, const struct runtime_container *list, size_t count,
			  const struct err *failed)
{
	struct joining *j = arg;
	struct runtime_session session = {
		.argv = j->argv,
		.input = j->how.input,
		.tty = j->how.tty,
	};
	const char *id = NULL;
	struct err err;

	if (failed)
		joining_fail(j, failed);
	else if (choose(j, list, count, &id, &err) < 0)
		joining_fail(j, &err);
	else
		runtime_open_session(call_agent(j->call)->runtime, id, &session,
				     call_deadline(j->call), on_url, j);
}

static int join(void *call, const Berth__Node__V1__ContainerTarget *target,
		Berth__Node__V1__StreamOpened_Closure reply, struct joining **ret, struct err *err)
{
	struct joining *j;

	if (!target || !target->pod[0])
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "no pod was named");
	j = calloc(1, sizeof(*j));
	if (!j)
		return err_oom(err);
	*j = (struct joining){ .call = call, .reply = reply, .target = target };
	*ret = j;
	return 0;
}

static void look_for_container(struct joining *j)
{
	runtime_list_containers(call_agent(j->call)->runtime, NULL, call_deadline(j->call),
				on_containers, j);
}

static int start_in_container(void *call, const Berth__Node__V1__ExecStartRequest *req,
			      Berth__Node__V1__StreamOpened_Closure reply, struct err *err)
{
	struct joining *j;

	if (!check_request(req, err))
		return -1;
	if (req->n_env || req->directory[0] || req->user[0]) {
		err_set(err, ERR_UNIMPLEMENTED, 0,
			"a command in a container has the container's environment, directory and "
			"user; the runtime's interface knows no others");
		return err_explain(err, "CONTAINER_AS_IT_IS", NULL);
	}
	if (join(call, req->target, reply, &j, err) < 0)
		return -1;
	j->argv = calloc(req->n_argv + 1, sizeof(*j->argv));
	if (!j->argv) {
		free(j);
		return err_oom(err);
	}
	memcpy((void *)j->argv, req->argv, req->n_argv * sizeof(*j->argv));
	j->how = (struct container_target){
		.input = req->input,
		.tty = req->tty,
		.rows = req->rows,
		.columns = req->columns,
	};
	look_for_container(j);
	return 0;
}

static void exec_start(Berth__Node__V1__Exec_Service *self,
		       const Berth__Node__V1__ExecStartRequest *req,
		       Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	struct stream *s;
	struct err err;

	(void)self;
	if (req->target) {
		if (start_in_container(call, req, reply, &err) < 0)
			call_fail(call, &err);
	} else if (start_in_node(call, req, &s, &err) < 0) {
		call_fail(call, &err);
	} else {
		reply_opened(call, req->argv[0], s, reply);
	}
}

static void exec_attach(Berth__Node__V1__Exec_Service *self,
			const Berth__Node__V1__ExecAttachRequest *req,
			Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	struct joining *j;
	struct err err;

	(void)self;
	if (join(call, req->target, reply, &j, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	j->how = (struct container_target){ .input = req->input, .tty = req->tty };
	look_for_container(j);
}

Berth__Node__V1__Exec_Service exec_service = BERTH__NODE__V1__EXEC__INIT(exec_);
