#include "controller/provider/oci_cli.h"

#include <stdio.h>
#include <string.h>

/* One complaint: the engine's words (both must occur in one line, case ignored), and what they mean. The
 * first that fits counts, so the narrow ones stand before the wide ones. */
struct complaint {
	const char *words;
	const char *also;
	enum err_code code;
	const char *reason;
	const char *sentence;
	const char *advice;
};

#define PORT_ADVICE   "choose another hostPort, or stop what listens there"
#define SUBNET_ADVICE "remove unused networks, or choose another subnet"
#define IMAGE_ADVICE  "run 'berth build node-image' or 'make image', or name another with --image"
#define LOGIN_ADVICE \
	"log in to the registry with the engine's own 'login', or name another with --image"
#define PULL_ADVICE \
	"see this host's network and proxies, or bring the image by the engine's own 'load'"
#define NAME_ADVICE    "it is not ours, so it stays: remove it yourself, or choose another name"
#define ENGINE_ADVICE  "start the engine, then see 'berth doctor'"
#define LIMIT_ADVICE   "raise the hard limits of this shell, then see 'berth doctor'"
#define CGROUP_ADVICE  "see 'berth doctor' for what this host's cgroups lack"
#define ARCH_ADVICE    "use an image that was built for this host"
#define MEMORY_ADVICE  "give a node at least 512 MiB"
#define GPU_ADVICE     "install the GPU's driver and container toolkit on the engine's host"
#define IPV6_ADVICE    "use ipFamily: ipv4, or enable IPv6 in the kernel"
#define VERSION_ADVICE "install matching versions of docker's client and engine"
#define DOCKER_ADVICE  "start dockerd, or see that DOCKER_HOST names the right one"
#define PODMAN_ADVICE  "start its service, or see that CONTAINER_HOST names the right one"
#define INOTIFY_ADVICE "raise fs.inotify.max_user_instances, then see 'berth doctor'"

/* What may pass by itself: it is worth another try. */
#define REGISTRY(words, also)                                                    \
	{                                                                        \
		words, also, ERR_UNAVAILABLE, "REGISTRY_UNREACHABLE",            \
			"the registry of the image does not answer", PULL_ADVICE \
	}

