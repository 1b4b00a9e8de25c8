/*
 * One suite, every provider: what provider.h promises. It walks the registry, so that a new provider is
 * tested by existing. What cannot run here is skipped with its reason.
 */
#include "controller/exec/exec.h"
#include "controller/provider/provider.h"
#include "tests/support/control.h"
#include "tests/support/dockerd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The tests' own dockerd, and why there is none. */
static struct dockerd *dockerd;
static const char *no_dockerd = "dockerd was not started";

static const char *image_name(void)
{
	const char *given = getenv("BERTH_TEST_IMAGE");

	return given ? given : "localhost/berth-node:latest";
}

struct rig {
	const char *name; /* of the provider */
	char *dir;
	char cluster[32];
	char node[48];
	char run_dir[128];
	struct provider *p;
	const char *why_not; /* the reason to skip; NULL: it runs */
	struct node_spec spec;
	const char *subnet6;
	int mtu;
};

static struct deadline soon(void)
{
	return deadline_in_ms(60000);
}

/* Plans by 'fill' hold one step; carries it out. */
static int run_last(struct rig *rig, struct plan *plan, struct err *err)
{
	int rc;

	assert_true(plan->count > 0);
	rc = provider_run(rig->p, plan_last(plan), soon(), err);
	plan_release(plan);
	return rc;
}

static int image(struct rig *rig, const char *name, struct err *err)
{
	struct plan plan = { 0 };

	assert_int_equal(provider_plan_image(rig->p, name, &plan, err), 0);
	return run_last(rig, &plan, err);
}

static int network(struct rig *rig, const char *subnet, struct err *err)
{
	struct plan plan = { 0 };

	assert_int_equal(provider_plan_network(rig->p,
					       &(struct network_spec){ .cluster = rig->cluster,
								       .name = rig->cluster,
								       .subnet = subnet,
								       .subnet6 = rig->subnet6,
								       .mtu = rig->mtu },
					       &plan, err),
			 0);
	return run_last(rig, &plan, err);
}

static int create(struct rig *rig, struct err *err)
{
	struct plan plan = { 0 };

	assert_int_equal(provider_plan_create(rig->p, &rig->spec, &plan, err), 0);
	return run_last(rig, &plan, err);
}

static int act(struct rig *rig, enum step_action action, struct err *err)
{
	struct plan plan = { 0 };

	assert_int_equal(provider_plan_act(rig->p, action, rig->node, 5, &plan, err), 0);
	return run_last(rig, &plan, err);
}

static int network_delete(struct rig *rig, struct err *err)
{
	struct plan plan = { 0 };

	assert_int_equal(provider_plan_network_delete(rig->p, rig->cluster, &plan, err), 0);
	return run_last(rig, &plan, err);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->name = *state;
	rig->dir = control_scratch();
	setenv("BERTH_FAKE_DIR", rig->dir, 1);
	snprintf(rig->cluster, sizeof(rig->cluster), "conf-%ld", (long)getpid());
	snprintf(rig->node, sizeof(rig->node), "%s-a", rig->cluster);
	snprintf(rig->run_dir, sizeof(rig->run_dir), "%s/run", rig->dir);
	assert_int_equal(mkdir(rig->run_dir, 0700), 0);
	rig->subnet6 = "";
	rig->spec = (struct node_spec){
		.name = rig->node,
		.cluster = rig->cluster,
		.role = NODE_CONTROL_PLANE,
		.index = 3,
		.image = image_name(),
		.ip = "192.168.241.4",
		.network = rig->cluster,
		.run_dir = rig->run_dir,
		.agent_port = -1,
	};
	if (strcmp(rig->name, "docker") == 0 && !dockerd)
		rig->why_not = no_dockerd;
	else if (provider_open(rig->name, NULL, &rig->p, &err) < 0)
		rig->why_not = "its program is not installed";
	else if (image(rig, image_name(), &err) < 0)
		rig->why_not = "there is no node image (make image)";
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	struct err err;

	if (rig->p && !rig->why_not) {
		act(rig, STEP_CONTAINER_DELETE, &err);
		network_delete(rig, &err);
	}
	provider_close(rig->p);
	control_scratch_remove(rig->dir);
	free(rig);
	return 0;
}

