#include "agent/service/balancer_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX 70

struct request {
	Berth__Node__V1__BalancerSetRequest req;
	Berth__Node__V1__BalancerBackend backends[MAX];
	Berth__Node__V1__BalancerBackend *pointers[MAX];
};

static void add(struct request *r, const char *name, const char *address, uint32_t port)
{
	Berth__Node__V1__BalancerBackend *b = &r->backends[r->req.n_backends];

	berth__node__v1__balancer_backend__init(b);
	b->name = (char *)name;
	b->address = (char *)address;
	b->port = port;
	r->pointers[r->req.n_backends++] = b;
}

static void init(struct request *r)
{
	memset(r, 0, sizeof(*r));
	berth__node__v1__balancer_set_request__init(&r->req);
	r->req.backends = r->pointers;
	r->req.listen_port = 6443;
}

/* CN-263: every backend is checked, IPv6 in brackets, both families where wanted. */
static void backends_stand_in_the_configuration(void **state)
{
	cleanup_with(text) struct text text = { 0 };
	struct request r;
	struct err err;

	(void)state;
	init(&r);
	add(&r, "c-control-plane", "10.1.0.2", 6443);
	add(&r, "c-control-plane2", "fd00::3", 7000);
	assert_int_equal(balancer_config(&r.req, &text, &err), 0);
	assert_non_null(strstr(text.data, "\n    bind 0.0.0.0:6443\n"));
	assert_non_null(strstr(text.data, "\n    server c-control-plane 10.1.0.2:6443\n"));
	assert_non_null(strstr(text.data, "\n    server c-control-plane2 [fd00::3]:7000\n"));
	assert_non_null(strstr(text.data, "default-server check "));
	text_release(&text);
	r.req.ipv6 = true;
	assert_int_equal(balancer_config(&r.req, &text, &err), 0);
	assert_non_null(strstr(text.data, "\n    bind [::]:6443 v4v6\n"));
}

static void assert_refused(struct request *r)
{
	cleanup_with(text) struct text text = { 0 };
	struct err err = { 0 };

	assert_int_equal(balancer_config(&r->req, &text, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.reason, "BALANCER_INVALID");
}

/* Nothing of the request becomes a line of its own. */
static void what_is_no_name_address_or_port_is_refused(void **state)
{
	static const struct {
		const char *name, *address;
		uint32_t port;
	} bad[] = {
		{ "a\n    bind *:1", "10.0.0.1", 1 },
		{ "a b", "10.0.0.1", 1 },
		{ "", "10.0.0.1", 1 },
		{ "a", "10.0.0.1 weight 0", 1 },
		{ "a", "", 1 },
		{ "a", "10.0.0.1\n", 1 },
		{ "a", "10.0.0.1", 0 },
		{ "a", "10.0.0.1", 65536 },
	};
	struct request r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		init(&r);
		add(&r, bad[i].name, bad[i].address, bad[i].port);
		assert_refused(&r);
	}
	init(&r);
	r.req.listen_port = 0;
	assert_refused(&r);
}

static void the_same_name_twice_or_too_many_are_refused(void **state)
{
	static char names[MAX][16];
	struct request r;

	(void)state;
	init(&r);
	add(&r, "a", "10.0.0.1", 1);
	add(&r, "a", "10.0.0.2", 1);
	assert_refused(&r);
	init(&r);
	for (int i = 0; i <= BALANCER_MAX_BACKENDS; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d", i);
		add(&r, names[i], "10.0.0.1", 1);
	}
	assert_refused(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backends_stand_in_the_configuration),
		cmocka_unit_test(what_is_no_name_address_or_port_is_refused),
		cmocka_unit_test(the_same_name_twice_or_too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
