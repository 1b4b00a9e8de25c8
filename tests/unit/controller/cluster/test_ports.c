#include "controller/cluster/ports.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
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

/* A socket bound to a port of the kernel's choice. */
static int listener(const char *address, int *ret_port)
{
	struct sockaddr_storage any = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)&any;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&any;
	socklen_t len = sizeof(*four);
	int fd;

	if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		any.ss_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, &six->sin6_addr), 1);
		any.ss_family = AF_INET6;
		len = sizeof(*six);
	}
	fd = socket(any.ss_family, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	len = sizeof(any);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	*ret_port = ntohs(any.ss_family == AF_INET ? four->sin_port : six->sin6_port);
	return fd;
}

static int a_free_port(void)
{
	int port, fd = listener("127.0.0.1", &port);

	close(fd);
	return port;
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
	const int given[] = { -1, a_free_port() };

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
	assert_string_equal(err.reason, "LISTEN_ADDRESS_INVALID");
}

static void assert_in_use(const char *taken, const char *wanted)
{
	int port, fd = listener(taken, &port);
	cleanup_with(cluster_config) struct cluster_config *config = config_with_ports(1, port);
	struct ported_config ported;
	char number[16];
	struct err err;

	free(config->nodes[0].ports[0].listen_address);
	config->nodes[0].ports[0].listen_address = strdup(wanted);
	if (ports_choose(config, false, &ported, &err) == 0)
		fail_msg("%s:%d is in use, yet %s was taken", taken, port, wanted);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_string_equal(err.reason, "PORT_IN_USE");
	snprintf(number, sizeof(number), " %d ", port);
	assert_non_null(strstr(err.msg, number));
	close(fd);
	assert_int_equal(ports_choose(config, false, &ported, &err), 0);
	ported_config_release(&ported);
}

/* CN-098: said with its number before anything is made. */
static void port_that_somebody_has_is_refused(void **state)
{
	(void)state;
	assert_in_use("127.0.0.1", "");
	assert_in_use("127.0.0.1", "0.0.0.0");
	assert_in_use("0.0.0.0", "127.0.0.1");
	assert_in_use("::1", "::1");
	assert_in_use("::1", "::");
}

static void same_port_of_another_protocol_or_address_is_free(void **state)
{
	int port, fd = listener("127.0.0.1", &port);
	cleanup_with(cluster_config) struct cluster_config *config = config_with_ports(2, port);
	struct ported_config ported;
	struct err err;

	(void)state;
	config->nodes[0].ports[0].protocol = PORT_UDP;
	free(config->nodes[0].ports[1].listen_address);
	config->nodes[0].ports[1].listen_address = strdup("127.0.0.2");
	if (ports_choose(config, false, &ported, &err) < 0)
		fail_msg("%s", err.msg);
	ported_config_release(&ported);
	close(fd);
}

/* CN-091: its ports are not ours to look at. */
static void remote_engine_chooses_its_ports(void **state)
{
	int port, fd = listener("127.0.0.1", &port);
	cleanup_with(cluster_config) struct cluster_config *config = config_with_ports(2, port);
	struct ported_config ported;
	struct err err;

	(void)state;
	config->nodes[0].ports[1].host_port = 0;
	assert_int_equal(ports_choose(config, true, &ported, &err), 0);
	assert_int_equal(ported.config.nodes[0].ports[0].host_port, port);
	assert_int_equal(ported.config.nodes[0].ports[1].host_port, -1);
	assert_string_equal(ported.config.nodes[0].ports[0].listen_address, "");
	assert_int_equal(ported.hold_count, 0);
	ported_config_release(&ported);
	close(fd);
}

/* CN-092: loopback of the cluster's family, whatever kind does (security-faults.md A4). */
static void addresses_default_to_loopback(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_with_ports(1, 0);
	struct ported_config ported;
	struct err err;

	(void)state;
	assert_int_equal(ports_choose(config, false, &ported, &err), 0);
	assert_string_equal(ported.config.nodes[0].ports[0].listen_address, "127.0.0.1");
	ported_config_release(&ported);
	config->ip_family = IP_FAMILY_V6;
	assert_int_equal(ports_choose(config, false, &ported, &err), 0);
	assert_string_equal(ported.config.nodes[0].ports[0].listen_address, "::1");
	assert_in_range(ported.config.nodes[0].ports[0].host_port, 1, 65535);
	ported_config_release(&ported);
	assert_string_equal(config->nodes[0].ports[0].listen_address, "");
}

#define CALLERS 100

struct caller {
	pthread_t thread;
	struct ported_config ported;
	int rc;
};

static void *choose_one(void *arg)
{
	static struct port_mapping port = { 80, 0, (char *)"", PORT_TCP };
	static struct node_config node = { .name = (char *)"n", .ports = &port, .port_count = 1 };
	const struct cluster_config config = { .nodes = &node, .node_count = 1 };
	struct caller *caller = arg;
	struct err err;

	caller->rc = ports_choose(&config, false, &caller->ported, &err);
	return NULL;
}

/* CN-294 */
static void hundred_callers_at_once_get_different_ports(void **state)
{
	static struct caller callers[CALLERS];
	static bool seen[65536];

	(void)state;
	for (size_t i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&callers[i].thread, NULL, choose_one, &callers[i]),
				 0);
	for (size_t i = 0; i < CALLERS; i++)
		pthread_join(callers[i].thread, NULL);
	for (size_t i = 0; i < CALLERS; i++) {
		int port;

		assert_int_equal(callers[i].rc, 0);
		port = callers[i].ported.config.nodes[0].ports[0].host_port;
		assert_in_range(port, 1, 65535);
		assert_false(seen[port]);
		seen[port] = true;
	}
	for (size_t i = 0; i < CALLERS; i++)
		ported_config_release(&callers[i].ported);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hundred_ports_are_all_different),
		cmocka_unit_test(given_ports_and_the_engines_choice_stay),
		cmocka_unit_test(chosen_port_is_free_again),
		cmocka_unit_test(strange_address_is_refused),
		cmocka_unit_test(port_that_somebody_has_is_refused),
		cmocka_unit_test(same_port_of_another_protocol_or_address_is_free),
		cmocka_unit_test(remote_engine_chooses_its_ports),
		cmocka_unit_test(addresses_default_to_loopback),
		cmocka_unit_test(hundred_callers_at_once_get_different_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
