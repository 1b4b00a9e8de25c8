#include "agent/streams/handshake.h"

#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_runtimes_address_is_understood(void **state)
{
	struct handshake_place place;
	char request[512];
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(handshake_parse_url("http://127.0.0.1:1234/exec/x", &place, &err), 0);
	assert_int_equal(place.v4.sin_port, htons(1234));
	assert_int_equal(place.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_string_equal(place.path, "/exec/x");
	assert_int_equal(handshake_request(&place, request, sizeof(request), &len, &err), 0);
	assert_int_equal(len, strlen(request));
	assert_non_null(strstr(request, "GET /exec/x HTTP/1.1\r\nHost: 127.0.0.1:1234\r\n"));
	assert_int_equal(handshake_request(&place, request, 64, &len, &err), -1);
	assert_int_equal(handshake_parse_url("http://127.0.0.1:80", &place, &err), 0);
	assert_string_equal(place.path, "/");
}

/* A URL goes into a request: nothing in it may end a line. */
static void other_addresses_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"https://127.0.0.1:1/x",
		"http://localhost:1/x",
		"http://[::1]:1/x",
		"http://127.0.0.1/x",
		"http://127.0.0.1:0/x",
		"http://127.0.0.1:65536/x",
		"http://127.0.0.1:1/x\r\nHost: y",
		"http://127.0.0.1:1/a b",
	};
	struct handshake_place place;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (handshake_parse_url(bad[i], &place, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_string_equal(err.reason, "SESSIONS_UNSUPPORTED");
	}
}

static void only_protocols_of_ours_are_taken_up(void **state)
{
	bool tells_eof = true;
	struct err err;

	(void)state;
	assert_int_equal(handshake_check("HTTP/1.1 101 Switching\r\n"
					 "sec-websocket-protocol: v4.channel.k8s.io\r\n",
					 &tells_eof, &err),
			 0);
	assert_false(tells_eof);
	assert_int_equal(handshake_check("HTTP/1.1 101 Switching\r\n"
					 "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n",
					 &tells_eof, &err),
			 0);
	assert_true(tells_eof);
	assert_int_equal(handshake_check("HTTP/1.1 404 Not Found\r\n", &tells_eof, &err), -1);
	assert_string_equal(err.reason, "RUNTIME_REFUSED");
	assert_non_null(strstr(err.msg, "'HTTP/1.1 404 Not Found'"));
	assert_int_equal(handshake_check("HTTP/1.1 101 Switching\r\nX: v4.channel.k8s.io\r\n",
					 &tells_eof, &err),
			 -1);
	assert_true(tells_eof);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_runtimes_address_is_understood),
		cmocka_unit_test(other_addresses_are_refused),
		cmocka_unit_test(only_protocols_of_ours_are_taken_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
