#include "controller/cli/progress.h"

#include "tests/support/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct step create_step = {
	.id = (char *)"create/w1",
	.node = (char *)"w1",
	.action = STEP_CONTAINER_CREATE,
};
static struct step network_step = {
	.id = (char *)"network",
	.node = (char *)"",
	.action = STEP_NETWORK_CREATE,
};

static const struct progress_event story[] = {
	{ .kind = PROGRESS_BEGIN, .step = &network_step, .text = "" },
	{ .kind = PROGRESS_DONE, .step = &network_step, .millis = 87, .text = "" },
	{ .kind = PROGRESS_BEGIN, .step = &create_step, .text = "" },
	{ .kind = PROGRESS_NOTE, .text = "using runc" },
	{ .kind = PROGRESS_FAILED, .step = &create_step, .millis = 1250, .text = "no \033 image" },
};

static void tell(FILE *out, void *opt)
{
	struct progress_view *view = progress_view_new(out, opt);

	assert_non_null(view);
	for (size_t i = 0; i < sizeof(story) / sizeof(story[0]); i++)
		progress_view_event(view, &story[i]);
	progress_view_free(view);
}

static char *told(struct options *opt)
{
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	tell(out, opt);
	fclose(out);
	return text;
}

static void plain_lines_where_there_is_no_terminal(void **state)
{
	struct options opt = { .progress = PROGRESS_AUTO };
	char *text = told(&opt);

	(void)state;
	assert_string_equal(text, "create the network ...\n"
				  "create the network done (87ms)\n"
				  "create w1 ...\n"
				  "using runc\n"
				  "create w1 failed (1.2s): no \\x1b image\n");
	free(text);
}

/* What runs is drawn below what has ended, and drawn again. */
static void steps_on_a_terminal(void **state)
{
	struct options opt = { .progress = PROGRESS_AUTO };
	char *text = cli_on_terminal("xterm", tell, &opt);

	(void)state;
	assert_string_equal(text, " * create the network ...\r\n"
				  "\033[1A\033[J + create the network  87ms\r\n"
				  " * create w1 ...\r\n"
				  "\033[1A\033[Jusing runc\r\n"
				  " * create w1 ...\r\n"
				  "\033[1A\033[J x create w1  1.2s: no \\x1b image\r\n");
	free(text);
	text = cli_on_terminal("dumb", tell, &opt);
	assert_null(strchr(text, '\033'));
	free(text);
}

static void one_json_object_a_line(void **state)
{
	struct options opt = { .progress = PROGRESS_JSON };
	char *text = told(&opt), *rest = text, *line;
	const char *events[] = { "begin", "done", "begin", "note", "failed" };
	size_t count = 0;

	(void)state;
	while ((line = strsep(&rest, "\n")) && *line) {
		struct json_object *object = json_tokener_parse(line);

		assert_non_null(object);
		assert_string_equal(json_object_get_string(json_object_object_get(object, "event")),
				    events[count++]);
		if (count == 3)
			assert_non_null(strstr(line, "\"step\":\"create/w1\","
						     "\"action\":\"container-create\""));
		json_object_put(object);
	}
	assert_int_equal(count, 5);
	free(text);
}

static void quiet_and_none_say_nothing(void **state)
{
	struct options quiet = { .progress = PROGRESS_JSON, .quiet = true };
	struct options none = { .progress = PROGRESS_NONE };
	char *text = told(&quiet);

	(void)state;
	assert_string_equal(text, "");
	free(text);
	text = told(&none);
	assert_string_equal(text, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lines_where_there_is_no_terminal),
		cmocka_unit_test(steps_on_a_terminal),
		cmocka_unit_test(one_json_object_a_line),
		cmocka_unit_test(quiet_and_none_say_nothing),
	};

	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