static const struct complaint complaints[] = {
	{ "image not known", NULL, ERR_NOT_FOUND, "IMAGE_NOT_FOUND", "the image is not there",
	  IMAGE_ADVICE },
	{ "no such image", NULL, ERR_NOT_FOUND, "IMAGE_NOT_FOUND", "the image is not there",
	  IMAGE_ADVICE },
	{ "did not resolve to an alias", NULL, ERR_NOT_FOUND, "IMAGE_NOT_FOUND",
	  "no registry is named, and none is set up", "write the image with its registry" },
	{ "manifest", "unknown", ERR_NOT_FOUND, "IMAGE_NOT_FOUND", "the registry has no such image",
	  IMAGE_ADVICE },
	{ "name unknown", NULL, ERR_NOT_FOUND, "IMAGE_NOT_FOUND", "the registry has no such image",
	  IMAGE_ADVICE },
	{ "access to the resource is denied", NULL, ERR_PERMISSION_DENIED, "REGISTRY_DENIED",
	  "the registry does not have the image, or wants a login for it", LOGIN_ADVICE },
	{ "pull access denied", NULL, ERR_PERMISSION_DENIED, "REGISTRY_DENIED",
	  "the registry does not have the image, or wants a login for it", LOGIN_ADVICE },
	{ "unauthorized: ", NULL, ERR_PERMISSION_DENIED, "REGISTRY_DENIED",
	  "the registry does not have the image, or wants a login for it", LOGIN_ADVICE },
	{ "toomanyrequests", NULL, ERR_RESOURCE_EXHAUSTED, "REGISTRY_LIMIT",
	  "the registry gives no more for now", LOGIN_ADVICE },
	/* Where a registry is asked: its pages, its tokens, its blobs. */
	REGISTRY("/v2/", "dial tcp"),
	REGISTRY("/v2/", "timeout"),
	REGISTRY("/v2/", "connection reset"),
	REGISTRY("/v2/", "EOF"),
	REGISTRY("token?", "dial tcp"),
	REGISTRY("token?", "timeout"),
	REGISTRY("reading blob", "dial tcp"),
	REGISTRY("reading blob", "timeout"),
	REGISTRY("reading blob", "connection reset"),
	REGISTRY("reading blob", "EOF"),
	REGISTRY("unexpected http status", " 50"),
	REGISTRY("tls handshake timeout", NULL),
	REGISTRY("unexpected EOF", NULL),
	{ "no space left on device", NULL, ERR_RESOURCE_EXHAUSTED, "NO_SPACE", "the disk is full",
	  "free disk space: unused images, volumes and containers are the usual cause" },
	{ "cannot be used on this platform", NULL, ERR_FAILED_PRECONDITION, "WINDOWS_CONTAINERS",
	  "the engine runs containers of another system", "switch the engine to Linux containers" },
	{ "no matching manifest for windows", NULL, ERR_FAILED_PRECONDITION, "WINDOWS_CONTAINERS",
	  "the engine runs Windows containers", "switch the engine to Linux containers" },
	{ "does not match the specified platform", NULL, ERR_FAILED_PRECONDITION,
	  "IMAGE_WRONG_ARCH", "the image is for another kind of processor", ARCH_ADVICE },
	{ "exec format error", NULL, ERR_FAILED_PRECONDITION, "IMAGE_WRONG_ARCH",
	  "the image is for another kind of processor", ARCH_ADVICE },
	{ "range of cpus is from", NULL, ERR_OUT_OF_RANGE, "TOO_MANY_CPUS",
	  "more CPUs were asked for than there are", "ask for fewer CPUs" },
	{ "minimum memory limit allowed", NULL, ERR_OUT_OF_RANGE, "MEMORY_TOO_SMALL",
	  "the memory limit is too small", MEMORY_ADVICE },
	{ "unable to set memory limit to", NULL, ERR_OUT_OF_RANGE, "MEMORY_TOO_SMALL",
	  "the memory limit is too small", MEMORY_ADVICE },
	{ "unresolvable cdi devices", NULL, ERR_NOT_FOUND, "GPU_NOT_FOUND",
	  "the engine finds no such GPU", GPU_ADVICE },
	{ "could not select device driver", NULL, ERR_NOT_FOUND, "GPU_NOT_FOUND",
	  "the engine finds no such GPU", GPU_ADVICE },
	{ "/dev/kfd", "no such file or directory", ERR_NOT_FOUND, "GPU_NOT_FOUND",
	  "the engine finds no such GPU", GPU_ADVICE },
	{ "/dev/dri", "no such file or directory", ERR_NOT_FOUND, "GPU_NOT_FOUND",
	  "the engine finds no such GPU", GPU_ADVICE },
	{ "relabel", "not allowed", ERR_INVALID_ARGUMENT, "RELABEL_REFUSED",
	  "a system directory must not be relabelled for SELinux",
	  "leave selinuxRelabel out for this mount" },
	{ "cannot read ipv6 setup for bridge", NULL, ERR_FAILED_PRECONDITION, "IPV6_UNAVAILABLE",
	  "this host has no IPv6", IPV6_ADVICE },
	{ "is ipv6 enabled in the kernel", NULL, ERR_FAILED_PRECONDITION, "IPV6_UNAVAILABLE",
	  "this host has no IPv6", IPV6_ADVICE },
	{ "ip6tables", "can't initialize", ERR_FAILED_PRECONDITION, "IPV6_UNAVAILABLE",
	  "this host has no IPv6", IPV6_ADVICE },
	{ "unknown flag: --ipv6", NULL, ERR_FAILED_PRECONDITION, "IPV6_UNAVAILABLE",
	  "the engine is too old for IPv6", IPV6_ADVICE },
	{ "failed to allocate gateway", "already in use", ERR_ALREADY_EXISTS, "GATEWAY_TAKEN",
	  "the gateway's address is taken", SUBNET_ADVICE },
	{ "is already used on the host or by another config", NULL, ERR_ALREADY_EXISTS,
	  "SUBNET_TAKEN", "the subnet is taken", SUBNET_ADVICE },
	{ "is being used by a network interface", NULL, ERR_ALREADY_EXISTS, "SUBNET_TAKEN",
	  "the subnet is taken", SUBNET_ADVICE },
	{ "pool overlaps with other one", NULL, ERR_ALREADY_EXISTS, "SUBNET_TAKEN",
	  "the subnet is taken", SUBNET_ADVICE },
	{ "requested ip address", "already allocated", ERR_ALREADY_EXISTS, "IP_IN_USE",
	  "the node's address is taken", "remove the container that has it" },
	{ "ip address", "already in use", ERR_ALREADY_EXISTS, "IP_IN_USE",
	  "the node's address is taken", "remove the container that has it" },
	{ "not in any subnet", NULL, ERR_INVALID_ARGUMENT, "IP_OUTSIDE_SUBNET",
	  "the node's address does not belong to its network", NULL },
	{ "does not belong to any of this network's subnets", NULL, ERR_INVALID_ARGUMENT,
	  "IP_OUTSIDE_SUBNET", "the node's address does not belong to its network", NULL },
	{ "no available network", NULL, ERR_ALREADY_EXISTS, "SUBNET_TAKEN",
	  "the engine finds no free subnet", SUBNET_ADVICE },
	{ "could not find an available, non-overlapping", NULL, ERR_ALREADY_EXISTS, "SUBNET_TAKEN",
	  "the engine finds no free subnet", SUBNET_ADVICE },
	{ "cannot listen on the", NULL, ERR_ALREADY_EXISTS, "PORT_IN_USE", "a host port is taken",
	  PORT_ADVICE },
	{ "port is already allocated", NULL, ERR_ALREADY_EXISTS, "PORT_IN_USE",
	  "a host port is taken", PORT_ADVICE },
	{ "bind", "address already in use", ERR_ALREADY_EXISTS, "PORT_IN_USE",
	  "a host port is taken", PORT_ADVICE },
	{ "ports are not available", NULL, ERR_ALREADY_EXISTS, "PORT_IN_USE",
	  "a host port is taken", PORT_ADVICE },
	{ "name", "already in use", ERR_ALREADY_EXISTS, "NAME_IN_USE",
	  "another container has this name", NAME_ADVICE },
	/* docker has no other words for a node's address. */
	{ "address already in use", NULL, ERR_ALREADY_EXISTS, "IP_IN_USE",
	  "the node's address is taken", "remove the container that has it" },
	{ "network already exists", NULL, ERR_ALREADY_EXISTS, "NETWORK_EXISTS",
	  "a network of this name exists", "somebody else may be creating this cluster" },
	{ "network", "already exists", ERR_ALREADY_EXISTS, "NETWORK_EXISTS",
	  "a network of this name exists", "somebody else may be creating this cluster" },
	{ "no such network", NULL, ERR_NOT_FOUND, "NETWORK_NOT_FOUND", "the network is gone",
	  NULL },
	{ "network", "not found", ERR_NOT_FOUND, "NETWORK_NOT_FOUND", "the network is gone", NULL },
	{ "network is being used", NULL, ERR_FAILED_PRECONDITION, "NETWORK_IN_USE",
	  "other containers use the network", "remove them, then delete the cluster again" },
	{ "has active endpoints", NULL, ERR_FAILED_PRECONDITION, "NETWORK_IN_USE",
	  "other containers use the network", "remove them, then delete the cluster again" },
	{ "no such container", NULL, ERR_NOT_FOUND, "NODE_NOT_FOUND", "there is no such container",
	  NULL },
	{ "no container with name", NULL, ERR_NOT_FOUND, "NODE_NOT_FOUND",
	  "there is no such container", NULL },
	{ "no such object", NULL, ERR_NOT_FOUND, "NODE_NOT_FOUND", "there is no such container",
	  NULL },
	{ "no such volume", NULL, ERR_NOT_FOUND, "VOLUME_NOT_FOUND", "there is no such volume",
	  NULL },
	{ "can only kill running containers", NULL, ERR_FAILED_PRECONDITION, "NODE_NOT_RUNNING",
	  "the node does not run", NULL },
	{ "is ambiguous", "matches found", ERR_ABORTED, "NETWORK_AMBIGUOUS",
	  "there are two networks of this name", "remove one of them by its id, then try again" },
	{ "client version", "too new", ERR_FAILED_PRECONDITION, "ENGINE_TOO_OLD",
	  "the engine is older than its client can talk to", VERSION_ADVICE },
	{ "client version", "too old", ERR_FAILED_PRECONDITION, "ENGINE_TOO_OLD",
	  "the engine's client is older than the engine can talk to", VERSION_ADVICE },
	{ "requires api version", NULL, ERR_FAILED_PRECONDITION, "ENGINE_TOO_OLD",
	  "the engine is too old", VERSION_ADVICE },
	{ "permission denied", "docker daemon socket", ERR_PERMISSION_DENIED,
	  "ENGINE_NOT_PERMITTED", "this user may not talk to docker",
	  "join the group 'docker' and log in again, or run as root" },
	{ "permission denied", "docker api at", ERR_PERMISSION_DENIED, "ENGINE_NOT_PERMITTED",
	  "this user may not talk to docker",
	  "join the group 'docker' and log in again, or run as root" },
	{ "is the docker daemon running", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", DOCKER_ADVICE },
	{ "error during connect", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", DOCKER_ADVICE },
	{ "failed to connect to the docker api", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", DOCKER_ADVICE },
	{ "unable to resolve docker endpoint", NULL, ERR_NOT_FOUND, "CONTEXT_NOT_FOUND",
	  "the docker context is not there", "see 'docker context ls', or unset DOCKER_CONTEXT" },
	{ "unable to connect to podman", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", PODMAN_ADVICE },
	{ "is not running", NULL, ERR_FAILED_PRECONDITION, "NODE_NOT_RUNNING",
	  "the node does not run", NULL },
	{ "container state improper", NULL, ERR_FAILED_PRECONDITION, "NODE_STATE_IMPROPER",
	  "the node's state does not allow it", NULL },
	{ "already in progress", NULL, ERR_ABORTED, "DELETE_STUCK",
	  "the engine is still removing it", "wait a little and delete again" },
	{ "rlimit", "not permitted", ERR_PERMISSION_DENIED, "LIMIT_TOO_HIGH",
	  "a resource limit is higher than this host allows", LIMIT_ADVICE },
	{ "cgroups in hybrid mode not supported", NULL, ERR_FAILED_PRECONDITION, "CGROUP_HYBRID",
	  "crun does not work with this host's cgroups", "install runc: Berth then uses it" },
	{ "cgroup controller", "not available", ERR_FAILED_PRECONDITION,
	  "CGROUP_CONTROLLER_MISSING", "a cgroup controller is missing", CGROUP_ADVICE },
	{ "too many open files", NULL, ERR_RESOURCE_EXHAUSTED, "INOTIFY_LIMIT",
	  "the host ran out of open files or inotify instances", INOTIFY_ADVICE },
	{ "oci runtime", "not found", ERR_FAILED_PRECONDITION, "RUNTIME_MISSING",
	  "the engine has no OCI runtime", "install runc or crun" },
	{ "cannot connect to", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", ENGINE_ADVICE },
	{ "connection refused", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", ENGINE_ADVICE },
	{ "bind source path does not exist", NULL, ERR_NOT_FOUND, "MOUNT_SOURCE_NOT_FOUND",
	  "a directory to be mounted does not exist", "create it first" },
	{ "statfs", "no such file or directory", ERR_NOT_FOUND, "MOUNT_SOURCE_NOT_FOUND",
	  "a directory to be mounted does not exist", "create it first" },
	{ "newuidmap", NULL, ERR_FAILED_PRECONDITION, "ROOTLESS_NOT_SET_UP",
	  "rootless containers are not set up",
	  "give this user ranges in /etc/subuid and /etc/subgid, or run as root" },
	{ "a password is required", NULL, ERR_PERMISSION_DENIED, "ENGINE_NOT_PERMITTED",
	  "sudo asks for a password", "run as root" },
	{ "permission denied", NULL, ERR_PERMISSION_DENIED, "ENGINE_NOT_PERMITTED",
	  "the engine was not permitted to do it", "run as root, or see 'berth doctor'" },
	{ "operation not permitted", NULL, ERR_PERMISSION_DENIED, "ENGINE_NOT_PERMITTED",
	  "the engine was not permitted to do it", "run as root, or see 'berth doctor'" },
};

/* What the programs put in front of the engine's words. */
static size_t prefix_length(const char *line, size_t len)
{
	static const char *const prefixes[] = { "Error: ", "docker: ",
						"Error response from daemon: " };
	size_t past = 0;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (len - past >= n && strncmp(line + past, prefixes[i], n) == 0) {
			past += n;
			i = (size_t)-1;
		}
	}
	return past;
}

/* Lines that say nothing of their own: docker ends with how to get help, or with an exit code. */
static bool is_noise(const char *line, size_t len)
{
	static const char *const noise[] = { "Run 'docker ", "See 'docker ", "exit status ",
					     "Error: failed to start containers: " };

	for (size_t i = 0; i < ARRAY_LEN(noise); i++) {
		size_t n = strlen(noise[i]);

		if (len >= n && strncmp(line, noise[i], n) == 0)
			return true;
	}
	return len == 0;
}

/* The complaint as lines, noise and prefixes left out. */
static void split(const char *text, struct strv *lines)
{
	while (*text) {
		size_t len = strcspn(text, "\r\n"), past;
		const char *next = text + len + strspn(text + len, "\r\n");

		while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
			len--;
		past = prefix_length(text, len);
		if (!is_noise(text, len))
			strv_addf(lines, "%.*s", (int)(len - past), text + past);
		text = next;
	}
}

static const char *line_with(const struct strv *lines, const struct complaint *c)
{
	for (size_t i = lines->count; i > 0; i--) {
		const char *line = lines->items[i - 1];

		if (strcasestr(line, c->words) && (!c->also || strcasestr(line, c->also)))
			return line;
	}
	return NULL;
}

/* What is not known is told by its last line: those before it are warnings. */
static int unknown(const char *program, const struct strv *lines, int exit_code, struct err *err)
{
	if (lines->count)
		err_set(err, ERR_UNKNOWN, 0, "%.300s (exit code %d)",
			lines->items[lines->count - 1], exit_code);
	else
		err_set(err, ERR_UNKNOWN, 0, "'%s' failed with exit code %d", program, exit_code);
	return err_explain(err, "ENGINE_FAILED", NULL);
}

int oci_error(const char *program, const char *complaint, int exit_code, struct err *err)
{
	cleanup_with(strv) struct strv lines = { 0 };

	split(complaint, &lines);
	for (size_t i = 0; i < ARRAY_LEN(complaints); i++) {
		const struct complaint *c = &complaints[i];
		const char *line = line_with(&lines, c);

		if (!line)
			continue;
		err_set(err, c->code, 0, "%s (%.300s)", c->sentence, line);
		return err_explain(err, c->reason, c->advice);
	}
	return unknown(program, &lines, exit_code, err);
}
