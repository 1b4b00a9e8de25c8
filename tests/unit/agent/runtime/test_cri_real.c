/*
 * The backend "cri" against a real runtime: give its address, and for the pod's life an image that it
 * has, "localhost/berth/demo:1" unless told otherwise.
 *
 *	test_cri_real unix:///run/containerd/containerd.sock [IMAGE]
 */
#include "tests/support/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLOW_MS 60000

struct real {
	const char *address;
	const char *image;
	struct rt_rig *rig;
	unsigned pods;
	char uid[48]; /* a new one for each test: a name stays taken while its remains are there */
};

static int open_rig(void **state)
{
	struct real *real = *state;

	if (!real->address)
		return 0;
	real->rig = rt_open("cri", real->address);
	snprintf(real->uid, sizeof(real->uid), "berth-test-%d-%u", (int)getpid(), real->pods++);
	return 0;
}

static int close_rig(void **state)
{
	struct real *real = *state;

	if (real->rig)
		rt_close(real->rig);
	real->rig = NULL;
	return 0;
}

/* Skips, and says why, when there is no runtime to ask. */
static struct rt_rig *rig_of(void **state)
{
	struct real *real = *state;

	if (!real->address) {
		print_message("skipped: no runtime's address was given\n");
		skip();
	}
	return real->rig;
}

static void await(struct rt_rig *rig)
{
	rt_wait(rig, &rig->answer, SLOW_MS);
	if (rig->answer.err.code)
		fail_msg("%s", rig->answer.err.msg);
}

static void run(struct rt_rig *rig, const struct sandbox_request *req, char ret_id[80])
{
	memset(&rig->answer, 0, sizeof(rig->answer));
	runtime_run_sandbox(rig->rt, req, deadline_in_ms(SLOW_MS), rt_id, &rig->answer);
	await(rig);
	snprintf(ret_id, 80, "%.79s", rig->answer.text);
}

static void create(struct rt_rig *rig, const char *sandbox_id, const struct container_request *req,
		   const struct sandbox_request *sandbox, char ret_id[80])
{
	memset(&rig->answer, 0, sizeof(rig->answer));
	runtime_create_container(rig->rt, sandbox_id, req, sandbox, deadline_in_ms(SLOW_MS), rt_id,
				 &rig->answer);
	await(rig);
	snprintf(ret_id, 80, "%.79s", rig->answer.text);
}

static void the_runtime_tells_who_it_is(void **state)
{
	struct rt_rig *rig = rig_of(state);

	assert_int_equal(rt_get_info(rig), ERR_OK);
	print_message("runtime: %s\n", rig->answer.text);
	assert_non_null(strstr(rig->answer.text, " 1 "));
}

/* NS-104 */
static void what_is_not_there_is_not_found(void **state)
{
	struct rt_rig *rig = rig_of(state);

	assert_int_equal(rt_sandbox_status(rig, "0123456789ab"), ERR_NOT_FOUND);
	assert_int_equal(rt_status(rig, "0123456789ab"), ERR_NOT_FOUND);
	assert_non_null(strstr(rig->answer.err.msg, "0123456789ab"));
	assert_int_equal(rt_start(rig, "0123456789ab"), ERR_NOT_FOUND);
	assert_int_equal(rt_stop(rig, "0123456789ab", 0, 2000), ERR_NOT_FOUND);
	assert_int_equal(rt_remove(rig, "0123456789ab"), ERR_OK);
	assert_int_equal(rt_stop_sandbox(rig, "0123456789ab"), ERR_OK);
	assert_int_equal(rt_remove_sandbox(rig, "0123456789ab"), ERR_OK);
	assert_int_equal(rt_image_status(rig, "localhost/berth/never:1"), ERR_OK);
	assert_false(rig->answer.has_text);
}

