/* What the wrapper promises for every provider: which there are, and plans without an engine. */
#include "controller/provider/provider.h"

#include "controller/config/cluster_config.h"
#include "controller/provider/oci_cli.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void registry_ends_and_is_in_order_of_choice(void **state)
{
	(void)state;
	assert_string_equal(provider_known(0), "podman");
	assert_string_equal(provider_known(1), "docker");
	assert_string_equal(provider_known(2), "fake");
	assert_null(provider_known(3));
	assert_null(provider_known((size_t)-1));
}

/* The first that is installed, wherever it is. */
static void engine_that_is_there_is_chosen(void **state)
{
	char *dir = control_scratch(), *before = strdup(getenv("PATH"));
	cleanup_free char *docker = text_format("%s/docker", dir);
	cleanup_with(provider) struct provider *p = NULL;
	struct err err;

	(void)state;
	assert_int_equal(symlink("/bin/true", docker), 0);
	setenv("PATH", dir, 1);
	assert_int_equal(provider_open(NULL, &control_plain_host, &p, &err), 0);
	setenv("PATH", before, 1);
	assert_string_equal(provider_name(p), "docker");
	free(before);
	control_scratch_remove(dir);
}

/* --dry-run on a machine without an engine: nothing is there, and all can be planned. */
static void plans_need_no_engine(void **state)
{
	static const char *const names[] = { "podman", "docker", NULL };
	char *before = strdup(getenv("PATH"));
	const struct node_spec spec = {
		.name = "n",
		.cluster = "c",
		.index = 1,
		.image = "i",
		.ip = "",
		.network = "",
		.run_dir = "/r",
		.agent_port = -1,
	};

	(void)state;
	setenv("PATH", "/nowhere", 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cleanup_with(provider) struct provider *p = NULL;
		cleanup_with(plan) struct plan plan = { 0 };
		struct network_list networks;
		cleanup_with(strv) struct strv foreign = { 0 };
		unsigned spawns = exec_count();
		struct engine_info info;
		struct node_list list;
		struct err err;

		assert_int_equal(provider_open_to_plan(names[i], &control_plain_host, &p, &err), 0);
		assert_string_equal(provider_name(p), names[i] ? names[i] : "podman");
		assert_int_equal(provider_survey(p, control_soon(), &list, &foreign, &err), 0);
		assert_int_equal(list.count + foreign.count, 0);
		assert_int_equal(provider_networks(p, control_soon(), &networks, &err), 0);
		assert_int_equal(networks.count, 0);
		assert_int_equal(provider_plan_create(p, &spec, &plan, &err), 0);
		assert_int_equal(plan.count, 1);
		assert_int_equal(exec_count(), spawns);
		assert_int_equal(provider_info(p, control_soon(), &info, &err), -1);
		assert_string_equal(err.reason, "ENGINE_NOT_INSTALLED");
	}
	setenv("PATH", before, 1);
	free(before);
}

static void unknown_provider_cannot_plan_either(void **state)
{
	struct provider *p = NULL;
	struct err err;

	(void)state;
	assert_int_equal(provider_open_to_plan("lxd", &control_plain_host, &p, &err), -1);
	assert_string_equal(err.reason, "PROVIDER_UNKNOWN");
	assert_null(p);
}

/* CN-172: a question never waits longer than this, and no longer than it may. */
static void questions_are_bounded(void **state)
{
	(void)state;
	assert_in_range(deadline_left_ms(oci_ask_deadline(DEADLINE_NEVER)), 18000, 19000);
	assert_in_range(deadline_left_ms(oci_ask_deadline(deadline_in_ms(500))), 0, 500);
}

static void assert_address(const char *provider, const char *expected)
{
	cleanup_free char *address = provider_address(provider);

	assert_string_equal(address, expected);
}

/* CN-232: a socket is here, a host is elsewhere, and a name may be either. */
static void engines_address_is_known_without_asking_it(void **state)
{
	char *dir = control_scratch();

	(void)state;
	setenv("DOCKER_CONFIG", dir, 1);
	assert_address("docker", "");
	assert_address("podman", "");
	assert_address("fake", "");
	setenv("DOCKER_HOST", "unix:///run/docker.sock", 1);
	assert_address("docker", "");
	setenv("DOCKER_HOST", "ssh://u@far.example", 1);
	assert_address("docker", "ssh://u@far.example");
	assert_address("podman", "");
	unsetenv("DOCKER_HOST");
	control_write(dir,
		      "contexts/meta/"
		      "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868/meta.json",
		      "{\"Endpoints\":{\"docker\":{\"Host\":\"tcp://far.example:2375\"}}}");
	setenv("DOCKER_CONTEXT", "far", 1);
	assert_address("docker", "tcp://far.example:2375");
	unsetenv("DOCKER_CONTEXT");
	setenv("CONTAINER_CONNECTION", "far", 1);
	assert_address("podman", "connection:far");
	setenv("CONTAINER_HOST", "unix:///run/podman/podman.sock", 1);
	assert_address("podman", "");
	setenv("CONTAINER_HOST", "tcp://far.example:1", 1);
	assert_address("podman", "tcp://far.example:1");
	unsetenv("CONTAINER_HOST");
	unsetenv("CONTAINER_CONNECTION");
	unsetenv("DOCKER_CONFIG");
	control_scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry_ends_and_is_in_order_of_choice),
		cmocka_unit_test(engine_that_is_there_is_chosen),
		cmocka_unit_test(plans_need_no_engine),
		cmocka_unit_test(unknown_provider_cannot_plan_either),
		cmocka_unit_test(questions_are_bounded),
		cmocka_unit_test(engines_address_is_known_without_asking_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
