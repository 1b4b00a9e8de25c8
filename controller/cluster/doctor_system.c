/* What is found by trying, or by asking programs; what it means is doctor_judge.c's. */
#include "controller/cluster/doctor_judge.h"
#include "controller/exec/exec.h"
#include "controller/provider/facts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERSION_MS 3000

static void check_runtime_version(const struct look *look, struct doctor_check *check)
{
	struct exec_options options = {
		.by = deadline_min(look->by, deadline_in_ms(VERSION_MS)),
	};
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	const char *name = look->info.runtime;
	struct err ignored;

	if (look->facts.has_runc && (look->facts.cgroup_hybrid || !look->facts.has_crun))
		name = "runc";
	if (!look->has_info || look->info.remote || !*name) {
		doctor_say(check, DOCTOR_SKIP, "", "", "the OCI runtime is not known");
		return;
	}
	strv_add(&argv, name);
	strv_add(&argv, "--version");
	if (exec_run(&argv, &options, &result, &ignored) < 0)
		judge_runtime_version("", check);
	else
		judge_runtime_version(text_str(&result.out), check);
}

static void check_oom_score(const struct look *look, struct doctor_check *check)
{
	char text[32];

	if (host_file_read(look->root, "/proc/self/oom_score_adj", text, sizeof(text)))
		judge_oom_score(strtol(text, NULL, 10), check);
	else
		doctor_say(check, DOCTOR_SKIP, "", "", "this system has no oom_score_adj");
}

static void check_clock(const struct look *look, struct doctor_check *check)
{
	(void)look;
	judge_clock(clock_wall_ns() / 1000000000, check);
}

/* In PATH, or where root's programs are while PATH is a user's. */
static bool has_program(const char *root, const char *name)
{
	static const char *const places[] = { "/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin" };
	char path[512];

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(path, sizeof(path), "%s%s/%s", root, places[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void check_firewall(const struct look *look, struct doctor_check *check)
{
	judge_firewall(has_program(look->root, "iptables"), has_program(look->root, "nft"), check);
}

static bool can_bind(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool bound;

	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bound = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
	if (fd >= 0)
		close(fd);
	return bound;
}

static void check_ports(const struct look *look, struct doctor_check *check)
{
	long long lowest = 1024, highest = 65535;
	char text[64];

	if (host_file_read(look->root, "/proc/sys/net/ipv4/ip_local_port_range", text,
			   sizeof(text)) &&
	    sscanf(text, "%lld %lld", &lowest, &highest) != 2)
		highest = 65535;
	judge_ports(lowest, highest, can_bind(), check);
}

static void check_swap(const struct look *look, struct doctor_check *check)
{
	char text[4096];
	const char *line = NULL;

	if (host_file_read(look->root, "/proc/meminfo", text, sizeof(text)))
		line = strstr(text, "SwapTotal:");
	if (line)
		judge_swap(strtoull(line + strlen("SwapTotal:"), NULL, 10), check);
	else
		doctor_say(check, DOCTOR_SKIP, "", "",
			   "/proc/meminfo cannot be read on this system");
}

static void check_engine_host(const struct look *look, struct doctor_check *check)
{
	if (look->has_info)
		judge_engine_host(&look->info, check);
	else
		doctor_say(check, DOCTOR_SKIP, "", "",
			   "the engine was not asked, or did not answer");
}

static const struct doctor_row rows[] = {
	{ "engine-host", check_engine_host },
	{ "runtime-version", check_runtime_version },
	{ "oom-score", check_oom_score },
	{ "clock", check_clock },
	{ "firewall", check_firewall },
	{ "ports", check_ports },
	{ "swap", check_swap },
};

size_t doctor_system_rows(const struct look *look, struct doctor_check *checks, size_t count)
{
	return doctor_walk(rows, ARRAY_LEN(rows), look, checks, count);
}