static void skip_unless_possible(const struct rig *rig)
{
	if (!rig->why_not)
		return;
	print_message("skipped: %s: %s\n", rig->name, rig->why_not);
	skip();
}

static enum node_state state_of(struct rig *rig)
{
	struct node_list list;
	const struct node *node;
	enum node_state state;
	struct err err;

	assert_int_equal(provider_list(rig->p, rig->cluster, soon(), &list, &err), 0);
	node = node_list_find(&list, rig->node);
	assert_non_null(node);
	state = node->state;
	node_list_release(&list);
	return state;
}

static void make(struct rig *rig)
{
	struct err err;

	if (network(rig, "192.168.241.0/24", &err) < 0 || create(rig, &err) < 0)
		fail_msg("%s", err.msg);
}

static void node_is_listed_as_it_was_asked_for(void **state)
{
	struct rig *rig = *state;
	struct node_list list;
	const struct node *node;
	struct err err;

	skip_unless_possible(rig);
	make(rig);
	assert_int_equal(provider_list(rig->p, rig->cluster, soon(), &list, &err), 0);
	assert_int_equal(list.count, 1);
	node = list.items[0];
	assert_string_equal(node->name, rig->node);
	assert_string_equal(node->cluster, rig->cluster);
	assert_string_equal(node->provider, rig->name);
	assert_int_equal(node->role, NODE_CONTROL_PLANE);
	assert_int_equal(node->state, NODE_RUNNING);
	assert_int_equal(node->index, 3);
	assert_string_equal(node->ip, "192.168.241.4");
	assert_string_equal(node->image, image_name());
	assert_string_equal(node->run_dir, rig->run_dir);
	node_list_release(&list);
}

/* CN-180 CN-193 CN-200 */
static void node_stops_starts_and_is_killed(void **state)
{
	struct rig *rig = *state;
	struct err err;

	skip_unless_possible(rig);
	make(rig);
	assert_int_equal(act(rig, STEP_CONTAINER_STOP, &err), 0);
	assert_int_equal(state_of(rig), NODE_STOPPED);
	assert_int_equal(act(rig, STEP_CONTAINER_STOP, &err), 0);
	assert_int_equal(act(rig, STEP_CONTAINER_KILL, &err), 0);
	assert_int_equal(act(rig, STEP_CONTAINER_START, &err), 0);
	assert_int_equal(act(rig, STEP_CONTAINER_START, &err), 0);
	assert_int_equal(state_of(rig), NODE_RUNNING);
	assert_int_equal(act(rig, STEP_CONTAINER_KILL, &err), 0);
	assert_int_equal(state_of(rig), NODE_STOPPED);
}

/* CN-210 CN-212 CN-061 */
static void delete_leaves_nothing_and_may_be_repeated(void **state)
{
	struct rig *rig = *state;
	struct network_list networks;
	struct node_list list;
	struct err err;

	skip_unless_possible(rig);
	make(rig);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(act(rig, STEP_CONTAINER_DELETE, &err), 0);
		assert_int_equal(network_delete(rig, &err), 0);
	}
	assert_int_equal(provider_list(rig->p, rig->cluster, soon(), &list, &err), 0);
	assert_int_equal(list.count, 0);
	node_list_release(&list);
	assert_int_equal(provider_networks(rig->p, soon(), &networks, &err), 0);
	assert_null(network_list_find(&networks, rig->cluster));
	network_list_release(&networks);
}

/* CN-292 CN-142 */
static void second_of_a_name_is_a_conflict_and_harms_nothing(void **state)
{
	struct rig *rig = *state;
	struct err err;

	skip_unless_possible(rig);
	make(rig);
	assert_int_equal(network(rig, "192.168.242.0/24", &err), -1);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_string_equal(err.reason, "NETWORK_EXISTS");
	assert_int_equal(create(rig, &err), -1);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_string_equal(err.reason, "NAME_IN_USE");
	assert_int_equal(state_of(rig), NODE_RUNNING);
}

