/* A Pod from the wire through all that is pure: defaults, checks, hash, what is refused. */
#include "shared/base/cleanup.h"
#include "shared/pod/hash.h"
#include "shared/pod/pod.h"
#include "shared/wire/wire.h"
#include "tests/fuzz/fuzz.h"

static void look_at(K8s__Core__V1__Pod *pod)
{
	cleanup_with(strv) struct strv refused = { 0 }, ignored = { 0 };
	struct err err;

	if (pod_admit(pod, &err) < 0) {
		PROMISE(err.code != ERR_OK && err.msg[0]);
		return;
	}
	PROMISE(pod_check(pod, &err) == 0);
	pod_unsupported(pod, &refused, &ignored);
	for (size_t i = 0; i < pod->spec->n_containers; i++) {
		cleanup_with(text) struct text json = { 0 };

		container_json(pod->spec->containers[i], &json);
		PROMISE(container_hash(pod->spec->containers[i]) != 0);
		container_ports_json(pod->spec->containers[i], &json);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	ProtobufCMessage *msg;
	struct err err;

	if (wire_unpack_request(&k8s__core__v1__pod__descriptor, bytes, len, &msg, &err) < 0)
		return 0;
	look_at((K8s__Core__V1__Pod *)msg);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}
