#include "controller/cluster/store.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int set_up(void **state)
{
	*state = control_scratch();
	return 0;
}

static int tear_down(void **state)
{
	control_scratch_remove(*state);
	return 0;
}

static void save(const char *dir, const char *name, const char *cluster)
{
	cleanup_free char *run_dir = store_run_dir(dir, name);
	cleanup_with(node) struct node *node =
		node_new(name, cluster, NODE_CONTROL_PLANE, "podman", run_dir);
	struct err err;

	assert_non_null(node);
	assert_int_equal(store_node_create(dir, name, &err), 0);
	assert_int_equal(store_node_save(dir, node, &err), 0);
}

static void what_is_saved_is_loaded(void **state)
{
	const char *dir = *state;
	cleanup_free char *run_dir = store_run_dir(dir, "c-a");
	struct node *node;
	struct err err;

	save(dir, "c-a", "c");
	assert_int_equal(store_node_load(dir, "c-a", &node, &err), 0);
	assert_string_equal(node->name, "c-a");
	assert_string_equal(node->cluster, "c");
	assert_int_equal(node->role, NODE_CONTROL_PLANE);
	assert_string_equal(node->provider, "podman");
	assert_string_equal(node->run_dir, run_dir);
	node_free(node);
}

static void run_directory_is_for_its_owner_alone(void **state)
{
	const char *dir = *state;
	cleanup_free char *run_dir = store_run_dir(dir, "c-a");
	struct stat st;
	struct err err;

	assert_int_equal(store_node_create(dir, "c-a", &err), 0);
	assert_int_equal(chmod(run_dir, 0755), 0);
	assert_int_equal(store_node_create(dir, "c-a", &err), 0);
	assert_int_equal(stat(run_dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void link_in_the_way_is_refused(void **state)
{
	const char *dir = *state;
	cleanup_free char *run_dir = store_run_dir(dir, "c-a");
	struct err err;

	assert_int_equal(store_node_create(dir, "c-b", &err), 0);
	assert_int_equal(symlink("/tmp", run_dir), 0);
	assert_int_equal(store_node_create(dir, "c-a", &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
}

static void rubbish_is_not_remembered(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{}",
		"null",
		"{\"name\":\"c-a\"}",
		"{\"name\":\"other\",\"cluster\":\"c\",\"role\":\"worker\",\"runDir\":\"/x\"}",
		"{\"name\":\"c-a\",\"cluster\":\"c\",\"role\":\"king\",\"runDir\":\"/x\"}",
		"{\"name\":\"c-a\",\"cluster\":\"c\",\"role\":\"worker\",\"runDir\":\"x\"}",
	};
	const char *dir = *state;
	struct node *node = NULL;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		control_write(dir, "nodes/c-a.json", texts[i]);
		assert_int_equal(store_node_load(dir, "c-a", &node, &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_null(node);
	}
}

/* I7: a name is never a path. */
static void names_do_not_leave_the_directory(void **state)
{
	const char *dir = *state;
	struct node *node = NULL;
	struct store_lock lock;
	struct err err;

	control_write(
		dir, "x.json",
		"{\"name\":\"../x\",\"cluster\":\"c\",\"role\":\"worker\",\"runDir\":\"/x\"}");
	control_write(dir, "nodes/y", "");
	assert_int_equal(store_node_load(dir, "../x", &node, &err), -1);
	assert_int_equal(store_node_delete(dir, "../x", &err), -1);
	assert_int_equal(store_lock_take(dir, "../x", &lock, &err), -1);
	assert_true(control_exists(dir, "x.json"));
}

static void delete_removes_sockets_too_and_absent_is_success(void **state)
{
	const char *dir = *state;
	cleanup_free char *run_dir = store_run_dir(dir, "c-a");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct err err;

	save(dir, "c-a", "c");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent.sock", run_dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(store_node_delete(dir, "c-a", &err), 0);
	assert_false(control_exists(dir, "nodes/c-a"));
	assert_false(control_exists(dir, "nodes/c-a.json"));
	assert_int_equal(store_node_delete(dir, "c-a", &err), 0);
	assert_int_equal(store_node_delete("/no/such/state", "c-a", &err), 0);
}

static void cluster_delete_takes_only_its_own(void **state)
{
	const char *dir = *state;
	struct err err;

	save(dir, "c-a", "c");
	save(dir, "c-b", "c");
	save(dir, "d-a", "d");
	assert_int_equal(store_cluster_delete(dir, "c", "podman", &err), 0);
	assert_false(control_exists(dir, "nodes/c-a"));
	assert_false(control_exists(dir, "nodes/c-b.json"));
	assert_true(control_exists(dir, "nodes/d-a"));
	assert_true(control_exists(dir, "nodes/d-a.json"));
	assert_int_equal(store_cluster_delete("/no/such/state", "c", "podman", &err), 0);
}

/* What somebody copied or wrote there is no node of ours, and does not keep the rest. */
static void cluster_delete_leaves_what_is_no_record(void **state)
{
	const char *dir = *state;
	struct err err;
	char *copy;

	save(dir, "c-a", "c");
	save(dir, "other", "d");
	copy = control_read(dir, "nodes/c-a.json");
	control_write(dir, "nodes/c-a (copy).json", copy);
	control_write(dir, "nodes/other.json", copy);
	control_write(dir, "nodes/.json", copy);
	free(copy);
	assert_int_equal(store_cluster_delete(dir, "c", "docker", &err), 0);
	assert_true(control_exists(dir, "nodes/c-a.json"));
	assert_int_equal(store_cluster_delete(dir, "c", "podman", &err), 0);
	assert_false(control_exists(dir, "nodes/c-a.json"));
	assert_true(control_exists(dir, "nodes/c-a (copy).json"));
	assert_true(control_exists(dir, "nodes/other"));
}

/* D7: a node on another machine has no directory here, which is not the same as not saying so. */
static void node_without_a_directory_is_remembered(void **state)
{
	const char *dir = *state;
	cleanup_with(node) struct node *node = node_new("c-a", "c", NODE_WORKER, "docker", "");
	struct node *loaded;
	struct err err;

	assert_int_equal(store_node_save(dir, node, &err), 0);
	assert_int_equal(store_node_load(dir, "c-a", &loaded, &err), 0);
	assert_string_equal(loaded->run_dir, "");
	node_free(loaded);
	control_write(dir, "nodes/c-a.json",
		      "{\"name\":\"c-a\",\"cluster\":\"c\",\"role\":\"worker\"}");
	assert_int_equal(store_node_load(dir, "c-a", &loaded, &err), -1);
}

static void each_machine_has_a_directory_of_its_own(void **state)
{
	cleanup_free char *here = store_engine_dir("/s", "");
	cleanup_free char *far = store_engine_dir("/s", "tcp://10.0.0.2:2375");
	cleanup_free char *odd = store_engine_dir("/s", "ssh://u@h/../..");

	(void)state;
	assert_string_equal(here, "/s");
	assert_string_equal(far, "/s/engines/tcp%3a%2f%2f10.0.0.2%3a2375");
	assert_string_equal(odd, "/s/engines/ssh%3a%2f%2fu%40h%2f..%2f..");
}

/* F29: the lock ends with its holder, however it ends, and leaves no file behind. */
static void lock_is_for_one_and_ends_with_its_process(void **state)
{
	const char *dir = *state;
	struct store_lock lock, second;
	int ends[2], status;
	struct err err;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (store_lock_take(dir, "c", &lock, &err) == 0 && write(ends[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(store_lock_take(dir, "c", &second, &err), -1);
	assert_string_equal(err.reason, "CLUSTER_BUSY");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(store_lock_take(dir, "c", &second, &err), 0);
	store_lock_release(&second);
	assert_false(control_exists(dir, "locks/c"));
	close(ends[0]);
	close(ends[1]);
}

static void state_directory_follows_the_option_then_the_environment(void **state)
{
	char *dir;

	(void)state;
	unsetenv("BERTH_STATE_DIR");
	dir = store_default_dir(NULL);
	if (geteuid() == 0)
		assert_string_equal(dir, "/var/lib/berth");
	free(dir);
	setenv("BERTH_STATE_DIR", "/e", 1);
	dir = store_default_dir(NULL);
	assert_string_equal(dir, "/e");
	free(dir);
	dir = store_default_dir("/o");
	assert_string_equal(dir, "/o");
	free(dir);
	unsetenv("BERTH_STATE_DIR");
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(what_is_saved_is_loaded),
		RIGGED(run_directory_is_for_its_owner_alone),
		RIGGED(link_in_the_way_is_refused),
		RIGGED(rubbish_is_not_remembered),
		RIGGED(names_do_not_leave_the_directory),
		RIGGED(delete_removes_sockets_too_and_absent_is_success),
		RIGGED(cluster_delete_takes_only_its_own),
		RIGGED(cluster_delete_leaves_what_is_no_record),
		RIGGED(node_without_a_directory_is_remembered),
		cmocka_unit_test(each_machine_has_a_directory_of_its_own),
		RIGGED(lock_is_for_one_and_ends_with_its_process),
		cmocka_unit_test(state_directory_follows_the_option_then_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
