#include "controller/cli/redact.h"

#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void assert_json(const char *from, const char *wanted)
{
	struct json_object *value = json_tokener_parse(from);

	assert_non_null(value);
	redact_json(value);
	assert_string_equal(json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE),
			    wanted);
	json_object_put(value);
}

/* CN-252 CN-027: an environment is full of secrets; what Berth set itself helps to understand. */
static void environments_lose_their_values(void **state)
{
	(void)state;
	assert_json(
		"{\"Config\":{\"Env\":[\"PATH=/bin\",\"AWS_KEY=abc\",\"BERTH_NODE=n\",\"X=\"]}}",
		"{\"Config\":{\"Env\":[\"PATH=/bin\",\"AWS_KEY=***\",\"BERTH_NODE=n\","
		"\"X=***\"]}}");
	assert_json("{\"CreateCommand\":[\"podman\",\"run\",\"--env=HTTPS_PROXY=http://a:b@c\","
		    "\"--name=n\",\"--label=io.berth.cluster=c\"]}",
		    "{\"CreateCommand\":[\"podman\",\"run\",\"--env=HTTPS_PROXY=***\",\"--name=n\","
		    "\"--label=io.berth.cluster=c\"]}");
}

static void passwords_go_wherever_they_stand(void **state)
{
	(void)state;
	assert_json("[{\"a\":{\"HttpProxy\":\"http://bob:pw@proxy:3128/\",\"regPassword\":\"pw\","
		    "\"AuthToken\":\"t\"},\"n\":1,\"ok\":[\"http://host/a@b\",true,null]}]",
		    "[{\"a\":{\"HttpProxy\":\"http://***@proxy:3128/\",\"regPassword\":\"***\","
		    "\"AuthToken\":\"***\"},\"n\":1,\"ok\":[\"http://host/a@b\",true,null]}]");
}

/* S11 */
static void variables_lose_secret_values_only(void **state)
{
	static const char *const cases[][2] = {
		{ "https_proxy=http://u:p@proxy:3128", "https_proxy=***" },
		{ "DB_PASSWORD=a=b", "DB_PASSWORD=***" },
		{ "TIER=front", "TIER=front" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup_free char *shown = redact_variable(cases[i][0]);

		assert_string_equal(shown, cases[i][1]);
	}
}

static void text_loses_only_passwords(void **state)
{
	static const struct {
		const char *from, *wanted;
	} cases[] = {
		{ "", "" },
		{ "no url // here", "no url // here" },
		{ "GET https://u:p@h/x and http://h2/", "GET https://***@h/x and http://h2/" },
		{ "//a@b//c@d", "//***@b//***@d" },
		{ "mail a@b", "mail a@b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup_free char *clean = redact_text(cases[i].from);

		assert_string_equal(clean, cases[i].wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(environments_lose_their_values),
		cmocka_unit_test(passwords_go_wherever_they_stand),
		cmocka_unit_test(variables_lose_secret_values_only),
		cmocka_unit_test(text_loses_only_passwords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
