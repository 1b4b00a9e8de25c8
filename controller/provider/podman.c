/*
 * Nodes as podman containers (container-nodes.md; DESIGN.md D12): what podman does in its own way. The
 * rest is oci_*.c.
 */
#include "controller/provider/memory.h"
#include "controller/provider/oci_create.h"
#include "controller/provider/oci_parse.h"
#include "controller/provider/oci_plan.h"
#include "controller/provider/podman_parse.h"
#include "controller/provider/podman_stamp.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of podman's answers. The first changes with nothing but what its stamp holds, as far as one
 * can know: not for long. */
#define KEPT_INFO       "podman-info"
#define KEPT_INFO_S     3600
#define KEPT_CONTAINERS "podman-containers"

/* "podman [--runtime=runc] [--cgroup-manager=cgroupfs] VERB": what this host needs before commands
 * that start something (CN-010, CN-180, test-hosts.md). A service has been started with its own. */
static void add_engine(const struct provider *p, struct strv *argv, const char *verb)
{
	const struct host_facts *facts = &p->facts;

	strv_add(argv, "podman");
	if (!p->engine.service) {
		if (facts->has_runc && (facts->cgroup_hybrid || !facts->has_crun))
			strv_add(argv, "--runtime=runc");
		if (!facts->has_systemd)
			strv_add(argv, "--cgroup-manager=cgroupfs");
	}
	strv_add(argv, verb);
}

/* podman asks for 1048576 of each, which needs the right to raise limits. */
static void add_ulimits(const struct host_facts *facts, struct strv *argv)
{
	if (facts->can_raise_limits)
		return;
	if (facts->nofile_hard > 0)
		strv_addf(argv, "--ulimit=nofile=%" PRId64 ":%" PRId64, facts->nofile_hard,
			  facts->nofile_hard);
	if (facts->nproc_hard > 0)
		strv_addf(argv, "--ulimit=nproc=%" PRId64 ":%" PRId64, facts->nproc_hard,
			  facts->nproc_hard);
}

static void add_own(const struct provider *p, struct strv *argv)
{
	/* podman's own help for systemd binds the host's whole name=systemd hierarchy into the node on
	 * cgroup v1: all nodes would share one tree and trim it for each other. What it gives besides
	 * is given here or is in the image. */
	strv_add(argv, "--systemd=false");
	strv_add(argv, "--pids-limit=-1");
	if (!p->engine.remote)
		add_ulimits(&p->facts, argv);
	strv_add(argv, "--log-driver=k8s-file");
}

static const char *const image_check[] = { "podman", "image", "exists", NULL };
static const char *const remove_words[] = {
	"podman", "rm", "--force", "--volumes", "--time=0", NULL
};

static const struct oci_flavour flavour = {
	.any_port = "",
	/* The options undo podman's nodev, noexec and nosuid (CN-020, CN-038). */
	.var_volume = "--mount=type=volume,destination=/var,exec,dev,suid",
	.mtu_option = "mtu",
	.all_gpus = "--device=nvidia.com/gpu=all",
	.stop_time = "--time=",
	.writable_cgroups = "--security-opt=unmask=/sys/fs/cgroup",
	.digest_without_tag = true,
	.image_check_is_silent = true,
	.image_check = image_check,
	.remove = remove_words,
	.add_engine = add_engine,
	.add_own = add_own,
};

static bool is_in_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

static int podman_open(const struct host_facts *facts, struct provider **ret_provider,
		       struct err *err)
{
	struct engine_info *engine;

	if (oci_open(&podman_ops, &flavour, facts, ret_provider, err) < 0)
		return -1;
	engine = &(*ret_provider)->engine;
	engine->rootless = facts->rootless;
	engine->service = is_in_env("CONTAINER_HOST") || is_in_env("CONTAINER_CONNECTION");
	return 0;
}

/* Only nodes without an address of ours have to be asked for theirs (CN-230). A list is a list without
 * them, too: what cannot be told stays empty. */
static void ask_addresses(struct provider *p, struct node_list *list, struct deadline by)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	struct err ignored;
	size_t asked = 0;

	oci_add_words(&argv, OCI_WORDS("podman", "inspect", "--type=container", "--"));
	for (size_t i = 0; i < list->count; i++) {
		const struct node *node = list->items[i];

		if (node->state == NODE_RUNNING && !*node->ip && !*node->ip6) {
			strv_add(&argv, node->name);
			asked++;
		}
	}
	if (asked && oci_ask(p, &argv, by, &result, &ignored) == 0)
		podman_parse_addresses(text_str(&result.out), result.out.len, list, &ignored);
}

/* What an answer to `podman ps` rests on now. False when it cannot be told: where podman keeps its containers
 * is known from what it has said of itself. */
static bool stamp_containers(const struct provider *p, char *ret_storage, size_t size,
			     struct text *ret_stamp)
{
	cleanup_with(text) struct text said = { 0 };
	struct engine_info info;
	struct err ignored;

	if (!p->memory || !podman_stamp(p, ret_stamp) ||
	    !memory_recall(p->memory, KEPT_INFO, text_str(ret_stamp), MEMORY_ANY_AGE, &said) ||
	    podman_parse_info(text_str(&said), said.len, &info, &ignored) < 0)
		return false;
	snprintf(ret_storage, size, "%s", info.storage);
	return podman_stamp_containers(info.storage, ret_stamp);
}

