/* What podman has said, and when it is asked again. */
#include "controller/provider/podman_stamp.h"
#include "controller/provider/provider.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ID       "4f1d0c77a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c"
#define DATABASE "storage/libpod/bolt_state.db"

struct rig {
	char *dir;
	char *conf;
	struct host_facts facts;
	struct provider *podman;
};

static void say_info(struct rig *rig, const char *version, const char *remote)
{
	cleanup_free char *info = text_format(
		"{\"host\":{\"os\":\"linux\",\"serviceIsRemote\":%s},"
		"\"store\":{\"graphRoot\":\"%s/storage\"},\"version\":{\"Version\":\"%s\"}}",
		remote, rig->dir, version);

	control_write(rig->dir, "info.out", info);
}

static void say_state(struct rig *rig, const char *state)
{
	cleanup_free char *ps =
		text_format("[{\"Names\":[\"c-worker\"],\"Id\":\"" ID
			    "\",\"State\":\"%s\",\"Labels\":{"
			    "\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\","
			    "\"io.berth.node\":\"c-worker\",\"io.berth.role\":\"worker\","
			    "\"io.berth.ip\":\"10.0.0.2\",\"io.berth.run-dir\":\"/r\"}}]",
			    state);

	control_write(rig->dir, "ps.out", ps);
}

static void open_podman(struct rig *rig)
{
	struct err err;

	assert_int_equal(provider_open("podman", &rig->facts, &rig->podman, &err), 0);
	provider_set_memory(rig->podman, rig->dir);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->dir = control_scratch();
	rig->conf = text_format("%s/containers.conf", rig->dir);
	rig->facts = control_plain_host;
	control_fake_podman(rig->dir);
	setenv("CONTAINERS_CONF", rig->conf, 1);
	say_info(rig, "4.3.1", "false");
	say_state(rig, "running");
	control_write(rig->dir, DATABASE, "... " ID " ...");
	open_podman(rig);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	provider_close(rig->podman);
	unsetenv("CONTAINERS_CONF");
	unsetenv("CONTAINER_HOST");
	control_fake_podman(NULL);
	control_scratch_remove(rig->dir);
	free(rig->conf);
	free(rig);
	return 0;
}

