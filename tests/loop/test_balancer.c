/*
 * A balancer's agent: the fake units, no runtime, and a `haproxy` of the test's own on PATH that says what
 * it is told to.
 */
#include "controller/client/client.h"
#include "shared/base/text.h"
#include "tests/support/agent_process.h"

#include "node/v1/balancer.pb-c.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	struct agent_process agent;
	struct client *client;
	char bin[64];
};

/* The verdict is the exit code; that it was asked is noted beside it. */
static void set_verdict(struct rig *rig, int exit_code)
{
	cleanup_free char *path = text_format("%s/haproxy", rig->bin);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\necho \"$@\" >> %s/asked\nexit %d\n", rig->bin, exit_code);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static int open_with(void **state, const char *role)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	cleanup_free char *path = NULL, *words = text_format("BERTH_ROLE=%s", role);
	cleanup_free char *effects = NULL;
	const char *env[] = { NULL, words, NULL, NULL };
	const char *const args[] = { "--runtime", "none:-", NULL };

	assert_non_null(rig);
	snprintf(rig->bin, sizeof(rig->bin), "/tmp/berth-balancer-XXXXXX");
	assert_non_null(mkdtemp(rig->bin));
	set_verdict(rig, 0);
	path = text_format("PATH=%s:%s", rig->bin, getenv("PATH"));
	effects = text_format("BERTH_FAKE_EFFECTS=%s/effects", rig->bin);
	env[0] = path;
	env[2] = effects;
	agent_process_start_with(&rig->agent, args, env);
	rig->client = agent_process_client(&rig->agent);
	*state = rig;
	return 0;
}

static int set_up(void **state)
{
	return open_with(state, "external-load-balancer");
}

static int set_up_worker(void **state)
{
	return open_with(state, "worker");
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	static const char *const files[] = { "haproxy", "asked", "effects" };

	client_close(rig->client);
	agent_process_discard(&rig->agent);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_free char *path = text_format("%s/%s", rig->bin, files[i]);

		unlink(path);
	}
	rmdir(rig->bin);
	free(rig);
	return 0;
}

static void on_set(const Berth__Node__V1__BalancerSetReply *reply, void *arg)
{
	*(int *)arg = reply->changed;
}

/* 1: changed, 0: was so; -1: '*err'. */
static int set(struct rig *rig, const char *address, struct err *err)
{
	Berth__Node__V1__BalancerSetRequest req = BERTH__NODE__V1__BALANCER_SET_REQUEST__INIT;
	Berth__Node__V1__BalancerBackend backend = BERTH__NODE__V1__BALANCER_BACKEND__INIT;
	Berth__Node__V1__BalancerBackend *backends[] = { &backend };
	struct rpc rpc = rpc_to(rig->client, &berth__node__v1__load_balancers__descriptor,
				deadline_in_ms(5000), err);
	int changed = -1;

	backend.name = (char *)"cp";
	backend.address = (char *)address;
	backend.port = 6443;
	req.listen_port = 6443;
	req.backends = backends;
	req.n_backends = 1;
	berth__node__v1__load_balancers__set(&rpc.base, &req, on_set, &changed);
	return rpc.result < 0 ? -1 : changed;
}

static char *config(struct rig *rig, const char *suffix)
{
	cleanup_free char *path = text_format("%s/haproxy.cfg%s", rig->agent.state_dir, suffix);
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 8192);

	assert_non_null(text);
	if (!file) {
		free(text);
		return NULL;
	}
	assert_true(fread(text, 1, 8191, file) > 0);
	fclose(file);
	return text;
}

static void on_status(const Berth__Node__V1__UnitStatusReply *reply, void *arg)
{
	snprintf(arg, 32, "%s %u", reply->units[0]->active, reply->units[0]->main_pid);
}

static void haproxy_state(struct rig *rig, char ret[32])
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	char *names[] = { (char *)"haproxy" };
	struct err err;
	struct rpc rpc = rpc_to(rig->client, &berth__node__v1__units__descriptor,
				deadline_in_ms(5000), &err);

	req.names = names;
	req.n_names = 1;
	berth__node__v1__units__status(&rpc.base, &req, on_status, ret);
	assert_int_equal(rpc.result, 0);
}

