/* What the host itself grants. Nothing is asked but files and this process. */
#include "controller/cluster/doctor_look.h"
#include "controller/cluster/store.h"
#include "controller/provider/facts.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

/* Reads a number, or says that it cannot be known here. */
static bool read_or_skip(const struct look *look, struct doctor_check *check, const char *path,
			 int64_t *ret)
{
	if (host_number_read(look->root, path, ret))
		return true;
	doctor_say(check, DOCTOR_SKIP, "", "", "%s cannot be read on this system", path);
	return false;
}

static void check_cgroup(const struct look *look, struct doctor_check *check)
{
	if (look->facts.cgroup_v2)
		doctor_say(check, DOCTOR_OK, "", "", "cgroups are v2");
	else
		doctor_say(check, DOCTOR_WARN,
			   "node images with systemd 256 or newer, and newer kubelets, refuse "
			   "cgroup v1",
			   "nothing for Berth's own image; else boot with "
			   "systemd.unified_cgroup_hierarchy=1",
			   "cgroups are v1%s",
			   look->facts.cgroup_hybrid ? " with v2 beside (hybrid)" : "");
}

static void check_systemd(const struct look *look, struct doctor_check *check)
{
	if (look->facts.has_systemd)
		doctor_say(check, DOCTOR_OK, "", "", "systemd runs this host");
	else
		doctor_say(check, DOCTOR_OK, "", "",
			   "no systemd on this host: Berth passes --cgroup-manager=cgroupfs");
}

/* A limit that nodes inherit; podman's own wish is 2^20 of each. */
static void say_limit(const struct look *look, struct doctor_check *check, const char *name,
		      int64_t hard, int64_t enough)
{
	if (look->facts.can_raise_limits || hard < 0)
		doctor_say(check, DOCTOR_OK, "", "", "%s can be raised as needed", name);
	else if (hard < enough)
		doctor_say(check, DOCTOR_FAIL, "systemd, the runtime and pods of a node share it",
			   "raise the hard limit of this shell (limits.conf, or ulimit -H)",
			   "the hard limit of %s is %" PRId64, name, hard);
	else if (hard >= 1048576)
		doctor_say(check, DOCTOR_OK, "", "", "the hard limit of %s is %" PRId64, name,
			   hard);
	else
		doctor_say(check, DOCTOR_WARN,
			   "it cannot be raised here, and the engine would try to",
			   "nothing: Berth passes --ulimit with the highest value that is allowed",
			   "the hard limit of %s is %" PRId64, name, hard);
}

static void check_nofile(const struct look *look, struct doctor_check *check)
{
	say_limit(look, check, "open files", look->facts.nofile_hard, 4096);
}

static void check_nproc(const struct look *look, struct doctor_check *check)
{
	say_limit(look, check, "processes", look->facts.nproc_hard, 4096);
}

static void check_sys_resource(const struct look *look, struct doctor_check *check)
{
	if (look->facts.can_raise_limits || look->facts.rootless)
		doctor_say(check, DOCTOR_OK, "", "",
			   look->facts.rootless ? "not needed by rootless engines"
						: "CAP_SYS_RESOURCE is there");
	else
		doctor_say(check, DOCTOR_WARN,
			   "a runtime in a node cannot protect pods from the out-of-memory killer",
			   "nothing: the node image's containerd is set up to do without",
			   "this process lacks CAP_SYS_RESOURCE");
}

static void check_instances(const struct look *look, struct doctor_check *check)
{
	int64_t value;

	if (!read_or_skip(look, check, "/proc/sys/fs/inotify/max_user_instances", &value))
		return;
	if (value >= 512)
		doctor_say(check, DOCTOR_OK, "", "", "%" PRId64 " inotify instances", value);
	else
		doctor_say(check, DOCTOR_WARN,
			   "a bare node takes 4, one with a kubelet about 12; without, things fail "
			   "with 'too many open files'",
			   "sysctl fs.inotify.max_user_instances=512",
			   "%" PRId64 " inotify instances: about %" PRId64 " nodes with kubelets",
			   value, value / 12 > 0 ? value / 12 : 1);
}