/* CN-057 */
static void overlapping_subnet_is_taken(void **state)
{
	struct rig *rig = *state;
	char other[48];
	struct plan plan = { 0 };
	struct err err;

	skip_unless_possible(rig);
	snprintf(other, sizeof(other), "%s-other", rig->cluster);
	assert_int_equal(network(rig, "192.168.241.0/24", &err), 0);
	assert_int_equal(provider_plan_network(rig->p,
					       &(struct network_spec){ .cluster = other,
								       .name = other,
								       .subnet = "192.168.241.0/24",
								       .subnet6 = "" },
					       &plan, &err),
			 0);
	assert_int_equal(run_last(rig, &plan, &err), -1);
	assert_string_equal(err.reason, "SUBNET_TAKEN");
}

static void network_is_listed_with_its_owner(void **state)
{
	struct rig *rig = *state;
	struct network_list networks;
	const struct network *found;
	struct err err;

	skip_unless_possible(rig);
	assert_int_equal(network(rig, "192.168.241.0/24", &err), 0);
	assert_int_equal(provider_networks(rig->p, soon(), &networks, &err), 0);
	found = network_list_find(&networks, rig->cluster);
	assert_non_null(found);
	assert_string_equal(found->subnet, "192.168.241.0/24");
	assert_string_equal(found->cluster, rig->cluster);
	network_list_release(&networks);
}

static void absent_image_is_not_found(void **state)
{
	struct rig *rig = *state;
	struct err err;

	skip_unless_possible(rig);
	assert_int_equal(image(rig, "localhost/berth-missing:1", &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "IMAGE_NOT_FOUND");
	assert_true(strlen(err.advice) > 0);
}

static void engine_names_its_version(void **state)
{
	struct rig *rig = *state;
	struct engine_info info;
	struct err err;

	skip_unless_possible(rig);
	assert_int_equal(provider_info(rig->p, soon(), &info, &err), 0);
	assert_true(info.version[0] >= '0' && info.version[0] <= '9');
}

/* CN-250 CN-251: for messages when a node does not come up. */
static void console_is_there_and_of_nothing_empty(void **state)
{
	struct rig *rig = *state;
	struct deadline by = deadline_in_ms(20000);
	char *tail;

	skip_unless_possible(rig);
	tail = provider_console_tail(rig->p, rig->node, soon());
	assert_string_equal(tail, "");
	free(tail);
	make(rig);
	do {
		tail = provider_console_tail(rig->p, rig->node, soon());
		if (*tail || !provider_has_agents(rig->p))
			break;
		free(tail);
		poll(NULL, 0, 50);
	} while (!deadline_is_over(by));
	assert_int_equal(*tail != '\0', provider_has_agents(rig->p));
	assert_null(strchr(tail, '\x1b'));
	free(tail);
}

/* What the engine itself says of the node; both engines know these words. Caller frees. */
static char *engine_says(const struct rig *rig, const char *format)
{
	struct exec_options options = { .by = soon() };
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	struct err err;

	strv_add(&argv, rig->name);
	strv_add(&argv, "inspect");
	strv_addf(&argv, "--format=%s", format);
	strv_add(&argv, rig->node);
	assert_int_equal(exec_run(&argv, &options, &result, &err), 0);
	assert_int_equal(result.exit_code, 0);
	return text_take(&result.out);
}

/* CN-020 CN-021 CN-022 CN-023: as the engine has told that it can. */
static void limits_are_the_engines(void **state)
{
	struct rig *rig = *state;
	struct engine_info info;
	char expected[64], *said;
	struct err err;

	skip_unless_possible(rig);
	assert_int_equal(provider_info(rig->p, soon(), &info, &err), 0);
	provider_set_engine(rig->p, &info);
	rig->spec.memory_bytes = (int64_t)512 << 20;
	rig->spec.cpus_milli = 1500;
	make(rig);
	if (!provider_has_agents(rig->p))
		return;
	snprintf(expected, sizeof(expected), "%lld %lld %lld\n",
		 (long long)(info.memory_limit ? rig->spec.memory_bytes : 0),
		 (long long)(info.memory_limit && info.swap_limit ? rig->spec.memory_bytes
			     : info.memory_limit                  ? rig->spec.memory_bytes * 2
								  : 0),
		 (long long)(info.cpu_limit ? rig->spec.cpus_milli * 1000000 : 0));
	said = engine_says(rig, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} "
				"{{.HostConfig.NanoCpus}}");
	assert_string_equal(said, expected);
	free(said);
}

