/* What the engine says of itself. */
#include "controller/cluster/cluster.h"
#include "controller/cluster/doctor_judge.h"
#include "controller/cluster/subnet.h"
#include "controller/provider/facts.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define GIB ((uint64_t)1 << 30)

static bool skip_without_info(const struct look *look, struct doctor_check *check)
{
	if (look->has_info)
		return false;
	doctor_say(check, DOCTOR_SKIP, "", "", "the engine was not asked, or did not answer");
	return true;
}

static void check_engine(const struct look *look, struct doctor_check *check)
{
	if (!look->provider) {
		doctor_say(check, DOCTOR_FAIL, "nodes are containers that an engine runs",
			   "install podman, or put it into PATH",
			   "no container engine is installed");
		return;
	}
	if (!look->has_info) {
		doctor_say(check, DOCTOR_FAIL, "without its engine nothing can be made or listed",
			   look->info_err.advice, "%s", look->info_err.msg);
		return;
	}
	judge_engine_version(provider_name(look->provider), look->info.version, check);
}

static void check_runtime(const struct look *look, struct doctor_check *check)
{
	if (skip_without_info(look, check))
		return;
	if (!look->facts.cgroup_hybrid || strcmp(look->info.runtime, "crun") != 0) {
		doctor_say(check, DOCTOR_OK, "", "", "the OCI runtime is %s", look->info.runtime);
		return;
	}
	if (look->facts.has_runc)
		doctor_say(check, DOCTOR_WARN,
			   "crun refuses a host with cgroup v1 and v2 side by side",
			   "nothing: Berth passes --runtime=runc",
			   "the OCI runtime is crun, runc is there too");
	else
		doctor_say(check, DOCTOR_FAIL,
			   "crun refuses a host with cgroup v1 and v2 side by side",
			   "install runc: Berth then uses it", "the only OCI runtime is crun");
}

/* CN-041 */
static void check_controllers(const struct look *look, struct doctor_check *check)
{
	static const char *const wanted[] = { "cpu", "memory", "pids" };
	char missing[64] = "";

	if (skip_without_info(look, check))
		return;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		size_t len = strlen(missing);

		if (!host_has_word(look->info.controllers, wanted[i]))
			snprintf(missing + len, sizeof(missing) - len, " %s", wanted[i]);
	}
	if (!*missing)
		doctor_say(check, DOCTOR_OK, "", "", "cpu, memory and pids can be used");
	else if (look->info.rootless)
		doctor_say(
			check, DOCTOR_FAIL, "systemd has not delegated them to this user",
			"set Delegate=cpu cpuset io memory pids for user@.service and log in again",
			"cgroup controllers are missing:%s", missing);
	else
		doctor_say(check, DOCTOR_WARN, "limits of pods that need them do not work",
			   "enable them on the kernel's command line",
			   "cgroup controllers are missing:%s", missing);
}

static void check_rootless(const struct look *look, struct doctor_check *check)
{
	if (skip_without_info(look, check))
		return;
	if (!look->info.rootless)
		doctor_say(check, DOCTOR_OK, "", "", "the engine runs as root");
	else if (strcmp(look->info.cgroup, "v2") != 0)
		doctor_say(check, DOCTOR_FAIL, "rootless nodes need cgroup v2",
			   "boot with systemd.unified_cgroup_hierarchy=1, or run as root",
			   "the engine is rootless and cgroups are %s", look->info.cgroup);
	else
		doctor_say(check, DOCTOR_OK, "", "", "the engine is rootless, with cgroup v2");
}

static void check_storage(const struct look *look, struct doctor_check *check)
{
	struct statvfs fs;
	uint64_t available;

	if (skip_without_info(look, check))
		return;
	if (!*look->info.storage || statvfs(look->info.storage, &fs) < 0) {
		doctor_say(check, DOCTOR_SKIP, "", "",
			   "the engine's storage cannot be seen from here");
		return;
	}
	available = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (available >= 5 * GIB)
		doctor_say(check, DOCTOR_OK, "", "", "%.1f GiB are free for images and nodes",
			   (double)available / GIB);
	else
		doctor_say(check, available < GIB ? DOCTOR_FAIL : DOCTOR_WARN,
			   "a full disk shows up as evictions and failed pulls far from the cause",
			   "remove unused images and volumes, or give the engine another disk",
			   "only %.1f GiB are free in %s", (double)available / GIB,
			   look->info.storage);
}

static void check_subnet(const struct look *look, struct doctor_check *check)
{
	const struct cluster_ctx ctx = { .provider = look->provider, .by = look->by };
	struct cluster_found found;
	struct err err;
	char cidr[32];

	if (skip_without_info(look, check))
		return;
	if (cluster_find(&ctx, false, &found, &err) < 0) {
		doctor_say(check, DOCTOR_SKIP, "", "", "%s", err.msg);
		return;
	}
	if (subnet_choose(&found, "", cidr, sizeof(cidr), &err) == 0)
		doctor_say(check, DOCTOR_OK, "", "", "%s is free for the next cluster", cidr);
	else
		doctor_say(check, DOCTOR_FAIL, "every cluster gets a network of its own",
			   err.advice, "%s", err.msg);
	cluster_found_release(&found);
}

static const struct doctor_row rows[] = {
	{ "engine", check_engine },
	{ "runtime", check_runtime },
	{ "cgroup-controllers", check_controllers },
	{ "rootless", check_rootless },
	{ "disk", check_storage },
	{ "subnet", check_subnet },
};

size_t doctor_engine_rows(const struct look *look, struct doctor_check *checks, size_t count)
{
	return doctor_walk(rows, ARRAY_LEN(rows), look, checks, count);
}