/* CN-263: checked first, put in place whole, reloaded; the process stays, and so do its connections. */
static void a_new_configuration_is_checked_and_reloaded(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *text = NULL;
	char first[32] = "", second[32] = "";
	struct err err;

	assert_int_equal(set(rig, "10.0.0.1", &err), 1);
	haproxy_state(rig, first);
	assert_int_equal(strncmp(first, "active ", 7), 0);
	assert_int_equal(set(rig, "10.0.0.2", &err), 1);
	haproxy_state(rig, second);
	assert_string_equal(first, second);
	text = config(rig, "");
	assert_non_null(strstr(text, "server cp 10.0.0.2:6443"));
	assert_null(config(rig, ".new"));
}

static void the_same_again_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(set(rig, "10.0.0.1", &err), 1);
	set_verdict(rig, 1); /* is not asked */
	assert_int_equal(set(rig, "10.0.0.1", &err), 0);
}

static unsigned reloads(const struct rig *rig)
{
	cleanup_free char *path = text_format("%s/effects", rig->bin);
	unsigned count = 0;
	char line[128];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		count += strcmp(line, "reload haproxy.service\n") == 0;
	if (file)
		fclose(file);
	return count;
}

/* CN-263, F1: what an agent leaves that was killed between the file's new name and the reload */
static void a_configuration_haproxy_was_not_told_of_is_told_next_time(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *path = text_format("%s/haproxy.cfg.untold", rig->agent.state_dir);
	struct err err;
	FILE *file;

	assert_int_equal(set(rig, "10.0.0.1", &err), 1);
	assert_int_equal(reloads(rig), 1);
	assert_int_equal(access(path, F_OK), -1);
	file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(set(rig, "10.0.0.1", &err), 0);
	assert_int_equal(reloads(rig), 2);
	assert_int_equal(set(rig, "10.0.0.1", &err), 0);
	assert_int_equal(reloads(rig), 2);
}

static void a_refused_configuration_leaves_the_old_one(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *text = NULL;
	struct err err;

	assert_int_equal(set(rig, "10.0.0.1", &err), 1);
	set_verdict(rig, 1);
	assert_int_equal(set(rig, "10.0.0.2", &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(err.reason, "BALANCER_REFUSED");
	text = config(rig, "");
	assert_non_null(strstr(text, "server cp 10.0.0.1:6443"));
	assert_null(config(rig, ".new"));
}

static void other_nodes_are_no_balancers(void **state)
{
	struct err err;

	assert_int_equal(set(*state, "10.0.0.1", &err), -1);
	assert_string_equal(err.reason, "BALANCER_NOT_HERE");
}

static void on_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	bool *ok = arg;

	*ok = reply->ready && reply->healthy;
	for (size_t i = 0; i < reply->n_parts; i++) {
		if (strcmp(reply->parts[i]->name, "runtime") == 0)
			*ok &= reply->parts[i]->state == BERTH__NODE__V1__PART_STATE__PART_ABSENT;
	}
}

static void on_containers(const Berth__Node__V1__ContainerListReply *reply, void *arg)
{
	*(size_t *)arg = reply->n_containers;
}

/* DESIGN.md D10: a node without a runtime is ready without one, and has no containers. */
static void a_node_without_a_runtime_is_ready(void **state)
{
	const Berth__Node__V1__HealthWaitReadyRequest wait =
		BERTH__NODE__V1__HEALTH_WAIT_READY_REQUEST__INIT;
	const Berth__Node__V1__ContainerListRequest list =
		BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct rig *rig = *state;
	size_t count = 99;
	bool ok = false;
	struct err err;
	struct rpc rpc = rpc_to(rig->client, &berth__node__v1__health__descriptor,
				deadline_in_ms(5000), &err);

	berth__node__v1__health__wait_ready(&rpc.base, &wait, on_health, &ok);
	assert_int_equal(rpc.result, 0);
	assert_true(ok);
	rpc = rpc_to(rig->client, &berth__node__v1__containers__descriptor, deadline_in_ms(5000),
		     &err);
	berth__node__v1__containers__list(&rpc.base, &list, on_containers, &count);
	assert_int_equal(rpc.result, 0);
	assert_int_equal(count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_configuration_is_checked_and_reloaded),
		T(the_same_again_changes_nothing),
		T(a_configuration_haproxy_was_not_told_of_is_told_next_time),
		T(a_refused_configuration_leaves_the_old_one),
		cmocka_unit_test_setup_teardown(other_nodes_are_no_balancers, set_up_worker,
						tear_down),
		T(a_node_without_a_runtime_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
