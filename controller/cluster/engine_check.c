#include "controller/cluster/engine_check.h"

#include "controller/provider/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((int64_t)1 << 20)

/* Oldest that work at all, and oldest that are worth having; major and minor. */
static const struct {
	const char *engine;
	int oldest[2];
	int good[2];
} versions[] = {
	{ "podman", { 4, 0 }, { 4, 3 } },
	{ "docker", { 18, 9 }, { 20, 10 } },
};

/* Whether "4.3.1" is below; what is no version is not. */
static bool is_below(const char *version, const int than[2])
{
	char *end;
	long major = strtol(version, &end, 10), minor = 0;

	if (end == version)
		return false;
	if (*end == '.')
		minor = strtol(end + 1, NULL, 10);
	return major < than[0] || (major == than[0] && minor < than[1]);
}

static int check_version(const char *engine, const char *version, struct strv *warnings,
			 struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (strcmp(versions[i].engine, engine) != 0)
			continue;
		if (is_below(version, versions[i].oldest)) {
			err_set(err, ERR_FAILED_PRECONDITION, 0, "%s %s is too old", engine,
				version);
			return err_explain(err, "ENGINE_TOO_OLD", "see 'berth doctor'");
		}
		if (is_below(version, versions[i].good))
			strv_addf(warnings, "%s %s is old: %d.%02d or newer is better", engine,
				  version, versions[i].good[0], versions[i].good[1]);
	}
	return 0;
}

/* CN-041: what nodes need of a user's own part of the cgroup tree. */
static int check_rootless(const struct engine_info *info, struct err *err)
{
	static const char *const wanted[] = { "cpu", "memory", "pids" };
	char missing[64] = "";

	if (!info->rootless)
		return 0;
	if (strcmp(info->cgroup, "v2") != 0) {
		err_set(err, ERR_FAILED_PRECONDITION, 0,
			"nodes of a rootless engine need cgroup v2, this host has %s",
			*info->cgroup ? info->cgroup : "none");
		return err_explain(err, "CGROUP_V2_NEEDED",
				   "run as root, or boot with systemd.unified_cgroup_hierarchy=1");
	}
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		size_t len = strlen(missing);

		if (!host_has_word(info->controllers, wanted[i]))
			snprintf(missing + len, sizeof(missing) - len, " %s", wanted[i]);
	}
	if (!*missing)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"cgroup controllers are not delegated to this user:%s", missing);
	return err_explain(
		err, "CGROUP_CONTROLLERS_MISSING",
		"set Delegate=cpu cpuset io memory pids for user@.service and log in again");
}

static int check_cpus(const struct engine_info *info, const struct node_config *node,
		      struct err *err)
{
	if (info->cpus <= 0 || node->cpus_milli <= (int64_t)info->cpus * 1000)
		return 0;
	err_set(err, ERR_OUT_OF_RANGE, 0,
		"node '%s' is to have %" PRId64 ".%03" PRId64 " CPUs, the engine's host has %d",
		node->name, node->cpus_milli / 1000, node->cpus_milli % 1000, info->cpus);
	return err_explain(err, "TOO_MANY_CPUS", "ask for fewer --cpus");
}

static int check_memory(const struct engine_info *info, const struct node_config *node,
			struct strv *warnings, struct err *err)
{
	if (info->memory_bytes <= 0 || node->memory_bytes <= info->memory_bytes)
		return 0;
	err_set(err, ERR_OUT_OF_RANGE, 0,
		"node '%s' is to have %" PRId64 " MiB of memory, the engine's host has %" PRId64,
		node->name, node->memory_bytes / MIB, info->memory_bytes / MIB);
	if (node->force) {
		strv_add(warnings, err->msg);
		return 0;
	}
	return err_explain(err, "TOO_MUCH_MEMORY", "ask for less --memory");
}

/* CN-022, CN-023: said once, whatever the number of nodes. */
static void warn_of_limits(const struct engine_info *info, const struct cluster_config *config,
			   struct strv *warnings)
{
	bool memory = false, cpus = false;

	for (size_t i = 0; i < config->node_count; i++) {
		memory |= config->nodes[i].memory_bytes > 0;
		cpus |= config->nodes[i].cpus_milli > 0;
	}
	if (memory && !info->memory_limit)
		strv_add(warnings, "the engine cannot limit memory on this host: --memory does "
				   "not hold");
	else if (memory && !info->swap_limit)
		strv_add(warnings, "the engine cannot limit swap on this host: a node may use "
				   "more than --memory by swapping");
	if (cpus && !info->cpu_limit)
		strv_add(warnings,
			 "the engine cannot limit CPUs on this host: --cpus does not hold");
}

/* Another host does not see this one's files, and what it has by that name is not meant. */
static int check_preloads(const struct engine_info *info, const struct node_config *node,
			  struct err *err)
{
	for (size_t i = 0; info->remote && i < node->mount_count; i++) {
		if (strncmp(node->mounts[i].container_path, PRELOAD_DIR "/",
			    strlen(PRELOAD_DIR "/")) != 0)
			continue;
		err_set(err, ERR_UNIMPLEMENTED, 0,
			"'%s' cannot be preloaded: the engine runs on '%s' and does not see it",
			node->mounts[i].host_path, info->host);
		return err_explain(err, "PRELOAD_REMOTE",
				   "create without it; 'berth load archive' then sends images");
	}
	return 0;
}

/* CN-091 */
static void warn_of_remote(const struct engine_info *info, const struct cluster_config *config,
			   struct strv *warnings)
{
	size_t everywhere = 0;

	if (!info->remote)
		return;
	for (size_t i = 0; i < config->node_count; i++) {
		const struct node_config *node = &config->nodes[i];

		for (size_t k = 0; k < node->port_count; k++)
			everywhere +=
				!node->ports[k].listen_address || !*node->ports[k].listen_address;
	}
	if (everywhere)
		strv_addf(warnings,
			  "the engine runs on '%s': published ports listen on all its addresses, "
			  "open to everybody who reaches it",
			  info->host);
}

int engine_check(const char *engine, const struct engine_info *info,
		 const struct cluster_config *config, struct strv *warnings, struct err *err)
{
	if (strcmp(info->os_type, "windows") == 0) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "the engine runs Windows containers");
		return err_explain(err, "WINDOWS_CONTAINERS", "switch it to Linux containers");
	}
	if (check_version(engine, info->version, warnings, err) < 0 ||
	    check_rootless(info, err) < 0)
		return -1;
	for (size_t i = 0; i < config->node_count; i++) {
		if (check_cpus(info, &config->nodes[i], err) < 0 ||
		    check_memory(info, &config->nodes[i], warnings, err) < 0 ||
		    check_preloads(info, &config->nodes[i], err) < 0)
			return -1;
	}
	if (strcmp(info->cgroup, "v1") == 0)
		strv_add(warnings, "this host has cgroup v1, which newer node images do not "
				   "support: cgroup v2 is better");
	warn_of_limits(info, config, warnings);
	warn_of_remote(info, config, warnings);
	return strv_failed(warnings) ? err_oom(err) : 0;
}
