/* From a config to a cluster, against a podman program that answers what each test tells it to. */
#include "controller/cluster/cluster.h"
#include "controller/cluster/store.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct rig {
	struct progress progress;
	struct text notes;
	int bound; /* of the ports of a node that is about to be made; -1: none is */
	char *dir;
	char *state;
	struct provider *podman;
	struct cluster_ctx ctx;
	struct cluster_config *config;
	struct create_options options; /* no wait: no agent is there */
};

/* Takes every published port as the engine would: each must be free now. */
static int bind_ports(const struct strv *argv)
{
	int bound = 0;

	for (size_t i = 0; i < argv->count; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET,
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int port, fd;

		if (sscanf(argv->items[i], "--publish=127.0.0.1:%d:", &port) != 1)
			continue;
		address.sin_port = htons((uint16_t)port);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		bound += bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
		close(fd);
	}
	return bound;
}

static void hear(void *arg, const struct progress_event *event)
{
	struct rig *rig = arg;

	if (event->kind == PROGRESS_NOTE)
		text_addf(&rig->notes, "%s\n", event->text);
	if (event->kind == PROGRESS_BEGIN && event->step->action == STEP_CONTAINER_CREATE)
		rig->bound = bind_ports(&event->step->argv);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->dir = control_scratch();
	rig->state = text_format("%s/state", rig->dir);
	control_fake_podman(rig->dir);
	control_write(rig->dir, "ps.out", "[]");
	control_write(rig->dir, "network-ls.out", "[]");
	assert_int_equal(provider_open("podman", &control_hybrid_host, &rig->podman, &err), 0);
	rig->ctx = (struct cluster_ctx){
		.provider = rig->podman, .state_dir = rig->state, .name = "c", .by = control_soon()
	};
	rig->progress = (struct progress){ hear, rig };
	rig->ctx.progress = &rig->progress;
	rig->bound = -1;
	rig->config = cluster_config_new();
	assert_non_null(rig->config);
	assert_int_equal(cluster_spec_check("c", NULL, rig->config, NULL, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	text_release(&rig->notes);
	cluster_config_free(rig->config);
	provider_close(rig->podman);
	control_fake_podman(NULL);
	control_scratch_remove(rig->dir);
	free(rig->state);
	free(rig);
	return 0;
}

static void add_port(struct rig *rig, int host_port)
{
	struct port_mapping *port = node_config_add_port(&rig->config->nodes[0]);

	assert_non_null(port);
	port->container_port = 80;
	port->host_port = host_port;
}

static char *log_of(struct rig *rig)
{
	return control_read(rig->dir, "log");
}

/* How often 'words' stand in the log. */
static int count(struct rig *rig, const char *words)
{
	cleanup_free char *log = log_of(rig);
	int found = 0;

	for (const char *s = log; (s = strstr(s, words)); s++)
		found++;
	return found;
}

/* DESIGN.md section 5: as few engine calls as possible. */
static void preparing_takes_three_calls_and_creating_three_more(void **state)
{
	struct rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	unsigned before = exec_count();
	struct err err;

	assert_int_equal(cluster_prepare_create(&rig->ctx, rig->config, &rig->options, &plan, &err),
			 0);
	assert_int_equal(exec_count(), before + 3);
	assert_false(control_exists(rig->state, "nodes"));
	assert_int_equal(cluster_apply(&rig->ctx, &plan, true, &err), 0);
	assert_int_equal(exec_count(), before + 6);
	assert_true(control_exists(rig->state, "nodes/c-control-plane.json"));
}

static void what_runs_is_what_was_planned(void **state)
{
	struct rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	assert_int_equal(cluster_prepare_create(&rig->ctx, rig->config, &rig->options, &plan, &err),
			 0);
	assert_int_equal(cluster_apply(&rig->ctx, &plan, true, &err), 0);
	for (size_t i = 0; i < plan.count; i++) {
		cleanup_free char *words = control_argv(&plan.steps[i]->argv);

		if (*words)
			assert_int_equal(count(rig, words + strlen("podman | ")), 1);
	}
}

/* CN-295 F26 */
static void engine_that_fails_fails_the_preparing(void **state)
{
	static const char *const calls[] = { "ps", "network-ls", "info" };
	struct rig *rig = *state;
	struct plan plan = { 0 };
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		cleanup_free char *rc = text_format("%s.1.rc", calls[i]);
		cleanup_free char *errs = text_format("%s.1.err", calls[i]);
		cleanup_free char *made = text_format("%s/%s.calls", rig->dir, calls[i]);

		remove(made);
		control_write(rig->dir, rc, "125");
		control_write(rig->dir, errs, "Cannot connect to Podman");
		assert_int_equal(cluster_prepare_create(&rig->ctx, rig->config, &rig->options,
							&plan, &err),
				 -1);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_string_equal(err.reason, "ENGINE_NOT_ANSWERING");
		assert_int_equal(plan.count, 0);
	}
	assert_int_equal(count(rig, "run | "), 0);
}

/* CN-096 CN-098: a port that we chose and somebody took in the meantime. */
static void port_of_our_choice_is_chosen_again(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_port(rig, 0);
	control_write(rig->dir, "run.1.rc", "126");
	control_write(
		rig->dir, "run.1.err",
		"Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:1: bind: address "
		"already in use");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), 0);
	assert_int_equal(count(rig, " | run | "), 2);
	assert_int_equal(count(rig, "--publish=127.0.0.1::80/tcp"), 0);
}

