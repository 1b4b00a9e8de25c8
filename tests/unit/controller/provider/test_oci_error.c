/* What the engines say when something is wrong, word by word, and what a person is told. */
#include "controller/provider/oci_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define HELP "\n\nRun 'docker run --help' for more information\n"

/* Provoked from docker 20.10.24 (client and daemon) and its 28.2 client, and podman 4.3.1 with runc. */
static const struct {
	const char *complaint;
	enum err_code code;
	const char *reason;
} rows[] = {
	{ "docker: Error response from daemon: No such image: nope:1" HELP, ERR_NOT_FOUND,
	  "IMAGE_NOT_FOUND" },
	{ "[]\nError response from daemon: no such image: nope:1: No such image: nope:1\n",
	  ERR_NOT_FOUND, "IMAGE_NOT_FOUND" },
	{ "docker: Error response from daemon: Conflict. The container name \"/n\" is already in "
	  "use by container \"bc0f\". You have to remove (or rename) that container to be able to "
	  "reuse that name." HELP,
	  ERR_ALREADY_EXISTS, "NAME_IN_USE" },
	{ "docker: Error response from daemon: Address already in use" HELP, ERR_ALREADY_EXISTS,
	  "IP_IN_USE" },
	{ "docker: Error response from daemon: Invalid address 10.212.0.2: It does not belong to "
	  "any of this network's subnets" HELP,
	  ERR_INVALID_ARGUMENT, "IP_OUTSIDE_SUBNET" },
	{ "docker: Error response from daemon: network nonet not found" HELP, ERR_NOT_FOUND,
	  "NETWORK_NOT_FOUND" },
	{ "Error response from daemon: No such network: nonet\n", ERR_NOT_FOUND,
	  "NETWORK_NOT_FOUND" },
	{ "Error response from daemon: Pool overlaps with other one on this address space\n",
	  ERR_ALREADY_EXISTS, "SUBNET_TAKEN" },
	{ "Error response from daemon: failed to allocate gateway (10.1.0.1): Address already in "
	  "use\n",
	  ERR_ALREADY_EXISTS, "GATEWAY_TAKEN" },
	{ "Error response from daemon: network with name n already exists\n", ERR_ALREADY_EXISTS,
	  "NETWORK_EXISTS" },
	{ "Error response from daemon: error while removing network: network n id 0301 has active "
	  "endpoints\nexit status 1\n",
	  ERR_FAILED_PRECONDITION, "NETWORK_IN_USE" },
	{ "Error response from daemon: network n is ambiguous (2 matches found based on name)\n"
	  "exit status 1\n",
	  ERR_ABORTED, "NETWORK_AMBIGUOUS" },
	{ "Error response from daemon: No such container: n\nError: failed to start containers: "
	  "n\n",
	  ERR_NOT_FOUND, "NODE_NOT_FOUND" },
	{ "Error response from daemon: Cannot kill container: n: Container bc0f is not running\n",
	  ERR_FAILED_PRECONDITION, "NODE_NOT_RUNNING" },
	{ "Error response from daemon: removal of container n is already in progress\n",
	  ERR_ABORTED, "DELETE_STUCK" },
	{ "docker: Error response from daemon: Range of CPUs is from 0.01 to 2.00, as there are "
	  "only 2 CPUs available" HELP,
	  ERR_OUT_OF_RANGE, "TOO_MANY_CPUS" },
	{ "docker: Error response from daemon: Minimum memory limit allowed is 6MB" HELP,
	  ERR_OUT_OF_RANGE, "MEMORY_TOO_SMALL" },
	{ "Error: OCI runtime error: runc: runc create failed: unable to start container process: "
	  "error during container init: error setting cgroup config for procHooks process: unable "
	  "to set memory limit to 102400 (current usage: 2621440, peak usage: 2682880)\n",
	  ERR_OUT_OF_RANGE, "MEMORY_TOO_SMALL" },
	{ "docker: Error response from daemon: could not select device driver \"\" with "
	  "capabilities: [[gpu]]" HELP,
	  ERR_NOT_FOUND, "GPU_NOT_FOUND" },
	{ "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all\n",
	  ERR_NOT_FOUND, "GPU_NOT_FOUND" },
	{ "Error: stat /dev/kfd: no such file or directory\n", ERR_NOT_FOUND, "GPU_NOT_FOUND" },
	{ "docker: Error response from daemon: driver failed programming external connectivity on "
	  "endpoint n (d247): Error starting userland proxy: listen tcp4 127.0.0.1:18999: bind: "
	  "address already in use" HELP,
	  ERR_ALREADY_EXISTS, "PORT_IN_USE" },
	{ "docker: Error response from daemon: driver failed programming external connectivity on "
	  "endpoint n (d247): Bind for 127.0.0.1:18999 failed: port is already allocated.\nSee "
	  "'docker run --help'.\n",
	  ERR_ALREADY_EXISTS, "PORT_IN_USE" },
	{ "docker: Error response from daemon: invalid mount config for type \"bind\": bind source "
	  "path does not exist: /nonexist" HELP,
	  ERR_NOT_FOUND, "MOUNT_SOURCE_NOT_FOUND" },
	{ "docker: Error response from daemon: error setting label on mount source '/usr': "
	  "relabeling content in /usr is not allowed" HELP,
	  ERR_INVALID_ARGUMENT, "RELABEL_REFUSED" },
	{ "Error: SELinux relabeling of /usr is not allowed\n", ERR_INVALID_ARGUMENT,
	  "RELABEL_REFUSED" },
	{ "docker: Error response from daemon: write /var/lib/docker/x: no space left on "
	  "device" HELP,
	  ERR_RESOURCE_EXHAUSTED, "NO_SPACE" },
	{ "docker: Error response from daemon: image with reference img was found but does not "
	  "match the specified platform: wanted linux/arm64, actual: linux/amd64" HELP,
	  ERR_FAILED_PRECONDITION, "IMAGE_WRONG_ARCH" },
	{ "docker: image operating system \"linux\" cannot be used on this platform.\n",
	  ERR_FAILED_PRECONDITION, "WINDOWS_CONTAINERS" },
	{ "Cannot connect to the Docker daemon at unix:///nope. Is the docker daemon running?\n",
	  ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING" },
	{ "error during connect: Get \"http://nohost.example:1/v1.50/containers/json\": dial tcp: "
	  "lookup nohost.example: no such host\n",
	  ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING" },
	{ "Cannot connect to Podman. Please verify your connection to the Linux system using "
	  "`podman system connection list`\nError: unable to connect to Podman socket: Get "
	  "\"http://d/v4.3.1/libpod/_ping\": dial unix /none.sock: connect: no such file or "
	  "directory\n",
	  ERR_UNAVAILABLE, "ENGINE_NOT_ANSWERING" },
	{ "permission denied while trying to connect to the Docker daemon socket at "
	  "unix:///var/run/docker.sock: Get \"http://x/v1.24/containers/json\": dial unix "
	  "/var/run/docker.sock: connect: permission denied\n",
	  ERR_PERMISSION_DENIED, "ENGINE_NOT_PERMITTED" },
	{ "Error response from daemon: client version 1.60 is too new. Maximum supported API "
	  "version is 1.41\n",
	  ERR_FAILED_PRECONDITION, "ENGINE_TOO_OLD" },
	{ "Failed to initialize: unable to resolve docker endpoint: context \"nocontext\": context "
	  "not found: open /meta.json: no such file or directory\n",
	  ERR_NOT_FOUND, "CONTEXT_NOT_FOUND" },
	{ "Error response from daemon: Cannot read IPv6 setup for bridge br-1: open "
	  "/proc/sys/net/ipv6/conf/br-1/disable_ipv6: no such file or directory\n",
	  ERR_FAILED_PRECONDITION, "IPV6_UNAVAILABLE" },
	{ "docker: Error response from daemon: failed to create shim task: OCI runtime create "
	  "failed: runc create failed: unable to start container process: error during container "
	  "init: error setting rlimits for ready process: error setting rlimit type 7: operation "
	  "not permitted: unknown" HELP,
	  ERR_PERMISSION_DENIED, "LIMIT_TOO_HIGH" },
	{ "Error response from daemon: manifest for alpine:nope not found: manifest unknown: "
	  "manifest "
	  "unknown\n",
	  ERR_NOT_FOUND, "IMAGE_NOT_FOUND" },
	{ "Error response from daemon: pull access denied for nope, repository does not exist or "
	  "may "
	  "require 'docker login': denied: requested access to the resource is denied\n",
	  ERR_PERMISSION_DENIED, "REGISTRY_DENIED" },
	{ "Error: initializing source docker://docker.io/library/nope:latest: reading manifest "
	  "latest "
	  "in docker.io/library/nope: errors:\ndenied: requested access to the resource is denied\n"
	  "unauthorized: authentication required\n",
	  ERR_PERMISSION_DENIED, "REGISTRY_DENIED" },
	{ "Error: short-name \"nope\" did not resolve to an alias and no unqualified-search "
	  "registries "
	  "are defined in \"/etc/containers/registries.conf\"\n",
	  ERR_NOT_FOUND, "IMAGE_NOT_FOUND" },
	{ "Error: initializing source docker://quay.io/x/y:1: pinging container registry quay.io: "
	  "Get "
	  "\"https://quay.io/v2/\": dial tcp: lookup quay.io: no such host\n",
	  ERR_UNAVAILABLE, "REGISTRY_UNREACHABLE" },
	{ "Error: initializing source docker://localhost:5999/x:1: pinging container registry "
	  "localhost:5999: Get \"https://localhost:5999/v2/\": dial tcp 127.0.0.1:5999: connect: "
	  "connection refused\n",
	  ERR_UNAVAILABLE, "REGISTRY_UNREACHABLE" },
	{ "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": net/http: request "
	  "canceled while waiting for connection (Client.Timeout exceeded while awaiting "
	  "headers)\n",
	  ERR_UNAVAILABLE, "REGISTRY_UNREACHABLE" },
	{ "Error response from daemon: received unexpected HTTP status: 503 Service Unavailable\n",
	  ERR_UNAVAILABLE, "REGISTRY_UNREACHABLE" },
	{ "Error response from daemon: toomanyrequests: You have reached your pull rate limit.\n",
	  ERR_RESOURCE_EXHAUSTED, "REGISTRY_LIMIT" },
};

/* CN-057 CN-098 CN-102 CN-221 CN-240 CN-241 CN-242 */
static void complaints_of_both_engines_become_reasons(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err;

		assert_int_equal(oci_error("docker", rows[i].complaint, 125, &err), -1);
		if (strcmp(err.reason, rows[i].reason) != 0)
			fail_msg("%s instead of %s: %s", err.reason, rows[i].reason,
				 rows[i].complaint);
		assert_int_equal(err.code, rows[i].code);
		assert_null(strchr(err.msg, '\n'));
		assert_null(strstr(err.msg, "--help"));
	}
}

/* CN-244: the engine's own words stay, what the program puts around them does not. */
static void engines_words_stand_behind_ours(void **state)
{
	struct err err;

	(void)state;
	oci_error("docker", rows[3].complaint, 125, &err);
	assert_string_equal(err.msg, "the node's address is taken (Address already in use)");
	oci_error("docker", "docker: Error response from daemon: the moon is wrong" HELP, 125,
		  &err);
	assert_string_equal(err.msg, "the moon is wrong (exit code 125)");
	assert_string_equal(err.reason, "ENGINE_FAILED");
	oci_error("docker", "See 'docker run --help'.\n", 125, &err);
	assert_string_equal(err.msg, "'docker' failed with exit code 125");
	oci_error("docker", "", 3, &err);
	assert_string_equal(err.msg, "'docker' failed with exit code 3");
}

/* Warnings before it are not the complaint, and two lines do not make one. */
static void each_line_is_judged_alone(void **state)
{
	struct err err;

	(void)state;
	oci_error("podman",
		  "level=warning msg=\"the network is slow\"\nError: the file was not found\n", 125,
		  &err);
	assert_string_equal(err.reason, "ENGINE_FAILED");
	oci_error("podman",
		  "Error: statfs /x: no such file or directory\nlevel=error msg=\"and more\"\n",
		  125, &err);
	assert_string_equal(err.reason, "MOUNT_SOURCE_NOT_FOUND");
	assert_non_null(strstr(err.msg, "(statfs /x: no such file or directory)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complaints_of_both_engines_become_reasons),
		cmocka_unit_test(engines_words_stand_behind_ours),
		cmocka_unit_test(each_line_is_judged_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
