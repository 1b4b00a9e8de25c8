/*
 * A Pod from the wire through all that is pure: defaults, checks, hash, what is refused. Behind a byte 7,
 * which no message begins with, the Pod is grown from the input.
 */
#include "shared/base/cleanup.h"
#include "shared/pod/hash.h"
#include "shared/pod/pod.h"
#include "shared/wire/wire.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const char *const words[] = { "web",       "default",
				     "c",         "v",
				     "init",      "img:1",
				     "Always",    "Never",
				     "OnFailure", "IfNotPresent",
				     "TCP",       "UDP",
				     "100m",      "64Mi",
				     "cpu",       "memory",
				     "/data",     "../x",
				     "/var/../",  "Memory",
				     "Directory", "ClusterFirst",
				     "None",      "Bidirectional",
				     "Secret",    "RuntimeDefault",
				     "NET_ADMIN", "ephemeral-storage",
				     "File",      "u1" };

/* It is what its copy is, and finds its own. */
static void look_at_copy(const K8s__Core__V1__Pod *pod)
{
	cleanup_with(pod) K8s__Core__V1__Pod *copy = pod_copy(pod);

	PROMISE(copy && pod_compare(pod, copy) == POD_SAME && pod_compare(copy, pod) == POD_SAME);
	for (size_t i = 0; i < pod->spec->n_containers; i++) {
		const K8s__Core__V1__Container *c = pod->spec->containers[i];
		enum container_kind kind;

		PROMISE(pod_container(pod, c->name, &kind) == c && kind == CONTAINER_APP);
		container_pull_policy(c);
		container_is_sidecar(c);
	}
	PROMISE(!pod_container(pod, "_", NULL));
	pod_restart_policy(pod);
	pod_is_host_network(pod);
	free(copy->metadata->name);
	copy->metadata->name = strdup("another");
	PROMISE(copy->metadata->name);
	pod_compare(pod, copy);
}

static void look_at(K8s__Core__V1__Pod *pod)
{
	cleanup_with(strv) struct strv refused = { 0 }, ignored = { 0 };
	struct err err;

	if (pod_admit(pod, &err) < 0) {
		PROMISE(err.code != ERR_OK && err.msg[0]);
		return;
	}
	PROMISE(pod_check(pod, &err) == 0);
	look_at_copy(pod);
	pod_unsupported(pod, &refused, &ignored);
	for (size_t i = 0; i < pod->spec->n_containers; i++) {
		cleanup_with(text) struct text json = { 0 };

		container_json(pod->spec->containers[i], &json);
		PROMISE(container_hash(pod->spec->containers[i]) != 0);
		container_ports_json(pod->spec->containers[i], &json);
	}
}

static void look_at_grown(const uint8_t *bytes, size_t len)
{
	const struct message_words vocabulary = { words, ARRAY_LEN(words), { 0, NULL } };
	struct input in = { bytes, len };
	ProtobufCMessage *msg = message_make(&k8s__core__v1__pod__descriptor, &in, &vocabulary);

	look_at((K8s__Core__V1__Pod *)msg);
	protobuf_c_message_free_unpacked(msg, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	ProtobufCMessage *msg;
	struct err err;

	if (len && bytes[0] == 7) {
		look_at_grown(bytes + 1, len - 1);
		return 0;
	}
	if (wire_unpack_request(&k8s__core__v1__pod__descriptor, bytes, len, &msg, &err) < 0)
		return 0;
	look_at((K8s__Core__V1__Pod *)msg);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}