static void look_at_sandbox(struct rt_rig *rig, const char *id, const char *uid)
{
	assert_int_equal(rt_sandbox_status(rig, id), ERR_OK);
	assert_true(rig->answer.items[0].ready);
	assert_string_equal(rig->answer.items[0].uid, uid);
	assert_string_equal(rig->answer.items[0].annotation_note, "line 1\nline 2");
	assert_true(rig->answer.items[0].created_ns > 0);
	assert_false(rig->answer.items[0].host_network);
	print_message("pod's address: %s\n", rig->answer.items[0].ip);
	assert_non_null(strchr(rig->answer.items[0].ip, '.'));

	assert_int_equal(rt_list_sandboxes(rig, NULL, uid), ERR_OK);
	assert_int_equal(rig->answer.item_count, 1);
	assert_string_equal(rig->answer.items[0].id, id);
	assert_string_equal(rig->answer.items[0].label_app, "two words % = x");
}

static void look_at_container(struct rt_rig *rig, const char *id, const char *sandbox_id,
			      const char *uid)
{
	char beginning[13];

	snprintf(beginning, sizeof(beginning), "%.12s", id);
	assert_int_equal(rt_list(rig, beginning, uid), ERR_OK);
	assert_int_equal(rig->answer.item_count, 1);
	assert_string_equal(rig->answer.items[0].id, id);
	assert_string_equal(rig->answer.items[0].sandbox_id, sandbox_id);
	assert_string_equal(rig->answer.items[0].uid, uid);
	assert_string_equal(rig->answer.items[0].name, "app");
	assert_int_equal(rig->answer.items[0].state, RUNTIME_RUNNING);

	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_RUNNING);
	assert_true(rig->answer.items[0].started_ns > 0);
	assert_int_equal(rig->answer.items[0].finished_ns, 0);
	assert_string_equal(rig->answer.items[0].annotation_note, "a=b c");
}

/* PS-042, PS-045 */
static void a_pod_lives_its_whole_life(void **state)
{
	struct real *real = *state;
	struct rt_rig *rig = rig_of(state);
	struct container_request req;
	struct sandbox_request pod;
	char sandbox[80];
	char id[80];

	rt_sandbox_request(&pod, real->uid, 1);
	rt_container_request(&req, real->uid, "app", real->image);
	assert_int_equal(rt_image_status(rig, real->image), ERR_OK);
	assert_true(rig->answer.has_text);
	free(req.image_ref);
	req.image_ref = strdup(rig->answer.text);
	req.cpu_shares = 2;
	req.memory_bytes = 64 << 20;
	req.readonly_rootfs = true;
	req.no_new_privs = true;
	strv_add(&req.capabilities_drop, "ALL");

	run(rig, &pod, sandbox);
	look_at_sandbox(rig, sandbox, real->uid);
	create(rig, sandbox, &req, &pod, id);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_CREATED);
	assert_int_equal(rt_start(rig, id), ERR_OK);
	look_at_container(rig, id, sandbox, real->uid);
	assert_int_equal(rt_remove(rig, id), ERR_FAILED_PRECONDITION);

	assert_int_equal(rt_stop(rig, id, 1, 20000), ERR_OK);
	assert_int_equal(rt_stop(rig, id, 1, 20000), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_EXITED);
	assert_true(rig->answer.items[0].finished_ns > 0);
	assert_int_equal(rt_remove(rig, id), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_NOT_FOUND);

	assert_int_equal(rt_stop_sandbox(rig, sandbox), ERR_OK);
	assert_int_equal(rt_sandbox_status(rig, sandbox), ERR_OK);
	assert_false(rig->answer.items[0].ready);
	assert_int_equal(rt_remove_sandbox(rig, sandbox), ERR_OK);
	assert_int_equal(rt_sandbox_status(rig, sandbox), ERR_NOT_FOUND);
	container_request_release(&req);
	sandbox_request_release(&pod);
}