/* CN-098 */
static void port_of_the_users_choice_fails_with_its_number(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_port(rig, 18080);
	control_write(rig->dir, "run.rc", "126");
	control_write(rig->dir, "run.err",
		      "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:18080: bind: "
		      "address already in use");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "PORT_IN_USE");
	assert_non_null(strstr(err.msg, "18080"));
	assert_int_equal(count(rig, " | run | "), 1);
}

#define ONE_NODE                                                               \
	"[{\"Names\":[\"c-control-plane\"],\"State\":\"running\",\"Labels\":{" \
	"\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\",\"io.berth.index\":\"1\"}}]"
#define ITS_NETWORK                                                                    \
	"[{\"name\":\"c\",\"subnets\":[{\"subnet\":\"192.168.58.0/24\"}],\"labels\":{" \
	"\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\"}}]"

/* An address that podman never gave back (a create was killed) is passed over. */
static void address_in_use_makes_way_for_the_next(void **state)
{
	struct rig *rig = *state;
	struct node_config node = { .role = NODE_WORKER,
				    .name = (char *)"c-w",
				    .image = (char *)"i" };
	struct err err;

	control_write(rig->dir, "ps.out", ONE_NODE);
	control_write(rig->dir, "network-ls.out", ITS_NETWORK);
	control_write(rig->dir, "run.1.rc", "126");
	control_write(
		rig->dir, "run.1.err",
		"Error: IPAM error: requested ip address 192.168.58.3 is already allocated to "
		"container ID 376b");
	assert_int_equal(cluster_add_node(&rig->ctx, &node, &rig->options, &err), 0);
	assert_int_equal(count(rig, "--ip=192.168.58.3 |"), 1);
	assert_int_equal(count(rig, "--ip=192.168.58.4 |"), 1);
	assert_int_equal(count(rig, "--label=io.berth.index=3 |"), 1);
}

/* CN-243 CN-271: what another choice would not avoid is not tried again; what the engine lists is removed,
 * and looked for once more. */
static void failed_create_removes_what_the_engine_lists(void **state)
{
	struct rig *rig = *state;
	struct err err;

	control_write(rig->dir, "ps.2.out", ONE_NODE);
	control_write(rig->dir, "run.rc", "125");
	control_write(rig->dir, "run.err", "Error: the disk is on fire");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.msg, "podman: container-create 'c-control-plane': the disk is on "
				     "fire (exit code 125)");
	assert_int_equal(count(rig, "rm | --force | --volumes | --time=0 | -- | c-control-plane\n"),
			 1);
	assert_int_equal(count(rig, "ps | --all"), 3);
	assert_int_equal(count(rig, " | run | "), 1);
	assert_int_equal(
		count(rig, "network | prune | --force | --filter=label=io.berth.cluster=c"), 1);
	assert_false(control_exists(rig->state, "nodes/c-control-plane"));
}

/* A4: whatever is published is published on an address. */
static void nothing_is_published_without_an_address(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_port(rig, -1);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), 0);
	assert_int_equal(count(rig, "--publish="), 2);
	assert_int_equal(count(rig, "--publish=127.0.0.1:"), 2);
}

static void assert_noted(struct rig *rig, const char *words, int times)
{
	int found = 0;

	for (const char *at = text_str(&rig->notes); (at = strstr(at, words)); at++)
		found++;
	if (found != times)
		fail_msg("%d times \"%s\" in: %s", found, words, text_str(&rig->notes));
}

