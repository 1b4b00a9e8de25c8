/*
 * LoadBalancers: the new configuration stands beside the old one until haproxy has found nothing wrong
 * with it, then takes its name. A third file says that haproxy has not been told of it yet: one that a
 * killed agent leaves behind makes the next call tell.
 */
#include "agent/agent.h"
#include "agent/pods/helper.h"
#include "agent/service/balancer_config.h"
#include "agent/service/call.h"
#include "agent/units/unit.h"
#include "shared/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct set_call {
	Berth__Node__V1__BalancerSetReply_Closure reply;
	void *call;
	char *path;
	char *fresh; /* path of the new configuration, not yet in place */
	char *untold;
	bool changed;
};

static void set_free(struct set_call *set)
{
	if (!set)
		return;
	if (set->fresh)
		unlink(set->fresh);
	free(set->path);
	free(set->fresh);
	free(set->untold);
	free(set);
}

DEFINE_CLEANUP(set, struct set_call *, set_free)

static void on_reloaded(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	cleanup_with(set) struct set_call *set = arg;
	Berth__Node__V1__BalancerSetReply rep = BERTH__NODE__V1__BALANCER_SET_REPLY__INIT;

	(void)outcome;
	if (err) {
		call_fail(set->call, err);
		return;
	}
	unlink(set->untold);
	rep.changed = set->changed;
	set->reply(&rep, set->call);
}

static void reload(struct set_call *set, enum unit_action action)
{
	units_act(call_agent(set->call)->units, action, "haproxy", call_deadline(set->call),
		  on_reloaded, set);
}

static bool note_untold(const struct set_call *set)
{
	int fd = open(set->untold, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && close(fd) == 0;
}

static void on_checked(void *arg, const struct err *failed)
{
	struct set_call *set = arg;
	struct err err;

	if (!failed && note_untold(set) && rename(set->fresh, set->path) == 0) {
		set->changed = true;
		call_note(set->call, "the balancer has a new configuration");
		reload(set, UNIT_RELOAD);
		return;
	}
	if (!failed) {
		err_set(&err, ERR_INTERNAL, errno, "cannot replace '%s'", set->path);
	} else {
		err = *failed;
		if (err.code != ERR_DEADLINE_EXCEEDED && err.code != ERR_CANCELLED) {
			err_set(&err, ERR_FAILED_PRECONDITION, 0,
				"haproxy refuses the configuration: %.160s", failed->msg);
			err_explain(&err, "BALANCER_REFUSED", NULL);
		}
	}
	call_fail(set->call, &err);
	set_free(set);
}

static bool is_so_already(const char *path, const struct text *config)
{
	char old[32 * 1024];
	ssize_t len = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		len = read(fd, old, sizeof(old));
		close(fd);
	}
	return len == (ssize_t)config->len && memcmp(old, config->data, config->len) == 0;
}

static int write_fresh(const char *path, const struct text *config, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return err_set(err, ERR_INTERNAL, errno, "cannot write '%s'", path);
	ok = write(fd, config->data, config->len) == (ssize_t)config->len && fsync(fd) == 0;
	if (!ok)
		err_set(err, ERR_INTERNAL, errno, "cannot write '%s'", path);
	close(fd);
	return ok ? 0 : -1;
}

static struct set_call *set_new(const char *dir, Berth__Node__V1__BalancerSetReply_Closure reply,
				void *call)
{
	cleanup_with(set) struct set_call *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->reply = reply;
	set->call = call;
	set->path = text_format("%s/haproxy.cfg", dir);
	set->fresh = text_format("%s/haproxy.cfg.new", dir);
	set->untold = text_format("%s/haproxy.cfg.untold", dir);
	return set->path && set->fresh && set->untold ? TAKE(set) : NULL;
}

/* Takes 'set' over once it has succeeded. */
static int begin(struct set_call *set, const struct text *config, struct err *err)
{
	const struct agent *agent = call_agent(set->call);
	const char *const check[] = { "haproxy", "-c", "-q", "-f", set->fresh, NULL };

	if (is_so_already(set->path, config)) {
		reload(set, access(set->untold, F_OK) == 0 ? UNIT_RELOAD : UNIT_START);
		return 0;
	}
	if (write_fresh(set->fresh, config, err) < 0)
		return -1;
	if (!helper_start(agent->loop, check, call_deadline(set->call), on_checked, set))
		return err_oom(err);
	return 0;
}

static int check_role(const struct agent *agent, struct err *err)
{
	if (agent->config.is_balancer)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, 0, "this node is no load balancer");
	return err_explain(err, "BALANCER_NOT_HERE", NULL);
}

static void balancer_set(Berth__Node__V1__LoadBalancers_Service *self,
			 const Berth__Node__V1__BalancerSetRequest *req,
			 Berth__Node__V1__BalancerSetReply_Closure reply, void *call)
{
	const struct agent *agent = call_agent(call);
	cleanup_with(text) struct text config = { 0 };
	cleanup_with(set) struct set_call *set = set_new(agent->config.state_dir, reply, call);
	struct err err;
	int rc = -1;

	(void)self;
	if (!set)
		err_oom(&err);
	else if (check_role(agent, &err) == 0 && balancer_config(req, &config, &err) == 0)
		rc = text_failed(&config) ? err_oom(&err) : begin(set, &config, &err);
	if (rc < 0)
		call_fail(call, &err);
	else
		TAKE(set);
}

Berth__Node__V1__LoadBalancers_Service balancer_service =
	BERTH__NODE__V1__LOAD_BALANCERS__INIT(balancer_);