/* Host namespaces and a privileged container, by SIGKILL and with its sandbox. */
static void a_privileged_host_pod_goes_at_once(void **state)
{
	struct real *real = *state;
	struct rt_rig *rig = rig_of(state);
	struct container_request req;
	struct sandbox_request pod;
	char sandbox[80];
	char id[80];

	rt_sandbox_request(&pod, real->uid, 2);
	rt_container_request(&req, real->uid, "app", real->image);
	pod.privileged = true;
	pod.namespaces = (struct namespace_request){ .host_network = true, .host_pid = true };
	req.privileged = true;
	req.namespaces = pod.namespaces;
	run(rig, &pod, sandbox);
	assert_int_equal(rt_sandbox_status(rig, sandbox), ERR_OK);
	assert_true(rig->answer.items[0].host_network);
	create(rig, sandbox, &req, &pod, id);
	assert_int_equal(rt_start(rig, id), ERR_OK);
	assert_int_equal(rt_stop(rig, id, 0, 10000), ERR_OK);
	assert_int_equal(rt_remove_sandbox(rig, sandbox), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_NOT_FOUND);
	container_request_release(&req);
	sandbox_request_release(&pod);
}

#ifndef MANY
#define MANY 10
#endif

/* NS-243, smaller: as many as there are, each ignoring SIGTERM, take one grace and not one each. */
static void stops_go_side_by_side(void **state)
{
	static struct rt_answer answers[MANY];
	static char ids[MANY][80];
	struct real *real = *state;
	struct rt_rig *rig = rig_of(state);
	struct container_request req;
	struct sandbox_request pod;
	char sandbox[80];
	int64_t start_ms;

	rt_sandbox_request(&pod, real->uid, 0);
	rt_container_request(&req, real->uid, "stubborn", real->image);
	strv_add(&req.args, "ignore-term");
	run(rig, &pod, sandbox);
	for (size_t i = 0; i < MANY; i++) {
		req.attempt = (uint32_t)i;
		create(rig, sandbox, &req, &pod, ids[i]);
		assert_int_equal(rt_start(rig, ids[i]), ERR_OK);
	}
	start_ms = clock_now_ms();
	for (size_t i = 0; i < MANY; i++)
		runtime_stop_container(rig->rt, ids[i], 3, deadline_in_ms(SLOW_MS), rt_done,
				       &answers[i]);
	for (size_t i = 0; i < MANY; i++) {
		rt_wait(rig, &answers[i], SLOW_MS);
		assert_int_equal(answers[i].err.code, ERR_OK);
	}
	print_message("%d stops of 3 s each took %lld ms\n", MANY,
		      (long long)(clock_now_ms() - start_ms));
	assert_in_range(clock_now_ms() - start_ms, 2900, 3000 * MANY / 2);
	assert_int_equal(rt_status(rig, ids[0]), ERR_OK);
	assert_int_equal(rig->answer.items[0].exit_code, 137);
	assert_int_equal(rt_remove_sandbox(rig, sandbox), ERR_OK);
	container_request_release(&req);
	sandbox_request_release(&pod);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *what, struct rt_rig *rig, enum err_code (*call)(struct rt_rig *))
{
	static int64_t us[1000];

	for (size_t i = 0; i < ARRAY_LEN(us); i++) {
		int64_t start = clock_now_us();

		assert_int_equal(call(rig), ERR_OK);
		us[i] = clock_now_us() - start;
	}
	qsort(us, ARRAY_LEN(us), sizeof(us[0]), compare);
	print_message("%s: p50 %lld us, p99 %lld us\n", what, (long long)us[500],
		      (long long)us[990]);
	assert_true(us[500] < 20000);
}

static enum err_code list_all(struct rt_rig *rig)
{
	return rt_list(rig, NULL, NULL);
}

static void calls_are_quick(void **state)
{
	struct rt_rig *rig = rig_of(state);

	measure("get_info", rig, rt_get_info);
	measure("list_containers", rig, list_all);
	print_message("containers listed: %zu\n", rig->answer.item_count);
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, open_rig, close_rig, &real)

int main(int argc, char **argv)
{
	struct real real = {
		.address = argc > 1 ? argv[1] : NULL,
		.image = argc > 2 ? argv[2] : "localhost/berth/demo:1",
	};
	const struct CMUnitTest tests[] = {
		TEST(the_runtime_tells_who_it_is), TEST(what_is_not_there_is_not_found),
		TEST(a_pod_lives_its_whole_life),  TEST(a_privileged_host_pod_goes_at_once),
		TEST(stops_go_side_by_side),       TEST(calls_are_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
