#include "controller/provider/oci_cli.h"

#include <string.h>

/* One complaint: the engine's words (both must occur, case ignored), and what they mean. The first
 * that fits counts, so the narrow ones stand before the wide ones. */
struct complaint {
	const char *words;
	const char *also;
	enum err_code code;
	const char *reason;
	const char *sentence;
	const char *advice;
};

#define PORT_ADVICE    "choose another hostPort, or stop what listens there"
#define SUBNET_ADVICE  "remove unused networks, or choose another subnet"
#define IMAGE_ADVICE   "run 'berth build node-image' or 'make image', or name another with --image"
#define NAME_ADVICE    "it is not ours, so it stays: remove it yourself, or choose another name"
#define ENGINE_ADVICE  "start the engine, then see 'berth doctor'"
#define LIMIT_ADVICE   "raise the hard limits of this shell, then see 'berth doctor'"
#define CGROUP_ADVICE  "see 'berth doctor' for what this host's cgroups lack"
#define INOTIFY_ADVICE "raise fs.inotify.max_user_instances, then see 'berth doctor'"

static const struct complaint complaints[] = {
	{ "image not known", NULL, ERR_NOT_FOUND, "IMAGE_NOT_FOUND", "the image is not there",
	  IMAGE_ADVICE },
	{ "no such image", NULL, ERR_NOT_FOUND, "IMAGE_NOT_FOUND", "the image is not there",
	  IMAGE_ADVICE },
	{ "no space left on device", NULL, ERR_RESOURCE_EXHAUSTED, "NO_SPACE", "the disk is full",
	  "free disk space: unused images, volumes and containers are the usual cause" },
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
	{ "cannot listen on the", NULL, ERR_ALREADY_EXISTS, "PORT_IN_USE", "a host port is taken",
	  PORT_ADVICE },
	{ "port is already allocated", NULL, ERR_ALREADY_EXISTS, "PORT_IN_USE",
	  "a host port is taken", PORT_ADVICE },
	{ "bind", "address already in use", ERR_ALREADY_EXISTS, "PORT_IN_USE",
	  "a host port is taken", PORT_ADVICE },
	{ "name", "already in use", ERR_ALREADY_EXISTS, "NAME_IN_USE",
	  "another container has this name", NAME_ADVICE },
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
	{ "range of cpus is from", NULL, ERR_OUT_OF_RANGE, "TOO_MANY_CPUS",
	  "more CPUs were asked for than there are", NULL },
	{ "too many open files", NULL, ERR_RESOURCE_EXHAUSTED, "INOTIFY_LIMIT",
	  "the host ran out of open files or inotify instances", INOTIFY_ADVICE },
	{ "oci runtime", "not found", ERR_FAILED_PRECONDITION, "RUNTIME_MISSING",
	  "the engine has no OCI runtime", "install runc or crun" },
	{ "cannot connect to", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", ENGINE_ADVICE },
	{ "connection refused", NULL, ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING",
	  "the engine does not answer", ENGINE_ADVICE },
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

static const struct complaint *find(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(complaints); i++) {
		const struct complaint *c = &complaints[i];

		if (strcasestr(text, c->words) && (!c->also || strcasestr(text, c->also)))
			return c;
	}
	return NULL;
}

/* The last line says what went wrong; the ones before it are warnings. Without "Error: ". */
static const char *last_line(const char *text, size_t *ret_len)
{
	size_t end = strlen(text), begin;

	while (end > 0 && strchr("\r\n\t ", text[end - 1]))
		end--;
	begin = end;
	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	if (strncmp(text + begin, "Error: ", 7) == 0)
		begin += 7;
	*ret_len = end - begin < 300 ? end - begin : 300;
	return text + begin;
}

int oci_error(const char *program, const char *complaint, int exit_code, struct err *err)
{
	size_t len;
	const char *line = last_line(complaint, &len);
	const struct complaint *c = find(complaint);

	if (!c) {
		if (!len)
			err_set(err, ERR_UNKNOWN, 0, "'%s' failed with exit code %d", program,
				exit_code);
		else
			err_set(err, ERR_UNKNOWN, 0, "%.*s (exit code %d)", (int)len, line,
				exit_code);
		return err_explain(err, "ENGINE_FAILED", NULL);
	}
	err_set(err, c->code, 0, "%s (%.*s)", c->sentence, (int)len, line);
	return err_explain(err, c->reason, c->advice);
}
