/*
 * Words from people and programs: numbers, durations, times, quantities, names, addresses, paths, what
 * flags say. The first byte chooses. What is taken is printed and taken again as the same.
 */
#include "controller/cli/redact.h"
#include "controller/cli/suggest.h"
#include "controller/cluster/subnet.h"
#include "controller/cluster/subnet6.h"
#include "controller/config/flag_text.h"
#include "controller/provider/oci_cli.h"
#include "shared/base/cleanup.h"
#include "shared/base/parse.h"
#include "shared/base/stamp.h"
#include "shared/base/utf8.h"
#include "shared/copy/path.h"
#include "shared/pod/quantity.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void take_number(const char *s)
{
	int64_t value, again, ms;
	char text[32];

	if (parse_int(s, INT64_MIN, INT64_MAX, &value)) {
		snprintf(text, sizeof(text), "%" PRId64, value);
		PROMISE(parse_int(text, value, value, &again) && again == value);
	}
	if (parse_duration_ms(s, &ms))
		PROMISE(ms >= 0);
}

static void take_time(const char *s)
{
	char text[STAMP_BYTES];
	int64_t ns, again;
	size_t used = 0;

	if (stamp_parse(s, strlen(s), &ns, &used)) {
		PROMISE(used <= strlen(s));
		PROMISE(stamp_format(ns, text) == STAMP_BYTES - 1 &&
			strlen(text) == STAMP_BYTES - 1);
		PROMISE(stamp_parse(text, STAMP_BYTES - 1, &again, NULL) && again == ns);
	}
	ns = time_parse_ns(s);
	if (ns && stamp_parse(s, strlen(s), &again, NULL))
		PROMISE(ns == again);
}

static void take_quantity(const char *s)
{
	struct quantity q, again;
	char text[48], twice[48];

	if (!quantity_parse(s, &q))
		return;
	quantity_print(&q, text);
	PROMISE(quantity_parse(text, &again) && again.nano == q.nano);
	quantity_print(&again, twice);
	PROMISE(strcmp(text, twice) == 0);
	if (q.nano >= 0)
		PROMISE(quantity_milli(&q) >= 0 && quantity_value(&q) >= 0);
}

static void take_name(const char *s)
{
	const char *comma = strchr(s, ',');

	if (name_is_label(s))
		PROMISE(name_is_subdomain(s));
	if (name_is_subdomain(s))
		PROMISE(name_is_valid(s, 253));
	if (name_is_valid(s, 63))
		PROMISE(s[0] != '-' && s[0] != '.' && strlen(s) <= 63);
	PROMISE(name_matches(s, s) && name_matches("*", s));
	if (comma)
		name_matches(comma + 1, s);
}

static void take_text(const char *s)
{
	char clean[64];
	size_t len = utf8_copy(clean, sizeof(clean), s);
	cleanup_free char *redacted = redact_text(s);
	struct suggest suggest;

	PROMISE(strlen(clean) == len);
	for (size_t i = 0, one; i < len; i += one) {
		one = utf8_length(clean + i, len - i);
		PROMISE(one > 0 && (unsigned char)clean[i] >= ' ');
	}
	PROMISE(redacted && strlen(redacted) <= strlen(s) + 64);
	suggest_init(&suggest, s, strlen(s));
	suggest_try(&suggest, "get nodes");
}

static void take_path(const char *s)
{
	char clean[COPY_PATH_BYTES], again[COPY_PATH_BYTES], base[COPY_NAME_BYTES];
	struct copy_target target;
	struct err err;

	if (copy_path_clean(s, "", clean, &err) == 0) {
		PROMISE(clean[0] != '/' && !strstr(clean, "//"));
		PROMISE(strcmp(clean, "..") != 0 && strncmp(clean, "../", 3) != 0);
		PROMISE(!strstr(clean, "/../"));
		PROMISE(copy_path_clean(clean, "", again, &err) == 0 && strcmp(clean, again) == 0);
	} else {
		PROMISE(err.code == ERR_INVALID_ARGUMENT);
	}
	if (copy_base_name(s, base))
		PROMISE(!strchr(base, '/') || strcmp(base, "/") == 0);
	if (copy_target_find(s, "/to", true, &target, &err) == 0)
		PROMISE(!strchr(target.name, '/') && strcmp(target.name, "..") != 0);
}

static void take_subnet(const char *s)
{
	struct subnet subnet;
	char ip[64], cidr[64];

	if (subnet_parse(s, &subnet)) {
		PROMISE(subnet.bits >= 0 && subnet.bits <= 32 && subnet_overlaps(subnet, subnet));
		if (subnet_node_ip(subnet, "", 1, ip, sizeof(ip)))
			PROMISE(subnet_contains(subnet, ip));
		subnet_contains(subnet, s);
	}
	if (subnet_of_address(s, cidr, sizeof(cidr)))
		PROMISE(subnet_parse(cidr, &subnet) && subnet_contains(subnet, s));
	subnet_address_is_static(s);
	if (subnet6_is_valid(s))
		PROMISE(subnet6_overlaps(s, s));
	subnet6_node_ip(s, 2, ip, sizeof(ip));
}

/* A word of a flag: taken, or refused with the form that is wanted. */
static void look_at_flag(int rc, const struct err *err)
{
	PROMISE(rc == 0 || err->code == ERR_INVALID_ARGUMENT);
	PROMISE(rc == 0 || (strcmp(err->reason, "BAD_VALUE") == 0 && err->advice[0]));
}

static void take_flag(const char *s)
{
	cleanup_with(cluster_config) struct cluster_config *config = cluster_config_new();
	struct kv_list pairs = { 0 };
	struct node_config *node;
	int64_t value;
	struct err err;

	PROMISE(config && config->node_count > 0);
	node = &config->nodes[0];
	look_at_flag(flag_port_parse(s, node, &err), &err);
	look_at_flag(flag_mount_parse(s, node, &err), &err);
	look_at_flag(flag_pair_parse(s, &pairs, &err), &err);
	look_at_flag(flag_size_parse(s, &value, &err), &err);
	look_at_flag(flag_cpus_parse(s, &value, &err), &err);
	kv_release(&pairs);
}

/* What an engine or a console says when something goes wrong ends up in front of a person. */
static void take_complaint(const char *s)
{
	cleanup_free char *tail = oci_console_tail(s, 5);
	struct err err;

	PROMISE(tail);
	for (const char *c = tail; *c; c++)
		PROMISE((unsigned char)*c >= ' ' || *c == '\n');
	PROMISE(oci_error("podman", s, 125, &err) == -1);
	PROMISE(err.code != ERR_OK && err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const takers[])(const char *) = { take_number, take_time, take_quantity,
							take_name,   take_text, take_path,
							take_subnet, take_flag, take_complaint };
	char *text;

	if (len == 0)
		return 0;
	text = strndup((const char *)bytes + 1, len - 1);
	PROMISE(text);
	takers[bytes[0] % ARRAY_LEN(takers)](text);
	free(text);
	return 0;
}