/* CN-074 */
static void dual_stack_goes_without_ipv6_where_there_is_none(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->config->ip_family = IP_FAMILY_DUAL;
	control_write(rig->dir, "network-create.1.rc", "125");
	control_write(rig->dir, "network-create.1.err", "Error: unknown flag: --ipv6");
	if (cluster_create(&rig->ctx, rig->config, &rig->options, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(count(rig, "network | create | "), 2);
	assert_int_equal(count(rig, " | --ipv6 | "), 1);
	assert_int_equal(count(rig, " | --ip6="), 0);
	assert_int_equal(count(rig, " | run | "), 1);
	assert_noted(rig, "the cluster has IPv4 alone", 1);
}

/* CN-074 */
static void cluster_of_ipv6_fails_where_there_is_none(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->config->ip_family = IP_FAMILY_V6;
	control_write(rig->dir, "network-create.rc", "125");
	control_write(rig->dir, "network-create.err", "Error: unknown flag: --ipv6");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "IPV6_UNAVAILABLE");
	assert_int_equal(count(rig, "network | create | "), 1);
	assert_int_equal(count(rig, " | run | "), 0);
}

#define OVERLAP "Error: subnet 192.168.49.0/24 is already used on the host or by another config"

/* CN-055 CN-074: which of the two was taken is not told. */
static void refused_subnets_of_both_families_are_left(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->config->ip_family = IP_FAMILY_DUAL;
	control_write(rig->dir, "network-create.1.rc", "125");
	control_write(rig->dir, "network-create.1.err", OVERLAP);
	if (cluster_create(&rig->ctx, rig->config, &rig->options, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(count(rig, " | --subnet=fc00:dd2f:f54b:4fdc::/64"), 1);
	assert_int_equal(count(rig, " | --subnet=fc00:"), 2);
	assert_int_equal(count(rig, "network | create | "), 2);
}

/* CN-055 CN-058 */
static void static_address_is_tried_once(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->options.allow_default_network = true;
	assert_int_equal(node_set(&rig->config->nodes[0].static_ip, "10.6.6.6", &err), 0);
	control_write(rig->dir, "network-create.rc", "125");
	control_write(rig->dir, "network-create.err", OVERLAP);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "SUBNET_TAKEN");
	assert_int_equal(count(rig, "network | create | "), 1);
	assert_int_equal(count(rig, "--subnet=10.6.6.0/24"), 1);
}

/* CN-058 */
static void without_a_network_the_engines_will_do_when_allowed(void **state)
{
	struct rig *rig = *state;
	struct err err;

	control_write(rig->dir, "network-create.rc", "125");
	control_write(rig->dir, "network-create.err", "Error: the bridge has fallen");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_int_equal(count(rig, " | run | "), 0);
	rig->options.allow_default_network = true;
	if (cluster_create(&rig->ctx, rig->config, &rig->options, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(count(rig, " | run | "), 1);
	assert_int_equal(count(rig, "--network="), 0);
	assert_noted(rig, "the engine's own network", 1);
}

/* CN-041: once, however often it is tried. */
static void what_the_engine_lacks_is_told_once(void **state)
{
	struct rig *rig = *state;
	struct err err;

	control_write(rig->dir, "info.out",
		      "{\"host\":{\"cgroupVersion\":\"v1\",\"os\":\"linux\"},"
		      "\"version\":{\"Version\":\"4.3.1\"}}");
	control_write(rig->dir, "network-create.1.rc", "125");
	control_write(rig->dir, "network-create.1.err", OVERLAP);
	rig->config->nodes[0].memory_bytes = (int64_t)4 << 30;
	if (cluster_create(&rig->ctx, rig->config, &rig->options, &err) < 0)
		fail_msg("%s", err.msg);
	assert_noted(rig, "warning: this host has cgroup v1", 1);
	assert_noted(rig, "--memory does not hold", 1);
	assert_int_equal(count(rig, "--memory="), 0);
}

/* CN-098: before anything is made. */
static void port_in_use_makes_nothing(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct err err;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	add_port(rig, ntohs(address.sin_port));
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "PORT_IN_USE");
	assert_int_equal(count(rig, "network | create | "), 0);
	assert_int_equal(count(rig, " | run | "), 0);
	close(fd);
}

/* CN-096: when a node is about to be made its ports are the engine's to take. */
static void ports_are_let_go_just_before_their_node_is_made(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_port(rig, 0);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), 0);
	assert_int_equal(rig->bound, 2);
}

/* CN-096: once, not until it works. */
static void ports_of_ours_are_chosen_again_once(void **state)
{
	struct rig *rig = *state;
	struct err err;

	control_write(rig->dir, "run.rc", "126");
	control_write(rig->dir, "run.err",
		      "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:1: bind: "
		      "address already in use");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "PORT_IN_USE");
	assert_int_equal(count(rig, " | run | "), 2);
}

/* CN-101 */
static void mount_source_must_exist_or_is_made_when_asked_for(void **state)
{
	struct rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct mount_config *mount = node_config_add_mount(&rig->config->nodes[0]);
	cleanup_free char *path = text_format("%s/new/place", rig->dir);
	struct err err;

	assert_int_equal(node_set(&mount->host_path, path, &err), 0);
	assert_int_equal(node_set(&mount->container_path, "/data", &err), 0);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "MOUNT_SOURCE_NOT_FOUND");
	assert_int_equal(count(rig, "network | create | "), 0);
	mount->create = true;
	assert_int_equal(cluster_prepare_create(&rig->ctx, rig->config, &rig->options, &plan, &err),
			 0);
	assert_false(control_exists(rig->dir, "new"));
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), 0);
	assert_true(control_exists(rig->dir, "new/place"));
}

