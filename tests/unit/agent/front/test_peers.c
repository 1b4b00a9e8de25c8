/* How many handshakes an address gets, by a clock of the test's own. */
#include "agent/front/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static struct peer *peer_of(struct peers *peers, const char *text, int64_t now_ms)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in4 = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &in4.sin_addr) == 1)
		return peers_get(peers, (struct sockaddr *)&in4, now_ms);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return peers_get(peers, (struct sockaddr *)&in6, now_ms);
}

static unsigned taken_at(struct peers *peers, struct peer *peer, int64_t now_ms)
{
	unsigned count = 0;
	int64_t wait_ms;

	while (peer_take_token(peers, peer, now_ms, &wait_ms))
		count++;
	assert_in_range(wait_ms, 1, 1001);
	return count;
}

/* I15 */
static void ten_handshakes_a_second_and_no_more(void **state)
{
	struct peers *peers = *state;
	struct peer *peer = peer_of(peers, "10.0.0.1", 1000);

	assert_int_equal(taken_at(peers, peer, 1000), 10);
	assert_int_equal(taken_at(peers, peer, 1050), 0);
	assert_int_equal(taken_at(peers, peer, 1600), 6);
	assert_int_equal(taken_at(peers, peer, 100000), 10);
}

/* I15: one who was silent for long enough may bring all his clients at once */
static void what_was_saved_may_be_spent_at_once(void **state)
{
	struct peers *peers = *state;
	struct peer *peer;

	peers_init(peers, 100, 256);
	peer = peer_of(peers, "10.0.0.1", 0);
	assert_int_equal(taken_at(peers, peer, 0), 256);
	assert_int_equal(taken_at(peers, peer, 1000), 100);
	assert_int_equal(taken_at(peers, peer, 60000), 256);
}

static void each_address_counts_for_itself(void **state)
{
	struct peers *peers = *state;

	assert_int_equal(taken_at(peers, peer_of(peers, "10.0.0.1", 0), 0), 10);
	assert_int_equal(taken_at(peers, peer_of(peers, "10.0.0.2", 0), 0), 10);
}

static void a_mapped_address_and_a_prefix_are_one_source(void **state)
{
	struct peers *peers = *state;

	assert_ptr_equal(peer_of(peers, "10.0.0.1", 0), peer_of(peers, "::ffff:10.0.0.1", 0));
	assert_ptr_equal(peer_of(peers, "fd00:1:2:3::1", 0), peer_of(peers, "fd00:1:2:3:4::9", 0));
	assert_ptr_not_equal(peer_of(peers, "fd00:1:2:3::1", 0),
			     peer_of(peers, "fd00:1:2:4::1", 0));
}

static void those_with_connections_are_never_forgotten(void **state)
{
	struct peers *peers = *state;
	struct peer *kept = peer_of(peers, "10.9.9.9", 0);
	char text[32];

	kept->sessions = 1;
	for (int i = 0; i < 4 * PEERS_MAX; i++) {
		snprintf(text, sizeof(text), "10.1.%d.%d", i / 256, i % 256);
		assert_non_null(peer_of(peers, text, i + 1));
	}
	assert_ptr_equal(peer_of(peers, "10.9.9.9", 5000), kept);
	for (int i = 0; i < PEERS_MAX; i++)
		peers->items[i].sessions = 1;
	assert_null(peer_of(peers, "10.2.0.1", 6000));
}

static int setup(void **state)
{
	struct peers *peers = malloc(sizeof(*peers));

	peers_init(peers, 10, 10);
	*state = peers;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ten_handshakes_a_second_and_no_more),
		TEST(what_was_saved_may_be_spent_at_once),
		TEST(each_address_counts_for_itself),
		TEST(a_mapped_address_and_a_prefix_are_one_source),
		TEST(those_with_connections_are_never_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