static void check_watches(const struct look *look, struct doctor_check *check)
{
	int64_t value;

	if (!read_or_skip(look, check, "/proc/sys/fs/inotify/max_user_watches", &value))
		return;
	if (value >= 65536)
		doctor_say(check, DOCTOR_OK, "", "", "%" PRId64 " inotify watches", value);
	else
		doctor_say(check, DOCTOR_WARN,
			   "kubelet and pods that watch files fail with 'no space left on device'",
			   "sysctl fs.inotify.max_user_watches=524288",
			   "%" PRId64 " inotify watches are few", value);
}

static void check_pids(const struct look *look, struct doctor_check *check)
{
	int64_t pid_max, threads_max;

	if (!read_or_skip(look, check, "/proc/sys/kernel/pid_max", &pid_max) ||
	    !read_or_skip(look, check, "/proc/sys/kernel/threads-max", &threads_max))
		return;
	if (pid_max >= 32768 && threads_max >= 16384)
		doctor_say(check, DOCTOR_OK, "", "", "%" PRId64 " processes, %" PRId64 " threads",
			   pid_max, threads_max);
	else
		doctor_say(check, DOCTOR_WARN, "all nodes share them with this host",
			   "sysctl kernel.pid_max=4194304 kernel.threads-max=192730",
			   "%" PRId64 " processes and %" PRId64 " threads are few", pid_max,
			   threads_max);
}

/* A line "Name:  123 kB". */
static bool read_meminfo(const struct look *look, const char *name, uint64_t *ret_kib)
{
	char text[4096];
	const char *line;

	if (!host_file_read(look->root, "/proc/meminfo", text, sizeof(text)))
		return false;
	line = strstr(text, name);
	if (!line)
		return false;
	*ret_kib = strtoull(line + strlen(name), NULL, 10);
	return true;
}

static void check_memory(const struct look *look, struct doctor_check *check)
{
	uint64_t available;

	if (!read_meminfo(look, "MemAvailable:", &available))
		doctor_say(check, DOCTOR_SKIP, "", "",
			   "/proc/meminfo cannot be read on this system");
	else if (available >= 1024 * 1024)
		doctor_say(check, DOCTOR_OK, "", "", "%.1f GiB of memory are available",
			   (double)available / 1024 / 1024);
	else
		doctor_say(check, available < 256 * 1024 ? DOCTOR_FAIL : DOCTOR_WARN,
			   "a bare node takes about 30 MiB, one with a control plane about 1 GiB",
			   "stop other things, or add memory", "only %" PRIu64 " MiB are available",
			   available / 1024);
}

static void check_cpus(const struct look *look, struct doctor_check *check)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)look;
	if (cpus >= 2)
		doctor_say(check, DOCTOR_OK, "", "", "%ld CPUs", cpus);
	else
		doctor_say(check, DOCTOR_WARN, "kubeadm refuses a control plane with less than 2",
			   "nothing, as long as you do not run kubeadm", "%ld CPU", cpus);
}

static void check_modules(const struct look *look, struct doctor_check *check)
{
	doctor_say(check, DOCTOR_OK, "", "",
		   look->facts.has_modules ? "/lib/modules is there"
					   : "no /lib/modules: Berth leaves its mount out");
}

static void check_forward(const struct look *look, struct doctor_check *check)
{
	int64_t value;

	if (!read_or_skip(look, check, "/proc/sys/net/ipv4/ip_forward", &value))
		return;
	if (value)
		doctor_say(check, DOCTOR_OK, "", "", "IPv4 is forwarded");
	else
		doctor_say(check, DOCTOR_WARN, "pods of different nodes could not reach each other",
			   "nothing: the engine switches it on with the first network",
			   "IPv4 is not forwarded");
}

static void check_bridge(const struct look *look, struct doctor_check *check)
{
	int64_t value;

	if (host_number_read(look->root, "/proc/sys/net/bridge/bridge-nf-call-iptables", &value) &&
	    value)
		doctor_say(check, DOCTOR_OK, "", "", "bridged packets pass iptables");
	else
		doctor_say(check, DOCTOR_WARN,
			   "kube-proxy's services do not work between pods of the same node",
			   "modprobe br_netfilter, if you will run kube-proxy",
			   "bridged packets do not pass iptables");
}

