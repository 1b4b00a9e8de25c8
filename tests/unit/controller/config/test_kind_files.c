/*
 * The shapes of cluster file that kind's documentation teaches, in files of our own: taken or refused as
 * kind does, every field that means nothing here told once.
 */
#include "controller/cluster/cluster.h"
#include "controller/config/cluster_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define HEAD   "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct shape {
	const char *teaches;
	const char *text;
	size_t nodes;
	size_t warnings; /* of fields that do not apply */
};

static const struct shape taken[] = {
	{ "the smallest file", HEAD, 1, 0 },
	{ "a name of its own", HEAD "name: app-1-cluster\n", 1, 0 },
	{ "feature gates", HEAD "featureGates:\n  \"CSIMigration\": true\n  Other: false\n", 1, 1 },
	{ "runtime config", HEAD "runtimeConfig:\n  \"api/alpha\": \"false\"\n  api/all: true\n", 1,
	  1 },
	{ "the family", HEAD "networking:\n  ipFamily: ipv6\n", 1, 0 },
	{ "both families", HEAD "networking:\n  ipFamily: dual\n", 1, 0 },
	{ "IPv6 with the API server on IPv4",
	  HEAD "networking:\n  ipFamily: ipv6\n  apiServerAddress: 127.0.0.1\n", 1, 0 },
	{ "where the API server listens",
	  HEAD "networking:\n  # loopback is the wise choice\n  apiServerAddress: \"127.0.0.1\"\n"
	       "  apiServerPort: 6443\n",
	  1, 0 },
	{ "a port of the engine's choice", HEAD "networking: {apiServerPort: -1}\n", 1, 0 },
	{ "pod and service subnets",
	  HEAD "networking:\n  podSubnet: \"10.32.0.0/16\"\n  serviceSubnet: \"10.80.0.0/12\"\n", 1,
	  0 },
	{ "subnets of both families",
	  HEAD "networking:\n  ipFamily: dual\n  podSubnet: \"10.32.0.0/16,fd00:1::/56\"\n"
	       "  serviceSubnet: \"fd00:2::/112,10.80.0.0/16\"\n",
	  1, 0 },
	{ "one subnet for both families",
	  HEAD "networking:\n  ipFamily: dual\n  podSubnet: \"10.32.0.0/16\"\n", 1, 0 },
	{ "a CNI of one's own", HEAD "networking:\n  disableDefaultCNI: true\n", 1, 1 },
	{ "kube-proxy's mode", HEAD "networking:\n  kubeProxyMode: \"nftables\"\n", 1, 1 },
	{ "no kube-proxy", HEAD "networking:\n  kubeProxyMode: \"none\"\n", 1, 1 },
	{ "search domains", HEAD "networking:\n  dnsSearch: [xyz.example, abc.example]\n", 1, 0 },
	{ "three workers",
	  HEAD "nodes:\n- role: control-plane\n- role: worker\n- role: worker\n- role: worker\n", 4,
	  0 },
	{ "an image with its digest",
	  HEAD "nodes:\n- role: control-plane\n  image: example/node:v1@" DIGEST "\n"
	       "- role: worker\n  image: example/node:v1@" DIGEST "\n",
	  2, 0 },
	{ "mounts of every kind",
	  HEAD "nodes:\n- role: control-plane\n  extraMounts:\n  - hostPath: /tmp\n"
	       "    containerPath: /files\n  - hostPath: /usr\n    containerPath: /other-files\n"
	       "    readOnly: true\n    selinuxRelabel: false\n    propagation: None\n"
	       "  - {hostPath: /tmp, containerPath: /a, propagation: HostToContainer}\n"
	       "  - {hostPath: /tmp, containerPath: /b, propagation: Bidirectional}\n",
	  1, 0 },
	{ "port mappings",
	  HEAD "nodes:\n- role: control-plane\n  extraPortMappings:\n  - containerPort: 80\n"
	       "    hostPort: 80\n    listenAddress: \"0.0.0.0\"\n    protocol: tcp\n"
	       "  - containerPort: 30000\n    hostPort: 30000\n    listenAddress: \"::\"\n"
	       "    protocol: UDP\n  - {containerPort: 7, hostPort: -1}\n  - containerPort: 8\n",
	  1, 0 },
	{ "node labels",
	  HEAD "nodes:\n- role: control-plane\n- role: worker\n  labels:\n    tier: frontend\n"
	       "    example.com/rank: \"1\"\n- role: worker\n  labels: {tier: backend}\n",
	  3, 0 },
	{ "patches of a node, as for an ingress",
	  HEAD "nodes:\n- role: control-plane\n  kubeadmConfigPatches:\n  - |\n"
	       "    kind: InitConfiguration\n    nodeRegistration:\n      kubeletExtraArgs:\n"
	       "        node-labels: \"ingress-ready=true\"\n  extraPortMappings:\n"
	       "  - containerPort: 80\n    hostPort: 8880\n    protocol: TCP\n"
	       "  - containerPort: 443\n    hostPort: 8443\n    protocol: TCP\n",
	  1, 1 },
	{ "patches of a joining node",
	  HEAD "nodes:\n- role: control-plane\n- role: worker\n  kubeadmConfigPatches:\n  - |\n"
	       "    kind: JoinConfiguration\n    nodeRegistration: {}\n",
	  2, 1 },
	{ "patches of the whole cluster",
	  HEAD "kubeadmConfigPatches:\n- |\n  apiVersion: kubelet.config.k8s.io/v1beta1\n"
	       "  kind: KubeletConfiguration\n  evictionHard:\n    nodefs.available: \"0%\"\n"
	       "kubeadmConfigPatchesJSON6902:\n- group: kubeadm.k8s.io\n  version: v1beta3\n"
	       "  kind: ClusterConfiguration\n  patch: |\n    - op: add\n"
	       "      path: /apiServer/certSANs/-\n      value: my-hostname\n",
	  1, 2 },
	{ "a local registry",
	  HEAD
	  "containerdConfigPatches:\n- |-\n  [plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
	  "    config_path = \"/etc/containerd/certs.d\"\n",
	  1, 1 },
	{ "containerd patches by RFC 6902", HEAD "containerdConfigPatchesJSON6902:\n- |\n  []\n", 1,
	  1 },
	{ "a registry's password by a mount",
	  HEAD "nodes:\n- role: control-plane\n  extraMounts:\n"
	       "  - containerPath: /var/lib/kubelet/config.json\n    hostPath: /etc/hostname\n",
	  1, 0 },
	{ "JSON",
	  "{\"kind\": \"Cluster\", \"apiVersion\": \"kind.x-k8s.io/v1alpha4\",\n"
	  "\t\"nodes\": [{\"role\": \"control-plane\"}, {\"role\": \"worker\"}]}\n",
	  2, 0 },
	{ "only the first document counts", HEAD "---\nnothing: here\n", 1, 0 },
	{ "several control planes, with a balancer of our own",
	  HEAD "nodes:\n- role: control-plane\n- role: control-plane\n- role: control-plane\n"
	       "- role: worker\n",
	  5, 0 },
	{ "the role left out", HEAD "nodes:\n- {}\n- role: worker\n", 2, 0 },
};

