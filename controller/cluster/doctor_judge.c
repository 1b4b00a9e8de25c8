#include "controller/cluster/doctor_judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define YEAR_2024 1704067200

/* The first versions of each line of releases that have the repairs. */
static const struct repaired {
	const char *runtime;
	int line[2]; /* major, minor; the last row of a runtime stands for what is newer, too */
	int patch;   /* -1: never in this line */
	const char *holes;
} repaired[] = {
	{ "runc", { 1, 0 }, -1, "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881" },
	{ "runc", { 1, 1 }, -1, "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881" },
	{ "runc", { 1, 2 }, 8, "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881" },
	{ "runc", { 1, 3 }, 3, "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881" },
};

/* crun has one line of releases, and the trio of runc's is not in it (crun issue 1906). exec's user was
 * misread from 1.19 on and is read right since 1.27; /dev of an image was followed until 1.28. What 1.30 repairs
 * needs a container without a /dev of its own, which engines do not make. */
static const struct {
	int first, repaired; /* minors of 1 */
	const char *holes;
} crun_holes[] = {
	{ 0, 19, "CVE-2026-47766" },
	{ 19, 27, "CVE-2026-30892, CVE-2026-47766" },
	{ 27, 28, "CVE-2026-47766" },
};

static bool parse_version(const char *s, int ret[3])
{
	char *end;

	memset(ret, 0, 3 * sizeof(*ret));
	for (int i = 0; i < 3; i++) {
		ret[i] = (int)strtol(s, &end, 10);
		if (end == s)
			return i > 0;
		if (*end != '.')
			return true;
		s = end + 1;
	}
	return true;
}

static bool is_below(const int version[3], const int than[2])
{
	return version[0] < than[0] || (version[0] == than[0] && version[1] < than[1]);
}

void judge_engine_version(const char *engine, const char *version, struct doctor_check *check)
{
	static const struct {
		const char *engine;
		int oldest[2], good[2];
	} known[] = {
		{ "podman", { 4, 0 }, { 4, 3 } },
		{ "docker", { 18, 9 }, { 20, 10 } },
	};
	int number[3];
	bool is_version = parse_version(version, number);

	for (size_t i = 0; is_version && i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].engine, engine) != 0)
			continue;
		if (is_below(number, known[i].oldest)) {
			doctor_say(check, DOCTOR_FAIL, "older ones answer in another form",
				   "install a newer one", "%s %s is too old: %d.%02d is the oldest",
				   engine, version, known[i].oldest[0], known[i].oldest[1]);
			return;
		}
		if (is_below(number, known[i].good)) {
			doctor_say(check, DOCTOR_WARN, "Berth is not tried with it",
				   "install a newer one", "%s %s is old", engine, version);
			return;
		}
	}
	doctor_say(check, DOCTOR_OK, "", "", "%s %s answers", engine, version);
}

static const char *crun_holes_of(const int version[3])
{
	for (size_t i = 0; version[0] == 1 && i < ARRAY_LEN(crun_holes); i++) {
		if (version[1] >= crun_holes[i].first && version[1] < crun_holes[i].repaired)
			return crun_holes[i].holes;
	}
	return NULL;
}

static const char *holes_of(const char *runtime, const int version[3])
{
	if (strcmp(runtime, "crun") == 0)
		return crun_holes_of(version);
	for (size_t i = 0; i < ARRAY_LEN(repaired); i++) {
		const struct repaired *r = &repaired[i];

		if (strcmp(r->runtime, runtime) == 0 && r->line[0] == version[0] &&
		    r->line[1] == version[1] && (r->patch < 0 || version[2] < r->patch))
			return r->holes;
	}
	return NULL;
}

