/* Docker's own configuration in a scratch directory, the environment as a table. */
#include "controller/cluster/proxy.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define CONFIG                                                                                \
	"{\"currentContext\":\"far\",\"proxies\":{\"default\":{\"httpProxy\":\"http://d:1\"," \
	"\"httpsProxy\":\"http://d:2\",\"noProxy\":\"d.example\"},"                           \
	"\"tcp://far:2375\":{\"httpsProxy\":\"http://f:2\"},"                                 \
	"\"tcp://near:2375\":{\"httpProxy\":\"http://127.0.0.1:3\"}}}"
/* SHA-256 of "far". */
#define FAR \
	"contexts/meta/512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868/meta.json"

struct rig {
	char *dir;
	struct kv_list env;
	struct strv warnings;
};

static struct kv_list environment;

static const char *lookup(const char *name)
{
	return kv_get(&environment, name);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->dir = control_scratch();
	assert_true(kv_add(&environment, "DOCKER_CONFIG", rig->dir));
	control_write(rig->dir, "config.json", CONFIG);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	control_scratch_remove(rig->dir);
	kv_release(&environment);
	environment = (struct kv_list){ 0 };
	kv_release(&rig->env);
	strv_release(&rig->warnings);
	free(rig);
	return 0;
}

static void set(const char *name, const char *value)
{
	assert_true(kv_add(&environment, name, value));
}

static void assert_proxies(struct rig *rig, const char *http, const char *https)
{
	const char *value;

	assert_true(proxy_read_docker(lookup, &rig->env, &rig->warnings));
	value = kv_get(&rig->env, "HTTP_PROXY");
	assert_string_equal(value ? value : "", http);
	value = kv_get(&rig->env, "HTTPS_PROXY");
	assert_string_equal(value ? value : "", https);
}

/* CN-112 */
static void default_entry_serves_the_usual_daemon(void **state)
{
	struct rig *rig = *state;

	set("DOCKER_CONTEXT", "default");
	assert_proxies(rig, "http://d:1", "http://d:2");
	assert_string_equal(kv_get(&rig->env, "NO_PROXY"), "d.example");
}

/* CN-112 */
static void entry_of_the_daemons_address_wins(void **state)
{
	struct rig *rig = *state;

	set("DOCKER_HOST", "tcp://far:2375");
	set("NO_PROXY", "intra");
	assert_true(proxy_read(lookup, &rig->env, &rig->warnings));
	assert_proxies(rig, "", "http://f:2");
	assert_string_equal(kv_get(&rig->env, "NO_PROXY"), "intra");
}

/* CN-112 */
static void daemon_of_another_address_has_the_default(void **state)
{
	set("DOCKER_HOST", "tcp://elsewhere:2375");
	assert_proxies(*state, "http://d:1", "http://d:2");
}

/* CN-112: the context's name is hashed for its path. */
static void context_names_the_daemon(void **state)
{
	struct rig *rig = *state;

	control_write(rig->dir, FAR,
		      "{\"Name\":\"far\",\"Endpoints\":{\"docker\":{\"Host\":"
		      "\"tcp://far:2375\"}}}");
	assert_proxies(rig, "", "http://f:2");
}

/* CN-112 */
static void environment_wins_over_the_file(void **state)
{
	static const char *const names[] = { "HTTP_PROXY", "https_proxy" };
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		kv_release(&environment);
		environment = (struct kv_list){ 0 };
		set("DOCKER_CONFIG", rig->dir);
		set(names[i], "http://e:1");
		assert_proxies(rig, "", "");
	}
}

/* CN-113 */
static void loopback_proxy_is_left_out_with_a_warning(void **state)
{
	struct rig *rig = *state;

	set("DOCKER_HOST", "tcp://near:2375");
	assert_proxies(rig, "", "");
	assert_int_equal(rig->warnings.count, 1);
	assert_non_null(strstr(rig->warnings.items[0], "HTTP_PROXY"));
	assert_null(strstr(rig->warnings.items[0], "127.0.0.1"));
}

static void odd_files_say_nothing(void **state)
{
	static const char *const texts[] = { "",
					     "{",
					     "[]",
					     "{\"proxies\":7}",
					     "{\"proxies\":{\"default\":[]}}",
					     "{\"proxies\":{\"default\":{\"httpProxy\":7}}}",
					     "{\"currentContext\":7}" };
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		control_write(rig->dir, "config.json", texts[i]);
		assert_proxies(rig, "", "");
	}
	kv_release(&environment);
	environment = (struct kv_list){ 0 };
	assert_proxies(rig, "", "");
}

/* The file is in the home directory unless DOCKER_CONFIG says otherwise. */
static void file_is_looked_for_at_home(void **state)
{
	struct rig *rig = *state;

	kv_release(&environment);
	environment = (struct kv_list){ 0 };
	set("HOME", rig->dir);
	control_write(rig->dir, ".docker/config.json",
		      "{\"proxies\":{\"default\":{\"httpProxy\":\"http://h:1\"}}}");
	assert_proxies(rig, "http://h:1", "");
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(default_entry_serves_the_usual_daemon),
		RIGGED(entry_of_the_daemons_address_wins),
		RIGGED(daemon_of_another_address_has_the_default),
		RIGGED(context_names_the_daemon),
		RIGGED(environment_wins_over_the_file),
		RIGGED(loopback_proxy_is_left_out_with_a_warning),
		RIGGED(odd_files_say_nothing),
		RIGGED(file_is_looked_for_at_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
