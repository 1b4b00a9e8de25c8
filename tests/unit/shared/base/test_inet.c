#include "shared/base/inet.h"

#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void addresses_of_both_families_are_for_sockets(void **state)
{
	union inet_address address;

	(void)state;
	assert_int_equal(inet_parse("127.0.0.1", 8080, &address), sizeof(struct sockaddr_in));
	assert_int_equal(address.any.sa_family, AF_INET);
	assert_int_equal(address.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(address.v4.sin_port, htons(8080));
	assert_int_equal(inet_parse("::1", 443, &address), sizeof(struct sockaddr_in6));
	assert_int_equal(address.any.sa_family, AF_INET6);
	assert_memory_equal(&address.v6.sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));
	assert_int_equal(address.v6.sin6_port, htons(443));
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = { "",      "localhost",  "127.1",      "1.2.3.4.5",
					   "[::1]", "fe80::1%lo", " 127.0.0.1", "::1 " };
	union inet_address address;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (inet_parse(bad[i], 80, &address))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(address.any.sa_family, AF_UNSPEC);
	}
}

static void a_bound_port_is_told(void **state)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union inet_address address, bound = { 0 };
	socklen_t len = inet_parse("127.0.0.1", 0, &address);
	uint16_t port;

	(void)state;
	assert_int_equal(inet_bound_port(fd), 0);
	assert_int_equal(bind(fd, &address.any, len), 0);
	port = inet_bound_port(fd);
	assert_int_not_equal(port, 0);
	assert_int_equal(getsockname(fd, &bound.any, &len), 0);
	assert_int_equal(bound.v4.sin_port, htons(port));
}

static void what_is_no_socket_has_no_port(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(inet_bound_port(-1), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(inet_bound_port(pair[0]), 0);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_both_families_are_for_sockets),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_bound_port_is_told),
		cmocka_unit_test(what_is_no_socket_has_no_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
