/* What --dry-run prints of a plan. */
#include "controller/cli/plan_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static void fill(struct plan *plan)
{
	struct step *step = plan_add(plan, STEP_CONTAINER_CREATE, "n");

	assert_non_null(step);
	strv_add(&step->argv, "podman");
	strv_add(&step->argv, "--env=TIER");
	strv_add(&step->argv, "--env=https_proxy");
	strv_add(&step->env, "TIER=front row");
	strv_add(&step->env, "https_proxy=http://u:canary@proxy:3128");
	assert_non_null(plan_add(plan, STEP_WAIT_READY, "n"));
}

/* Caller frees. */
static char *printed(enum output_format format)
{
	cleanup_with(plan) struct plan plan = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct err err;

	assert_non_null(out);
	fill(&plan);
	assert_int_equal(plan_print(out, format, &plan, &err), 0);
	fclose(out);
	return text;
}

/* S11: a step's argv is as it will be executed; its environment is beside it, without secrets. */
static void json_has_the_environment_without_secrets(void **state)
{
	cleanup_free char *text = printed(OUTPUT_JSON);

	(void)state;
	assert_string_equal(text, "{\n"
				  "  \"steps\": [\n"
				  "    {\n"
				  "      \"id\": \"create/n\",\n"
				  "      \"node\": \"n\",\n"
				  "      \"action\": \"container-create\",\n"
				  "      \"argv\": [\n"
				  "        \"podman\",\n"
				  "        \"--env=TIER\",\n"
				  "        \"--env=https_proxy\"\n"
				  "      ],\n"
				  "      \"env\": [\n"
				  "        \"TIER=front row\",\n"
				  "        \"https_proxy=***\"\n"
				  "      ],\n"
				  "      \"after\": [\n"
				  "      ]\n"
				  "    },\n"
				  "    {\n"
				  "      \"id\": \"ready/n\",\n"
				  "      \"node\": \"n\",\n"
				  "      \"action\": \"wait-ready\",\n"
				  "      \"argv\": [\n"
				  "      ],\n"
				  "      \"env\": [\n"
				  "      ],\n"
				  "      \"after\": [\n"
				  "      ]\n"
				  "    }\n"
				  "  ]\n"
				  "}\n");
}

/* S11 */
static void text_is_a_shells_command_without_secrets(void **state)
{
	cleanup_free char *text = printed(OUTPUT_TABLE);

	(void)state;
	assert_string_equal(text, "container-create n\n"
				  "    env 'TIER=front row' 'https_proxy=***' podman --env=TIER "
				  "--env=https_proxy\n"
				  "wait-ready n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_the_environment_without_secrets),
		cmocka_unit_test(text_is_a_shells_command_without_secrets),
	};

	return cmocka_run_group_tests_name("plan_print", tests, NULL, NULL);
}