/* How many programs it took. */
static unsigned ask_info(struct rig *rig, const char *version)
{
	unsigned before = exec_count();
	struct engine_info info;
	struct err err;

	if (provider_info(rig->podman, control_soon(), &info, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(info.version, version);
	return exec_count() - before;
}

static unsigned ask_nodes(struct rig *rig, enum node_state expected)
{
	unsigned before = exec_count();
	struct node_list list;
	struct err err;

	if (provider_list(rig->podman, "c", control_soon(), &list, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0]->state, expected);
	node_list_release(&list);
	return exec_count() - before;
}

/* Until the database's last change is long enough ago for an answer to be kept. */
static void settle(struct rig *rig, enum node_state expected)
{
	struct deadline by = control_soon();

	ask_info(rig, "4.3.1");
	while (ask_nodes(rig, expected) > 0) {
		assert_false(deadline_is_over(by));
		poll(NULL, 0, 10);
	}
}

static void engine_is_asked_once_what_it_is_like(void **state)
{
	struct rig *rig = *state;
	char path[PATH_MAX];
	struct stat st;

	assert_int_equal(ask_info(rig, "4.3.1"), 1);
	assert_int_equal(ask_info(rig, "4.3.1"), 0);
	provider_close(rig->podman);
	open_podman(rig);
	assert_int_equal(ask_info(rig, "4.3.1"), 0);
	snprintf(path, sizeof(path), "%s/engine/podman-info", rig->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	say_info(rig, "4.3.2", "false");
	provider_set_memory(rig->podman, NULL);
	assert_int_equal(ask_info(rig, "4.3.2"), 1);
}

/* Whatever the file holds, the answer is the engine's. */
static void damaged_memory_is_no_memory(void **state)
{
	struct rig *rig = *state;
	char *good;
	size_t len;

	ask_info(rig, "4.3.1");
	good = control_read(rig->dir, "engine/podman-info");
	len = strlen(good);
	for (size_t cut = 0; cut < len; cut += 1 + cut / 8) {
		char *part = text_format("%.*s", (int)cut, good);

		control_write(rig->dir, "engine/podman-info", part);
		assert_int_equal(ask_info(rig, "4.3.1"), 1);
		free(part);
	}
	for (size_t at = 0; at < strcspn(good, "\n"); at++) {
		char *other = strdup(good);

		other[at] = 'x';
		control_write(rig->dir, "engine/podman-info", other);
		assert_int_equal(ask_info(rig, "4.3.1"), 1);
		free(other);
	}
	free(good);
}

static void change_configuration(struct rig *rig)
{
	control_write(rig->dir, "containers.conf", "[engine]\nruntime = \"crun\"\n");
}

static void change_configuration_again(struct rig *rig)
{
	control_write(rig->dir, "containers.conf", "[engine]\n");
}

static void change_program(struct rig *rig)
{
	char *copy = control_read("tests/fake", "podman"), path[PATH_MAX], *with;

	control_write(rig->dir, "bin/podman", copy);
	snprintf(path, sizeof(path), "%s/bin/podman", rig->dir);
	assert_int_equal(chmod(path, 0755), 0);
	with = text_format("%s/bin:%s", rig->dir, getenv("PATH"));
	setenv("PATH", with, 1);
	free(with);
	free(copy);
}

static void change_environment(struct rig *rig)
{
	setenv("STORAGE_DRIVER", "vfs", 1);
	(void)rig;
}

/* An hour and a minute. */
static void let_time_pass(struct rig *rig)
{
	char *kept = control_read(rig->dir, "engine/podman-info"), *rest;
	long long at = strtoll(kept + 2, &rest, 10);
	char *old = text_format("1 %lld%s", at - 3660, rest);

	control_write(rig->dir, "engine/podman-info", old);
	free(old);
	free(kept);
}

static void change_is_followed_by_one_question(void **state)
{
	static void (*const changes[])(struct rig *) = {
		change_configuration, change_configuration_again,
		change_program,       change_environment,
		let_time_pass,
	};
	struct rig *rig = *state;

	ask_info(rig, "4.3.1");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		changes[i](rig);
		assert_int_equal(ask_info(rig, "4.3.1"), 1);
		assert_int_equal(ask_info(rig, "4.3.1"), 0);
	}
	unsetenv("STORAGE_DRIVER");
}

/* What a session is granted, and what another machine does, changes without a trace here. */
static void users_and_services_are_asked_each_time(void **state)
{
	struct rig *rig = *state;

	provider_close(rig->podman);
	rig->facts.rootless = true;
	open_podman(rig);
	assert_int_equal(ask_info(rig, "4.3.1"), 1);
	assert_int_equal(ask_info(rig, "4.3.1"), 1);
	provider_close(rig->podman);

	rig->facts.rootless = false;
	setenv("CONTAINER_HOST", "unix:///run/elsewhere.sock", 1);
	say_info(rig, "4.3.1", "true");
	open_podman(rig);
	assert_int_equal(ask_info(rig, "4.3.1"), 1);
	assert_int_equal(ask_info(rig, "4.3.1"), 1);
	assert_false(control_exists(rig->dir, "engine/podman-info"));
}

/* Without a program while podman's database is the same, and true as soon as it is not. */
static void containers_are_listed_anew_when_the_database_changes(void **state)
{
	struct rig *rig = *state;

	settle(rig, NODE_RUNNING);
	say_state(rig, "exited");
	assert_int_equal(ask_nodes(rig, NODE_RUNNING), 0);
	control_write(rig->dir, DATABASE, "... " ID " ... exited");
	assert_int_equal(ask_nodes(rig, NODE_STOPPED), 1);
	settle(rig, NODE_STOPPED);
	control_write(rig->dir, "storage/libpod/db.sqlite", ID);
	assert_int_equal(ask_nodes(rig, NODE_STOPPED), 1);
	provider_set_memory(rig->podman, NULL);
	assert_int_equal(ask_nodes(rig, NODE_STOPPED), 1);
}

/* A file's time cannot tell a change of this moment from the next one. */
static void database_of_this_moment_is_not_trusted(void **state)
{
	struct rig *rig = *state;
	const struct timespec ahead[2] = { { .tv_nsec = UTIME_OMIT },
					   { .tv_sec = clock_wall_ns() / 1000000000 + 3600 } };
	char path[PATH_MAX];

	ask_info(rig, "4.3.1");
	snprintf(path, sizeof(path), "%s/" DATABASE, rig->dir);
	assert_int_equal(utimensat(AT_FDCWD, path, ahead, 0), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_nodes(rig, NODE_RUNNING), 1);
	assert_false(control_exists(rig->dir, "engine/podman-containers"));
}

/* A database that lacks a node is not the one that podman writes to. */
static void database_of_somebody_else_is_not_trusted(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *storage = text_format("%s/storage", rig->dir);
	struct node *node = node_new("c-worker", "c", NODE_WORKER, "podman", "/r");
	struct node_list list = { .items = &node, .count = 1 };
	struct err err;

	assert_non_null(node);
	assert_false(podman_has_nodes(storage, &list));
	assert_int_equal(node_set(&node->engine_id, ID, &err), 0);
	assert_true(podman_has_nodes(storage, &list));
	control_write(rig->dir, DATABASE, "4f1d0c77");
	assert_false(podman_has_nodes(storage, &list));
	list.count = 0;
	assert_false(podman_has_nodes(storage, &list));
	node_free(node);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(engine_is_asked_once_what_it_is_like),
		RIGGED(damaged_memory_is_no_memory),
		RIGGED(change_is_followed_by_one_question),
		RIGGED(users_and_services_are_asked_each_time),
		RIGGED(containers_are_listed_anew_when_the_database_changes),
		RIGGED(database_of_this_moment_is_not_trusted),
		RIGGED(database_of_somebody_else_is_not_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
