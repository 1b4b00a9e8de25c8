#include "agent/runtime/cri/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint32_t pid_of(const char *key, const char *json)
{
	Runtime__V1__PodSandboxStatusResponse from = RUNTIME__V1__POD_SANDBOX_STATUS_RESPONSE__INIT;
	Runtime__V1__KeyValue pair = RUNTIME__V1__KEY_VALUE__INIT;
	Runtime__V1__KeyValue *pairs[] = { &pair };

	pair.key = (char *)key;
	pair.value = (char *)json;
	from.info = pairs;
	from.n_info = 1;
	return message_sandbox_pid(&from);
}

/* What users write into a pod (labels, names) is in the same JSON, deeper or as a text. */
static void a_sandboxes_process_is_the_outermost_pid(void **state)
{
	(void)state;
	assert_int_equal(pid_of("info", "{\"pid\":1234,\"processStatus\":\"running\"}"), 1234);
	assert_int_equal(pid_of("info", "{ \"a\": {\"pid\": 1}, \"pid\" : 77 }"), 77);
	assert_int_equal(pid_of("info", "{\"l\":\"\\\"pid\\\":1\",\"pid\":78}"), 78);
	assert_int_equal(pid_of("info", "{\"l\":\"\\\\\",\"pid\":79}"), 79);
	assert_int_equal(pid_of("info", "{\"x\":\"pid\",\"c\":[{\"pid\":5}]}"), 0);
	assert_int_equal(pid_of("info", "{\"pid"), 0);
	assert_int_equal(pid_of("info", "{\"a\\"), 0);
	assert_int_equal(pid_of("info", ""), 0);
	assert_int_equal(pid_of("other", "{\"pid\":1234}"), 0);
}

/* NS-070 */
static void images_keep_all_their_names(void **state)
{
	__attribute__((cleanup(cleanup_arena))) struct arena arena = { 0 };
	Runtime__V1__ListImagesResponse from = RUNTIME__V1__LIST_IMAGES_RESPONSE__INIT;
	Runtime__V1__Image one = RUNTIME__V1__IMAGE__INIT;
	Runtime__V1__Image none = RUNTIME__V1__IMAGE__INIT;
	Runtime__V1__Image *images[] = { &one, &none };
	char *tags[] = { (char *)"a:1", (char *)"a:2" };
	struct runtime_image *list;
	size_t count;

	(void)state;
	one.id = (char *)"sha256:1";
	one.repo_tags = tags;
	one.n_repo_tags = 2;
	one.size = 5;
	from.images = images;
	from.n_images = 2;
	list = message_to_images(&arena, &from, &count);
	assert_int_equal(count, 2);
	assert_string_equal(list[0].id, "sha256:1");
	assert_int_equal(list[0].tag_count, 2);
	assert_string_equal(list[0].tags[1], "a:2");
	assert_int_equal(list[0].size_bytes, 5);
	assert_string_equal(list[1].id, "");
	assert_int_equal(list[1].tag_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sandboxes_process_is_the_outermost_pid),
		cmocka_unit_test(images_keep_all_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
