#include "controller/node/node.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct node *add(struct node_list *list, const char *name)
{
	struct node *node = node_new(name, "c", NODE_WORKER, "fake", "/s/nodes/x");
	struct err err;

	assert_non_null(node);
	assert_int_equal(node_list_add(list, node, &err), 0);
	return node;
}

static void new_node_has_empty_texts_not_null(void **state)
{
	cleanup_with(node) struct node *node = node_new("n", "c", NODE_CONTROL_PLANE, "p", "/r");

	(void)state;
	assert_non_null(node);
	assert_string_equal(node->ip, "");
	assert_string_equal(node->image, "");
	assert_string_equal(node->engine_id, "");
	assert_string_equal(node->state_text, "");
	assert_int_equal(node->state, NODE_UNKNOWN);
	node_free(NULL);
}

static void list_sorts_and_finds_by_name(void **state)
{
	struct node_list list = { 0 };

	(void)state;
	node_list_sort(&list);
	add(&list, "b");
	add(&list, "a");
	node_list_sort(&list);
	assert_string_equal(list.items[0]->name, "a");
	assert_ptr_equal(node_list_find(&list, "b"), list.items[1]);
	assert_null(node_list_find(&list, "c"));
	node_list_release(&list);
	assert_int_equal(list.count, 0);
}

static void roles_and_states_have_names(void **state)
{
	enum node_role role;

	(void)state;
	assert_true(node_role_parse("control-plane", &role));
	assert_int_equal(role, NODE_CONTROL_PLANE);
	assert_true(node_role_parse(node_role_name(NODE_WORKER), &role));
	assert_int_equal(role, NODE_WORKER);
	assert_false(node_role_parse("master", &role));
	assert_string_equal(node_state_name(NODE_PAUSED), "paused");
	assert_string_equal(node_state_name((enum node_state)99), "unknown");
}

static void socket_path_must_fit_a_socket_address(void **state)
{
	cleanup_with(node) struct node *node = node_new("n", "c", NODE_WORKER, "p", "/run/n");
	char path[200], run_dir[100];
	struct client *client;
	struct err err;

	(void)state;
	assert_int_equal(node_socket_path(node, path, sizeof(path), &err), 0);
	assert_string_equal(path, "/run/n/agent.sock");
	/* 96 bytes and "/agent.sock" are 107 and its NUL: they fit exactly. */
	memset(run_dir, 'x', sizeof(run_dir));
	run_dir[0] = '/';
	run_dir[96] = '\0';
	assert_int_equal(node_set(&node->run_dir, run_dir, &err), 0);
	assert_int_equal(node_socket_path(node, path, sizeof(path), &err), 0);
	assert_int_equal(strlen(path), 107);
	run_dir[96] = 'x';
	run_dir[97] = '\0';
	assert_int_equal(node_set(&node->run_dir, run_dir, &err), 0);
	assert_int_equal(node_socket_path(node, path, sizeof(path), &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.reason, "STATE_DIR_TOO_LONG");
	assert_int_equal(node_client(node, &client, &err), -1);
}

static void client_is_opened_once(void **state)
{
	cleanup_with(node) struct node *node = node_new("n", "c", NODE_WORKER, "p", "/run/n");
	struct client *one, *two;
	struct err err;

	(void)state;
	assert_int_equal(node_client(node, &one, &err), 0);
	assert_int_equal(node_client(node, &two, &err), 0);
	assert_ptr_equal(one, two);
}

static pthread_barrier_t together;

static int meet(struct node *node, void *arg, struct err *err)
{
	(void)arg;
	pthread_barrier_wait(&together);
	if (strcmp(node->name, "bad") == 0)
		return err_set(err, ERR_UNAVAILABLE, 0, "gone");
	return 0;
}

static void each_runs_all_at_once_and_collects_every_error(void **state)
{
	struct node_list list = { 0 };
	struct err errs[20];

	(void)state;
	for (int i = 0; i < 20; i++)
		add(&list, i == 7 ? "bad" : "good");
	pthread_barrier_init(&together, NULL, 20);
	assert_int_equal(node_each(&list, meet, NULL, errs), 1);
	pthread_barrier_destroy(&together);
	for (int i = 0; i < 20; i++)
		assert_int_equal(errs[i].code, i == 7 ? ERR_UNAVAILABLE : ERR_OK);
	assert_string_equal(errs[7].node, "bad");
	node_list_release(&list);
	assert_int_equal(node_each(&list, meet, NULL, errs), 0);
}

/* D7: an engine has to start a relay first; a socket is there or is not. */
static void relays_are_given_more_time(void **state)
{
	cleanup_with(node) struct node *far = node_new("n", "c", NODE_WORKER, "docker", "");
	cleanup_with(node) struct node *here = node_new("n", "c", NODE_WORKER, "docker", "/tmp");

	(void)state;
	strv_add(&far->relay, "relay");
	strv_add(&here->relay, "relay");
	assert_in_range(node_patience_ms(far, 2000), 10000, 30000);
	assert_int_equal(node_patience_ms(far, 60000), 60000);
	assert_int_equal(node_patience_ms(here, 2000), 2000);
	here->channel = NODE_CHANNEL_RELAY;
	assert_in_range(node_patience_ms(here, 2000), 10000, 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relays_are_given_more_time),
		cmocka_unit_test(new_node_has_empty_texts_not_null),
		cmocka_unit_test(list_sorts_and_finds_by_name),
		cmocka_unit_test(roles_and_states_have_names),
		cmocka_unit_test(socket_path_must_fit_a_socket_address),
		cmocka_unit_test(client_is_opened_once),
		cmocka_unit_test(each_runs_all_at_once_and_collects_every_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
