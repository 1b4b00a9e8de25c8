#include "controller/config/flag_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct cluster_config *config;
static struct node_config *node;

static int set_up(void **state)
{
	(void)state;
	config = cluster_config_new();
	assert_non_null(config);
	node = &config->nodes[0];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cluster_config_free(config);
	return 0;
}

/* CN-093 CN-094 CN-095 */
static void ports_are_written_as_in_docker(void **state)
{
	static const struct {
		const char *text;
		const char *address;
		int host;
		int container;
		enum port_protocol protocol;
	} rows[] = {
		{ "80", "", 0, 80, PORT_TCP },
		{ "8080:80", "", 8080, 80, PORT_TCP },
		{ ":80", "", 0, 80, PORT_TCP },
		{ "-1:80", "", -1, 80, PORT_TCP },
		{ "127.0.0.1:8080:80/UDP", "127.0.0.1", 8080, 80, PORT_UDP },
		{ "127.0.0.1::80", "127.0.0.1", 0, 80, PORT_TCP },
		{ "[::1]:5353:53/udp", "::1", 5353, 53, PORT_UDP },
		{ "[::]::9/sctp", "::", 0, 9, PORT_SCTP },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct port_mapping *port;

		if (flag_port_parse(rows[i].text, node, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(node->port_count, i + 1);
		port = &node->ports[i];
		assert_string_equal(port->listen_address, rows[i].address);
		assert_int_equal(port->host_port, rows[i].host);
		assert_int_equal(port->container_port, rows[i].container);
		assert_int_equal(port->protocol, rows[i].protocol);
	}
}

static void ports_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = { "",       "x",     "0",      "65536",   "8080:",
					   "80/x",   "80/",   "1:2:",   "[::1:80", "::1:80:80",
					   "80:80x", "-2:80", "a:b:c:d" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (flag_port_parse(bad[i], node, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.reason, "BAD_VALUE");
	}
	assert_int_equal(node->port_count, 0);
}

/* CN-100 CN-101 */
static void mounts_are_written_as_in_docker(void **state)
{
	static const char *const same[] = {
		"/a:/b:ro,z,rslave",
		"type=bind,source=/a,target=/b,readonly,Z,bind-propagation=slave",
		"type=bind,src=/a,dst=/b,ro,z,bind-propagation=rslave"
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		const struct mount_config *mount;

		if (flag_mount_parse(same[i], node, &err) < 0)
			fail_msg("%s", err.msg);
		mount = &node->mounts[i];
		assert_string_equal(mount->host_path, "/a");
		assert_string_equal(mount->container_path, "/b");
		assert_true(mount->readonly);
		assert_true(mount->selinux_relabel);
		assert_int_equal(mount->propagation, MOUNT_HOST_TO_CONTAINER);
		assert_false(mount->create);
	}
	assert_int_equal(flag_mount_parse("/a:/b:rw,rshared,create", node, &err), 0);
	assert_false(node->mounts[3].readonly);
	assert_int_equal(node->mounts[3].propagation, MOUNT_BIDIRECTIONAL);
	assert_true(node->mounts[3].create);
}

static void mounts_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   "/a",
					   "/a:",
					   ":/b",
					   "/a:/b:x",
					   "/a:/b:ro,,rw",
					   "type=volume,source=a,target=/b",
					   "type=bind,target=/b",
					   "target=/b,source=/a,size=3" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (flag_mount_parse(bad[i], node, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(err.reason, "BAD_VALUE");
	}
}

/* CN-006 */
static void sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "no-limit", 0 },
		{ "512b", 512 },
		{ "2k", 2048 },
		{ "1800mb", (int64_t)1800 << 20 },
		{ "1800M", (int64_t)1800 << 20 },
		{ "4Gi", (int64_t)4 << 30 },
		{ "4GiB", (int64_t)4 << 30 },
		{ "1.5g", (int64_t)3 << 29 },
		{ "1t", (int64_t)1 << 40 },
	};
	static const char *const bad[] = { "",    "2048", "g",    "-1g", "1x",     "1gg",
					   "1bb", "1 g",  "1e3g", "+1g", "1.2.3g", "9999999999t" };
	int64_t bytes;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (flag_size_parse(good[i].text, &bytes, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		bytes = 77;
		if (flag_size_parse(bad[i], &bytes, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(bytes, 77);
		assert_string_equal(err.reason, "BAD_VALUE");
	}
}

/* CN-006 */
static void cpus_are_numbers(void **state)
{
	static const char *const bad[] = { "", "x", "-1", "1m", "1e3", "2000000" };
	int64_t milli = 5;
	struct err err;

	(void)state;
	assert_int_equal(flag_cpus_parse("1.5", &milli, &err), 0);
	assert_int_equal(milli, 1500);
	assert_int_equal(flag_cpus_parse("0", &milli, &err), 0);
	assert_int_equal(milli, 0);
	milli = 5;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (flag_cpus_parse(bad[i], &milli, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(milli, 5);
	}
	assert_int_equal(flag_cpus_parse("no-limit", &milli, &err), 0);
	assert_int_equal(milli, 0);
}

static void last_pair_of_a_key_wins(void **state)
{
	struct kv_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(flag_pair_parse("a=1", &list, &err), 0);
	assert_int_equal(flag_pair_parse("b=x=y", &list, &err), 0);
	assert_int_equal(flag_pair_parse("a=", &list, &err), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(kv_get(&list, "a"), "");
	assert_string_equal(kv_get(&list, "b"), "x=y");
	assert_int_equal(flag_pair_parse("a", &list, &err), -1);
	assert_int_equal(flag_pair_parse("=a", &list, &err), -1);
	assert_int_equal(list.count, 2);
	kv_release(&list);
}

/* CN-122: by number, so that two of one name have room, and with a name that engines can read. */
static void archives_become_mounts_in_their_order(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(flag_mount_parse("/a:/preloaded", node, &err), 0);
	assert_int_equal(flag_preload_parse("/x/images.tar.lz4", node, &err), 0);
	assert_int_equal(flag_preload_parse("my images,1:2.tar", node, &err), 0);
	assert_int_equal(node->mount_count, 3);
	assert_string_equal(node->mounts[1].host_path, "/x/images.tar.lz4");
	assert_string_equal(node->mounts[1].container_path, PRELOAD_DIR "/01-images.tar.lz4");
	assert_true(node->mounts[1].readonly);
	assert_string_equal(node->mounts[2].host_path, "my images,1:2.tar");
	assert_string_equal(node->mounts[2].container_path, PRELOAD_DIR "/02-my_images_1_2.tar");
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(ports_are_written_as_in_docker),
		RIGGED(ports_that_make_no_sense_are_refused),
		RIGGED(archives_become_mounts_in_their_order),
		RIGGED(mounts_are_written_as_in_docker),
		RIGGED(mounts_that_make_no_sense_are_refused),
		RIGGED(sizes_have_units),
		RIGGED(cpus_are_numbers),
		RIGGED(last_pair_of_a_key_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