/* CN-032 CN-052 CN-056 CN-073 CN-075 */
static void network_and_node_have_both_families(void **state)
{
	struct rig *rig = *state;
	struct network_list networks;
	const struct network *found;
	struct node_list list;
	struct err err;

	skip_unless_possible(rig);
	rig->subnet6 = "fd00:c0f:1::/64";
	rig->mtu = 1400;
	rig->spec.ip6 = "fd00:c0f:1::4";
	make(rig);
	assert_int_equal(provider_networks(rig->p, soon(), &networks, &err), 0);
	found = network_list_find(&networks, rig->cluster);
	assert_non_null(found);
	assert_string_equal(found->subnet, "192.168.241.0/24");
	assert_string_equal(found->subnet6, "fd00:c0f:1::/64");
	if (provider_has_agents(rig->p))
		assert_int_equal(found->mtu, 1400);
	network_list_release(&networks);
	assert_int_equal(provider_list(rig->p, rig->cluster, soon(), &list, &err), 0);
	assert_string_equal(list.items[0]->ip, "192.168.241.4");
	if (provider_has_agents(rig->p))
		assert_string_equal(list.items[0]->ip6, "fd00:c0f:1::4");
	node_list_release(&list);
}

/* CN-295 */
static void what_is_not_there_cannot_start_or_stop(void **state)
{
	struct rig *rig = *state;
	struct err err;

	skip_unless_possible(rig);
	assert_int_equal(act(rig, STEP_CONTAINER_START, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(act(rig, STEP_CONTAINER_STOP, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static int start_engines(void **state)
{
	(void)state;
	dockerd = dockerd_start(&no_dockerd);
	if (dockerd && !dockerd_load(dockerd, image_name()))
		print_message("docker gets no image: podman has none\n");
	return 0;
}

static int stop_engines(void **state)
{
	(void)state;
	dockerd_stop(dockerd);
	return 0;
}

#define MAX_PROVIDERS 8

int main(void)
{
	static const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup_teardown(node_is_listed_as_it_was_asked_for, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(node_stops_starts_and_is_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(delete_leaves_nothing_and_may_be_repeated, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(second_of_a_name_is_a_conflict_and_harms_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(overlapping_subnet_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(network_is_listed_with_its_owner, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(absent_image_is_not_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(engine_names_its_version, set_up, tear_down),
		cmocka_unit_test_setup_teardown(console_is_there_and_of_nothing_empty, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(limits_are_the_engines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(network_and_node_have_both_families, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_there_cannot_start_or_stop, set_up,
						tear_down),
	};
	struct CMUnitTest tests[MAX_PROVIDERS * ARRAY_LEN(cases)];
	char names[ARRAY_LEN(tests)][96];
	const char *provider;
	size_t count = 0;

	for (size_t i = 0; i < MAX_PROVIDERS && (provider = provider_known(i)); i++) {
		for (size_t k = 0; k < ARRAY_LEN(cases); k++, count++) {
			snprintf(names[count], sizeof(names[count]), "%s: %s", provider,
				 cases[k].name);
			tests[count] = cases[k];
			tests[count].name = names[count];
			tests[count].initial_state = (void *)provider;
		}
	}
	/* cmocka's macro wants an array of its own size. */
	return _cmocka_run_group_tests("providers", tests, count, start_engines, stop_engines);
}