void judge_runtime_version(const char *line, struct doctor_check *check)
{
	char runtime[16] = "", text[48] = "";
	const char *holes;
	int version[3];

	if (sscanf(line, "%15s version %47s", runtime, text) != 2 ||
	    !parse_version(text, version)) {
		doctor_say(check, DOCTOR_SKIP, "", "", "the OCI runtime does not tell its version");
		return;
	}
	holes = holes_of(runtime, version);
	if (!holes) {
		doctor_say(check, DOCTOR_OK, "", "", "%s %s has no hole that is known here",
			   runtime, text);
		return;
	}
	doctor_say(
		check, DOCTOR_WARN, "through them a container can reach its host",
		"take a newer one, or see whether your distribution has repaired this one; run no "
		"images that you do not trust",
		"%s %s: %s", runtime, text, holes);
}

void judge_oom_score(int64_t score, struct doctor_check *check)
{
	if (score <= 0)
		doctor_say(check, DOCTOR_OK, "", "",
			   "nodes are not the first to be killed when memory ends");
	else
		doctor_say(check, DOCTOR_WARN, "nodes inherit it, and the agent cannot lower it",
			   "start Berth from a shell whose oom_score_adj is 0",
			   "this process has the oom_score_adj %" PRId64
			   ": nodes are killed early when memory ends",
			   score);
}

void judge_clock(int64_t wall_s, struct doctor_check *check)
{
	if (wall_s >= YEAR_2024)
		doctor_say(check, DOCTOR_OK, "", "", "the clock is set");
	else
		doctor_say(check, DOCTOR_FAIL, "certificates are not valid yet, for anybody",
			   "set the clock, or let NTP do it", "the clock is before 2024");
}

void judge_firewall(bool has_iptables, bool has_nft, struct doctor_check *check)
{
	if (has_iptables)
		doctor_say(check, DOCTOR_OK, "", "", "iptables is there");
	else if (has_nft)
		doctor_say(check, DOCTOR_WARN,
			   "netavark before 1.13, and docker, know iptables only",
			   "install iptables, unless your engine uses nftables",
			   "nft is there, iptables is not");
	else
		doctor_say(check, DOCTOR_FAIL,
			   "the engine publishes ports and reaches the world by it",
			   "install iptables", "neither iptables nor nft is there");
}

void judge_ports(int64_t lowest, int64_t highest, bool bound, struct doctor_check *check)
{
	if (!bound)
		doctor_say(check, DOCTOR_FAIL, "every control plane publishes one",
			   "see what holds them: 'ss -ltn', and net.ipv4.ip_local_port_range",
			   "no port of 127.0.0.1 is free");
	else if (highest - lowest < 1000)
		doctor_say(check, DOCTOR_WARN, "published ports are taken from them",
			   "sysctl net.ipv4.ip_local_port_range='32768 60999'",
			   "only the ports %" PRId64 " to %" PRId64 " are given out", lowest,
			   highest);
	else
		doctor_say(check, DOCTOR_OK, "", "", "ports can be published");
}

void judge_swap(uint64_t kib, struct doctor_check *check)
{
	if (kib == 0)
		doctor_say(check, DOCTOR_OK, "", "", "there is no swap");
	else
		doctor_say(check, DOCTOR_WARN,
			   "a kubelet with its own settings does not start then",
			   "failSwapOn: false in kubelet's configuration, or swapoff",
			   "%.1f GiB of swap are on", (double)kib / 1024 / 1024);
}

void judge_engine_host(const struct engine_info *info, struct doctor_check *check)
{
	if (*info->os_type && strcmp(info->os_type, "linux") != 0)
		doctor_say(check, DOCTOR_FAIL, "nodes are Linux containers",
			   "switch the engine to Linux containers", "the engine runs %s containers",
			   info->os_type);
	else if (info->remote)
		doctor_say(check, DOCTOR_WARN,
			   "ports are published there, and its directories are not yours",
			   "nothing, if that is what you want; else unset DOCKER_HOST, "
			   "CONTAINER_HOST and the context",
			   "the engine runs on %s", *info->host ? info->host : "another host");
	else if (info->userns_remap)
		doctor_say(check, DOCTOR_WARN, "privileged containers cannot be remapped",
			   "nothing: Berth passes --userns=host", "the engine remaps users");
	else
		doctor_say(check, DOCTOR_OK, "", "", "the engine runs on this host");
}
