#include "controller/cluster/ports.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct cluster_config *config_with_ports(size_t count, int host_port)
{
	struct cluster_config *config = cluster_config_new();
	struct node_config *node;

	assert_non_null(config);
	node = &config->nodes[0];
	node->ports = calloc(count, sizeof(*node->ports));
	assert_non_null(node->ports);
	node->port_count = count;
	for (size_t i = 0; i < count; i++)
		node->ports[i] =
			(struct port_mapping){ (int)i + 1, host_port, strdup(""), PORT_TCP };
	return config;
}

/* CN-094 CN-096 CN-294 */
static void hundred_ports_are_all_different(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_with_ports(100, 0);
	struct ported_config ported;
	static bool seen[65536];
	struct err err;

	(void)state;
	assert_int_equal(ports_choose(config, false, &ported, &err), 0);
	for (size_t i = 0; i < 100; i++) {
		int port = ported.config.nodes[0].ports[i].host_port;

		assert_in_range(port, 1, 65535);
		assert_false(seen[port]);
		seen[port] = true;
		assert_int_equal(config->nodes[0].ports[i].host_port, 0);
	}
	ported_config_release(&ported);
}

/* CN-094 */
static void given_ports_and_the_engines_choice_stay(void **state)
{
	static const int given[] = { -1, 8080 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		cleanup_with(cluster_config) struct cluster_config *config =
			config_with_ports(1, given[i]);
		struct ported_config ported;
		struct err err;

		assert_int_equal(ports_choose(config, false, &ported, &err), 0);
		assert_int_equal(ported.config.nodes[0].ports[0].host_port, given[i]);
		ported_config_release(&ported);
	}
}

/* CN-096: held until just before the engine takes it, then let go. */
static void chosen_port_is_free_again(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_with_ports(1, 0);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ported_config ported;
	struct err err;
	int fd;

	(void)state;
	assert_int_equal(ports_choose(config, false, &ported, &err), 0);
	address.sin_port = htons((uint16_t)ported.config.nodes[0].ports[0].host_port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	ports_let_go(&ported, "another node");
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	ports_let_go(&ported, config->nodes[0].name);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	ported_config_release(&ported);
}

static void strange_address_is_refused(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_with_ports(1, 0);
	struct ported_config ported;
	struct err err;

	(void)state;
	free(config->nodes[0].ports[0].listen_address);
	config->nodes[0].ports[0].listen_address = strdup("203.0.113.77");
	assert_int_equal(ports_choose(config, false, &ported, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hundred_ports_are_all_different),
		cmocka_unit_test(given_ports_and_the_engines_choice_stay),
		cmocka_unit_test(chosen_port_is_free_again),
		cmocka_unit_test(strange_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