/* From here on the engine is a service on another machine. */
static void move_away(struct rig *rig)
{
	struct err err;

	provider_close(rig->podman);
	setenv("CONTAINER_HOST", "tcp://far.example:1", 1);
	assert_int_equal(provider_open("podman", &control_hybrid_host, &rig->podman, &err), 0);
	unsetenv("CONTAINER_HOST");
	rig->ctx.provider = rig->podman;
	control_write(
		rig->dir, "info.out",
		"{\"host\":{\"cgroupVersion\":\"v2\",\"os\":\"linux\",\"serviceIsRemote\":true},"
		"\"version\":{\"Version\":\"4.3.1\"}}");
	control_write(rig->dir, "system.out",
		      "[{\"Name\":\"b\",\"URI\":\"tcp://far.example:1\",\"Default\":true}]");
}

/* CN-091 CN-094 CN-101: what this host has or lacks, a directory or a free port, says nothing of another. */
static void another_machine_is_not_judged_by_this_one(void **state)
{
	struct rig *rig = *state;
	struct mount_config *mount = node_config_add_mount(&rig->config->nodes[0]);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_ANY) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cleanup_free char *publish = NULL, *record = NULL;
	struct err err;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	add_port(rig, ntohs(address.sin_port));
	add_port(rig, 0);
	assert_int_equal(node_set(&mount->host_path, "/no/such/place", &err), 0);
	assert_int_equal(node_set(&mount->container_path, "/data", &err), 0);
	mount->create = true;
	move_away(rig);
	if (cluster_create(&rig->ctx, rig->config, &rig->options, &err) < 0)
		fail_msg("%s", err.msg);
	publish = text_format(" | --publish=0.0.0.0:%d:80/tcp | ", ntohs(address.sin_port));
	assert_int_equal(count(rig, publish), 1);
	assert_int_equal(count(rig, " | --publish=0.0.0.0::80/tcp"), 1);
	assert_int_equal(count(rig, " | --volume=/no/such/place:/data"), 1);
	assert_int_equal(access("/no/such/place", F_OK), -1);
	assert_noted(rig, "warning: the engine runs on 'far.example'", 1);
	assert_int_equal(count(rig, "/run/berth"), 0);
	assert_int_equal(count(rig, "run-dir"), 0);
	record = control_read(rig->state, "nodes/c-control-plane.json");
	assert_non_null(strstr(record, "\"runDir\":\"\""));
	assert_false(control_exists(rig->state, "nodes/c-control-plane"));
	close(fd);
}

static void agents_of_another_machine_are_not_published(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->options.agent_tls = true;
	move_away(rig);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "TLS_NOT_REMOTE");
	assert_int_equal(count(rig, "network | create | "), 0);
}

/* Both would have one directory, with the one socket in it. */
static void name_of_another_engines_node_is_taken(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *run_dir = text_format("%s/nodes/c-control-plane", rig->state);
	cleanup_with(node) struct node *node =
		node_new("c-control-plane", "c", NODE_CONTROL_PLANE, "docker", run_dir);
	struct err err;

	assert_int_equal(store_node_save(rig->state, node, &err), 0);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "NAME_IN_USE");
	assert_non_null(strstr(err.advice, "'berth delete cluster --name c --provider docker'"));
	assert_true(control_exists(rig->state, "nodes/c-control-plane.json"));
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(preparing_takes_three_calls_and_creating_three_more),
		RIGGED(what_runs_is_what_was_planned),
		RIGGED(engine_that_fails_fails_the_preparing),
		RIGGED(port_of_our_choice_is_chosen_again),
		RIGGED(port_of_the_users_choice_fails_with_its_number),
		RIGGED(address_in_use_makes_way_for_the_next),
		RIGGED(failed_create_removes_what_the_engine_lists),
		RIGGED(nothing_is_published_without_an_address),
		RIGGED(dual_stack_goes_without_ipv6_where_there_is_none),
		RIGGED(cluster_of_ipv6_fails_where_there_is_none),
		RIGGED(refused_subnets_of_both_families_are_left),
		RIGGED(static_address_is_tried_once),
		RIGGED(without_a_network_the_engines_will_do_when_allowed),
		RIGGED(what_the_engine_lacks_is_told_once),
		RIGGED(port_in_use_makes_nothing),
		RIGGED(ports_are_let_go_just_before_their_node_is_made),
		RIGGED(ports_of_ours_are_chosen_again_once),
		RIGGED(mount_source_must_exist_or_is_made_when_asked_for),
		RIGGED(another_machine_is_not_judged_by_this_one),
		RIGGED(agents_of_another_machine_are_not_published),
		RIGGED(name_of_another_engines_node_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