static void check_overlay(const struct look *look, struct doctor_check *check)
{
	char text[4096];

	if (!host_file_read(look->root, "/proc/filesystems", text, sizeof(text)))
		doctor_say(check, DOCTOR_SKIP, "", "",
			   "/proc/filesystems cannot be read on this system");
	else if (strstr(text, "\toverlay"))
		doctor_say(check, DOCTOR_OK, "", "", "the kernel has overlayfs");
	else
		doctor_say(check, DOCTOR_WARN, "image layers are copied instead, slow and large",
			   "modprobe overlay", "the kernel has no overlayfs loaded");
}

static const char *variable(const char *upper, const char *lower)
{
	const char *value = getenv(upper);

	if (!value || !*value)
		value = getenv(lower);
	return value && *value ? value : NULL;
}

static void check_proxy(const struct look *look, struct doctor_check *check)
{
	const char *http = variable("HTTP_PROXY", "http_proxy");
	const char *https = variable("HTTPS_PROXY", "https_proxy");
	const char *proxy = https ? https : http;

	(void)look;
	if (!proxy)
		doctor_say(check, DOCTOR_OK, "", "", "no proxy is set");
	else if (strstr(proxy, "://127.") || strstr(proxy, "://localhost"))
		doctor_say(check, DOCTOR_WARN, "a node has a loopback interface of its own",
			   "give the proxy an address that nodes reach; Berth leaves this one out",
			   "the proxy listens on this host's loopback interface");
	else
		doctor_say(
			check, DOCTOR_OK, "", "",
			"nodes get this host's proxy, and NO_PROXY with their names and subnets");
}

/* The directory, or what is there of the way to it. */
static bool find_existing(const char *path, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s", path);
	while (access(ret, F_OK) < 0) {
		char *slash = strrchr(ret, '/');

		if (!slash)
			return false;
		slash[slash == ret] = '\0';
		if (slash == ret && access(ret, F_OK) < 0)
			return false;
	}
	return true;
}

static bool is_writable_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && access(path, W_OK) == 0;
}

static void check_state_dir(const struct look *look, struct doctor_check *check)
{
	const char *dir = look->state_dir;
	/* "<dir>/nodes/<node>/agent.sock" with a name as long as the default cluster's. */
	size_t longest = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 -
			 strlen("/nodes/berth-control-plane/agent.sock");
	char existing[PATH_MAX];
	struct statvfs fs;

	if (strlen(dir) > longest)
		doctor_say(check, DOCTOR_FAIL, "the path of a socket can have 107 bytes at most",
			   "choose a shorter --state-dir", "the path '%.80s...' is too long", dir);
	else if (!find_existing(dir, existing) || !is_writable_directory(existing))
		doctor_say(check, DOCTOR_FAIL, "sockets and keys of nodes are kept there",
			   "choose another --state-dir, or run as root", "'%s' cannot be written",
			   dir);
	else if (statvfs(existing, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < 64 * MIB)
		doctor_say(check, DOCTOR_WARN, "sockets and keys of nodes are kept there",
			   "free some space, or choose another --state-dir", "'%s' is nearly full",
			   existing);
	else
		doctor_say(check, DOCTOR_OK, "", "", "state is kept in '%s'", dir);
}

static const struct doctor_row rows[] = {
	{ "cgroup", check_cgroup },
	{ "systemd", check_systemd },
	{ "nofile", check_nofile },
	{ "nproc", check_nproc },
	{ "sys-resource", check_sys_resource },
	{ "inotify-instances", check_instances },
	{ "inotify-watches", check_watches },
	{ "pids", check_pids },
	{ "memory", check_memory },
	{ "cpus", check_cpus },
	{ "modules", check_modules },
	{ "ip-forward", check_forward },
	{ "bridge-netfilter", check_bridge },
	{ "overlay", check_overlay },
	{ "proxy", check_proxy },
	{ "state-dir", check_state_dir },
};

size_t doctor_host_rows(const struct look *look, struct doctor_check *checks, size_t count)
{
	return doctor_walk(rows, ARRAY_LEN(rows), look, checks, count);
}