/* Only what podman's database was the same for before and after. */
static void keep_containers(const struct provider *p, const char *storage, const char *stamp,
			    const struct text *said, const struct node_list *list)
{
	cleanup_with(text) struct text now = { 0 };
	char storage_now[PATH_MAX];

	if (podman_has_nodes(storage, list) &&
	    stamp_containers(p, storage_now, sizeof(storage_now), &now) &&
	    strcmp(text_str(&now), stamp) == 0)
		memory_keep(p->memory, KEPT_CONTAINERS, stamp, said);
}

static int ask_containers(struct provider *p, struct deadline by, struct text *ret_said,
			  struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	oci_add_words(&argv, OCI_WORDS("podman", "ps", "--all", "--format=json"));
	if (oci_ask(p, &argv, by, &result, err) < 0)
		return -1;
	*ret_said = result.out;
	result.out = (struct text){ 0 };
	return 0;
}

static int podman_list(struct provider *p, const char *cluster, struct deadline by,
		       struct node_list *list, struct strv *foreign, struct err *err)
{
	cleanup_with(text) struct text stamp = { 0 }, said = { 0 };
	char storage[PATH_MAX];
	bool may_keep = stamp_containers(p, storage, sizeof(storage), &stamp);
	bool kept = may_keep && memory_recall(p->memory, KEPT_CONTAINERS, text_str(&stamp),
					      MEMORY_ANY_AGE, &said);

	if (!kept && ask_containers(p, by, &said, err) < 0)
		return -1;
	if (podman_parse_nodes(text_str(&said), said.len, cluster, list, foreign, err) < 0)
		return -1;
	if (may_keep && !kept)
		keep_containers(p, storage, text_str(&stamp), &said, list);
	ask_addresses(p, list, by);
	return 0;
}

static int podman_networks(struct provider *p, struct deadline by, struct network_list *list,
			   struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	oci_add_words(&argv, OCI_WORDS("podman", "network", "ls", "--format=json"));
	if (oci_ask(p, &argv, by, &result, err) < 0)
		return -1;
	return podman_parse_networks(text_str(&result.out), result.out.len, list, err);
}

/* Where the service is: told by the environment, or by a connection (CN-232). */
static int ask_where(struct provider *p, struct deadline by, struct engine_info *info,
		     struct err *err)
{
	const char *url = getenv("CONTAINER_HOST"), *name = getenv("CONTAINER_CONNECTION");
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	char found[512] = "";

	if (!url || !*url) {
		oci_add_words(&argv,
			      OCI_WORDS("podman", "system", "connection", "list", "--format=json"));
		if (oci_ask(p, &argv, by, &result, err) < 0 ||
		    podman_parse_connection(text_str(&result.out), result.out.len, name ? name : "",
					    found, sizeof(found), err) < 0)
			return -1;
		url = found;
	}
	info->remote = oci_url_host(url, info->host, sizeof(info->host)) || !OCI_SHARES_KERNEL;
	return 0;
}

static int ask_info(struct provider *p, struct deadline by, struct text *ret_said,
		    struct engine_info *ret, struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	oci_add_words(&argv, OCI_WORDS("podman", "info", "--format=json"));
	if (oci_ask(p, &argv, by, &result, err) < 0)
		return -1;
	if (podman_parse_info(text_str(&result.out), result.out.len, ret, err) < 0)
		return -1;
	*ret_said = result.out;
	result.out = (struct text){ 0 };
	return 0;
}

/* From memory, or asked and then kept. */
static int learn_info(struct provider *p, struct deadline by, struct engine_info *ret,
		      struct err *err)
{
	cleanup_with(text) struct text stamp = { 0 }, said = { 0 };
	bool may_keep = p->memory && podman_stamp(p, &stamp);
	struct err ignored;

	if (may_keep && memory_recall(p->memory, KEPT_INFO, text_str(&stamp), KEPT_INFO_S, &said) &&
	    podman_parse_info(text_str(&said), said.len, ret, &ignored) == 0)
		return 0;
	text_release(&said);
	if (ask_info(p, by, &said, ret, err) < 0)
		return -1;
	if (may_keep && !ret->service)
		memory_keep(p->memory, KEPT_INFO, text_str(&stamp), &said);
	return 0;
}

static int podman_info(struct provider *p, struct deadline by, struct engine_info *ret,
		       struct err *err)
{
	struct engine_info info;

	if (learn_info(p, by, &info, err) < 0)
		return -1;
	if (info.service && ask_where(p, by, &info, err) < 0)
		return -1;
	if (info.remote) {
		info.storage[0] = '\0';
	} else {
		info.swap_limit = info.swap_limit && p->facts.has_swap_limit;
		info.cpu_limit = info.cpu_limit && p->facts.has_cpu_quota;
	}
	*ret = info;
	return 0;
}

static char *podman_address(void)
{
	const char *url = getenv("CONTAINER_HOST"), *name = getenv("CONTAINER_CONNECTION");
	char host[256];

	if (url && *url)
		return strdup(oci_url_host(url, host, sizeof(host)) ? url : "");
	return name && *name ? text_format("connection:%s", name) : strdup("");
}

const struct provider_ops podman_ops = {
	.name = "podman",
	.program = "podman",
	.open = podman_open,
	.close = oci_close,
	.list = podman_list,
	.networks = podman_networks,
	.plan_network = oci_plan_network,
	.plan_image = oci_plan_image,
	.plan_pull = oci_plan_pull,
	.plan_create = oci_plan_create,
	.plan_act = oci_plan_act,
	.plan_network_delete = oci_plan_network_delete,
	.run = oci_run_step,
	.info = podman_info,
	.relay_argv = oci_relay_argv,
	.dump = oci_dump,
	.address = podman_address,
	.console_tail = oci_console,
	.console_wait = oci_console_wait,
};
