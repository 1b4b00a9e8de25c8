#include "controller/client/client_node.h"

#include "node/v1/balancer.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/lifecycle.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_health(const Berth__Node__V1__HealthReply *reply, void *data)
{
	(void)reply;
	(void)data;
}

int client_wait_answer(struct client *client, struct deadline by, struct err *err)
{
	const Berth__Node__V1__HealthCheckRequest request =
		BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct rpc rpc;

	client_set_patient(client, true);
	rpc = rpc_to(client, &berth__node__v1__health__descriptor, by, err);
	berth__node__v1__health__check(&rpc.base, &request, take_health, NULL);
	client_set_patient(client, false);
	return rpc.result;
}

static void take_notes(const Berth__Node__V1__HealthReply *reply, void *data)
{
	struct strv *notes = data;

	for (size_t i = 0; notes && i < reply->n_parts; i++) {
		const Berth__Node__V1__HealthPart *part = reply->parts[i];
		bool told = strcmp(part->name, "disk") == 0 || strcmp(part->name, "preload") == 0;

		if (told && (part->state == BERTH__NODE__V1__PART_STATE__PART_DEGRADED ||
			     part->state == BERTH__NODE__V1__PART_STATE__PART_FAILED))
			strv_add(notes, part->message);
	}
}

int client_wait_ready(struct client *client, struct deadline by, struct strv *ret_notes,
		      struct err *err)
{
	const Berth__Node__V1__HealthWaitReadyRequest request =
		BERTH__NODE__V1__HEALTH_WAIT_READY_REQUEST__INIT;
	struct rpc rpc;

	client_set_patient(client, true);
	rpc = rpc_to(client, &berth__node__v1__health__descriptor, by, err);
	berth__node__v1__health__wait_ready(&rpc.base, &request, take_notes, ret_notes);
	client_set_patient(client, false);
	return rpc.result;
}

static void count_container(const char *result, struct quiesce_summary *s)
{
	if (strcmp(result, "stopped") == 0)
		s->stopped++;
	else if (strcmp(result, "killed") == 0)
		s->killed++;
	else if (strcmp(result, "failed") == 0)
		s->failed++;
}

static void take_quiesce(const Berth__Node__V1__QuiesceReply *reply, void *data)
{
	struct quiesce_summary *s = data;

	*s = (struct quiesce_summary){ .ok = reply->ok, .millis = reply->millis };
	for (size_t i = 0; i < reply->n_containers; i++)
		count_container(reply->containers[i]->result, s);
	for (size_t i = 0; i < reply->n_steps && !s->detail[0]; i++) {
		if (!reply->steps[i]->ok)
			snprintf(s->detail, sizeof(s->detail), "%s: %s", reply->steps[i]->name,
				 reply->steps[i]->detail);
	}
}

int client_quiesce(struct client *client, int64_t grace_s, struct deadline by,
		   struct quiesce_summary *ret, struct err *err)
{
	Berth__Node__V1__QuiesceRequest request = BERTH__NODE__V1__QUIESCE_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__lifecycle__descriptor, by, err);

	request.grace_seconds = (uint32_t)(grace_s < 0 ? 0 : grace_s);
	berth__node__v1__lifecycle__quiesce(&rpc.base, &request, take_quiesce, ret);
	return rpc.result;
}

struct pause_result {
	bool ok;
	char detail[256];
	unsigned failed;
	unsigned count;
};

static void take_pause(const Berth__Node__V1__PauseReply *reply, void *data)
{
	struct pause_result *result = data;

	result->ok = reply->ok;
	result->count = (unsigned)reply->n_containers;
	snprintf(result->detail, sizeof(result->detail), "%s", reply->detail);
	for (size_t i = 0; i < reply->n_containers; i++)
		result->failed += strcmp(reply->containers[i]->result, "failed") == 0;
}

int client_pause(struct client *client, bool pause, const struct strv *namespaces,
		 struct deadline by, struct err *err)
{
	Berth__Node__V1__PauseRequest request = BERTH__NODE__V1__PAUSE_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__lifecycle__descriptor, by, err);
	struct pause_result result = { 0 };

	if (namespaces) {
		request.namespaces = namespaces->items;
		request.n_namespaces = namespaces->count;
	}
	if (pause)
		berth__node__v1__lifecycle__pause(&rpc.base, &request, take_pause, &result);
	else
		berth__node__v1__lifecycle__unpause(&rpc.base, &request, take_pause, &result);
	if (rpc.result < 0 || result.ok)
		return rpc.result;
	err_set(err, ERR_FAILED_PRECONDITION, 0, "%u of %u containers failed: %s", result.failed,
		result.count, result.detail);
	return err_explain(err, "PAUSE_PARTIAL", NULL);
}

static void take_balancer(const Berth__Node__V1__BalancerSetReply *reply, void *data)
{
	(void)reply;
	(void)data;
}

static int set_balancer(struct client *client, const Berth__Node__V1__BalancerSetRequest *request,
			struct deadline by, struct err *err)
{
	struct rpc rpc;

	client_set_patient(client, true);
	rpc = rpc_to(client, &berth__node__v1__load_balancers__descriptor, by, err);
	berth__node__v1__load_balancers__set(&rpc.base, request, take_balancer, NULL);
	client_set_patient(client, false);
	return rpc.result;
}

int client_set_balancer(struct client *client, const struct strv *backends, uint16_t port,
			struct deadline by, struct err *err)
{
	Berth__Node__V1__BalancerSetRequest request = BERTH__NODE__V1__BALANCER_SET_REQUEST__INIT;
	cleanup_with(strv) struct strv names = { 0 };
	cleanup_free Berth__Node__V1__BalancerBackend *each =
		calloc(backends->count + 1, sizeof(*each));
	cleanup_free Berth__Node__V1__BalancerBackend **all =
		calloc(backends->count + 1, sizeof(*all));

	strv_add_all(&names, backends);
	if (!each || !all || strv_failed(&names))
		return err_oom(err);
	for (size_t i = 0; i < names.count; i++) {
		char *address = strchr(names.items[i], '=');

		if (!address)
			return err_set(err, ERR_INTERNAL, 0, "no backend: '%s'", names.items[i]);
		*address++ = '\0';
		berth__node__v1__balancer_backend__init(&each[i]);
		each[i].name = names.items[i];
		each[i].address = address;
		each[i].port = port;
		all[i] = &each[i];
		request.ipv6 |= strchr(address, ':') != NULL;
	}
	request.listen_port = port;
	request.backends = all;
	request.n_backends = names.count;
	return set_balancer(client, &request, by, err);
}