/* D11 CN-083 CN-260 */
static void what_kind_teaches_is_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = NULL;
		const struct shape *shape = &taken[i];
		struct err err = { 0 };

		if (cluster_config_read("c.yaml", shape->text, strlen(shape->text), &config, &err) <
			    0 ||
		    cluster_spec_check("c", NULL, config, NULL, &err) < 0)
			fail_msg("%s: %s", shape->teaches, err.msg);
		if (config->node_count != shape->nodes)
			fail_msg("%s: %zu nodes", shape->teaches, config->node_count);
		if (config->warnings.count != shape->warnings)
			fail_msg("%s: %zu warnings", shape->teaches, config->warnings.count);
	}
}

/* What kind refuses, where it is refused, and a part of what is said. */
static const struct {
	const char *text;
	const char *words;
} refused[] = {
	{ "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha3\n", "c.yaml:2:13: apiVersion" },
	{ "kind: Config\napiVersion: kind.sigs.k8s.io/v1alpha3\n", "c.yaml:1:7: kind 'Config'" },
	{ HEAD "nodes:\n- role: worker\n", "c.yaml:4:1: nodes has no node" },
	{ HEAD "nodes:\n- role: loadbalancer\n", "c.yaml:4:9: nodes[0].role" },
	{ HEAD "nodes:\n- role: external-load-balancer\n", "c.yaml:4:9: nodes[0].role" },
	{ HEAD "nodes:\n- role: control-plane\n  replicas: 3\n",
	  "c.yaml:5:3: unknown field 'replicas'" },
	{ HEAD "nodes:\n- role: control-plane\n  extraMounts:\n  - hostpath: /tmp\n",
	  "c.yaml:6:5: unknown field 'hostpath'" },
	{ HEAD "networking:\n  ipFamily: DualStack\n", "c.yaml:4:13: networking.ipFamily" },
	{ HEAD "networking:\n  kubeProxyMode: ebpf\n", "c.yaml:4:18: networking.kubeProxyMode" },
	{ HEAD "networking:\n  apiServerPort: 70000\n", "c.yaml:4:18: networking.apiServerPort" },
	{ HEAD "networking:\n  apiServerPort: -2\n", "c.yaml:4:18: networking.apiServerPort" },
	{ HEAD "networking:\n  podSubnet: 10.0.0.0\n", "c.yaml:4:14: networking.podSubnet" },
	{ HEAD "networking:\n  serviceSubnet: fd00::/112\n",
	  "c.yaml:4:18: networking.serviceSubnet" },
	{ HEAD "networking:\n  podSubnet: 10.0.0.0/16,10.1.0.0/16\n",
	  "c.yaml:4:14: networking.podSubnet" },
	{ HEAD "networking:\n  ipFamily: dual\n  podSubnet: 10.0.0.0/16,10.1.0.0/16\n",
	  "c.yaml:5:14: networking.podSubnet" },
	{ HEAD "networking:\n  ipFamily: dual\n  podSubnet: 10.0.0.0/16,fd00::/64,fd01::/64\n",
	  "c.yaml:5:14: networking.podSubnet" },
	{ HEAD "networking:\n  ipFamily: ipv6\n  podSubnet: 10.0.0.0/16\n",
	  "c.yaml:5:14: networking.podSubnet" },
	{ HEAD "nodes:\n- extraPortMappings:\n  - {containerPort: 80, hostPort: 65536}\n",
	  "hostPort is 65536" },
	{ HEAD "nodes:\n- extraPortMappings:\n  - {containerPort: -2}\n", "containerPort is -2" },
	{ HEAD "nodes:\n- extraPortMappings:\n  - {containerPort: 80, protocol: ICMP}\n",
	  "protocol is 'ICMP'" },
	{ HEAD "nodes:\n- extraPortMappings:\n"
	       "  - {containerPort: 80, hostPort: 80, listenAddress: 127.0.0.1}\n"
	       "  - {containerPort: 81, hostPort: 80, listenAddress: 127.0.0.1}\n",
	  "wants host port 80 twice" },
	{ HEAD "nodes:\n- extraPortMappings:\n"
	       "  - {containerPort: 80, hostPort: 80, listenAddress: 127.0.0.1}\n"
	       "  - {containerPort: 81, hostPort: 80, listenAddress: \"::\"}\n",
	  "wants host port 80 twice" },
	{ HEAD "containerdConfigPatches:\n  a: b\n", "must be a list" },
	{ HEAD "kubeadmConfigPatchesJSON6902:\n- {group: a, name: x}\n", "unknown field 'name'" },
	{ HEAD "featureGates:\n  A: maybe\n", "featureGates.A must be true or false" },
	{ HEAD "nodes:\n- role: control-plane\n labels: {}\n", "c.yaml:5:" },
};

/* CN-083 CN-097 */
static void what_kind_refuses_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = NULL;
		const char *text = refused[i].text;
		struct err err = { 0 };

		if (cluster_config_read("c.yaml", text, strlen(text), &config, &err) == 0 &&
		    cluster_spec_check("c", NULL, config, NULL, &err) == 0)
			fail_msg("taken: %s", text);
		if (!strstr(err.msg, refused[i].words))
			fail_msg("no \"%s\" in: %s", refused[i].words, err.msg);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_kind_teaches_is_taken),
		cmocka_unit_test(what_kind_refuses_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
