#include "shared/base/log.h"

#include "shared/base/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What 'log_at' writes at 'level' when the program's level is 'current'. */
static void capture(enum log_level current, enum log_level level, char *ret, size_t size)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	ssize_t n;

	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	log_set_level(current);
	log_at(level, "word %d", 7);
	log_set_level(LOG_LEVEL_NORMAL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fileno(file), ret, size - 1, 0);
	assert_true(n >= 0);
	ret[n] = '\0';
	fclose(file);
}

static void levels_say_who_is_heard(void **state)
{
	static const struct {
		enum log_level current, level;
		const char *text;
	} cases[] = {
		{ LOG_LEVEL_NORMAL, LOG_LEVEL_NORMAL, "word 7\n" },
		{ LOG_LEVEL_NORMAL, LOG_LEVEL_DEBUG, "" },
		{ LOG_LEVEL_DEBUG, LOG_LEVEL_DEBUG, "word 7\n" },
		{ LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE, "" },
		{ LOG_LEVEL_TRACE, LOG_LEVEL_NORMAL, "word 7\n" },
		{ LOG_LEVEL_QUIET, LOG_LEVEL_NORMAL, "" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		capture(cases[i].current, cases[i].level, out, sizeof(out));
		assert_string_equal(out, cases[i].text);
	}
	assert_int_equal(log_get_level(), LOG_LEVEL_NORMAL);
}

static void version_is_three_numbers(void **state)
{
	int major, minor, patch, end = 0;

	(void)state;
	assert_int_equal(sscanf(version_number(), "%d.%d.%d%n", &major, &minor, &patch, &end), 3);
	assert_int_equal(version_number()[end], '\0');
	assert_true(strlen(version_commit()) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_say_who_is_heard),
		cmocka_unit_test(version_is_three_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
