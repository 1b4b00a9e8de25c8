#include "shared/pod/pod.h"

#include "shared/pod/manifest.h"

#include <stdlib.h>
#include <string.h>

/* A Container and the common part of an ephemeral container are declared with the same fields in
 * the same order; pod_container() relies on it. */
_Static_assert(sizeof(K8s__Core__V1__Container) == sizeof(K8s__Core__V1__EphemeralContainerCommon),
	       "an ephemeral container is no container");
_Static_assert(offsetof(K8s__Core__V1__Container, tty) ==
		       offsetof(K8s__Core__V1__EphemeralContainerCommon, tty),
	       "an ephemeral container is no container");
_Static_assert(offsetof(K8s__Core__V1__Container, securitycontext) ==
		       offsetof(K8s__Core__V1__EphemeralContainerCommon, securitycontext),
	       "an ephemeral container is no container");

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

const char *pod_name(const K8s__Core__V1__Pod *pod)
{
	return pod->metadata ? or_empty(pod->metadata->name) : "";
}

const char *pod_namespace(const K8s__Core__V1__Pod *pod)
{
	return pod->metadata ? or_empty(pod->metadata->namespace_) : "";
}

const char *pod_uid(const K8s__Core__V1__Pod *pod)
{
	return pod->metadata ? or_empty(pod->metadata->uid) : "";
}

enum restart_policy pod_restart_policy(const K8s__Core__V1__Pod *pod)
{
	const char *policy = pod->spec ? or_empty(pod->spec->restartpolicy) : "";

	if (strcmp(policy, "Never") == 0)
		return RESTART_NEVER;
	return strcmp(policy, "OnFailure") == 0 ? RESTART_ON_FAILURE : RESTART_ALWAYS;
}

bool container_is_sidecar(const K8s__Core__V1__Container *c)
{
	return c->restartpolicy && strcmp(c->restartpolicy, "Always") == 0;
}

bool pod_is_host_network(const K8s__Core__V1__Pod *pod)
{
	return pod->spec && pod->spec->has_hostnetwork && pod->spec->hostnetwork;
}

/* The tag is what follows the last ':' behind the last '/'. */
static bool image_floats(const char *image)
{
	const char *name = strrchr(image, '/');
	const char *tag = strchr(name ? name : image, ':');

	return !strchr(image, '@') && (!tag || strcmp(tag, ":latest") == 0);
}

enum pull_policy container_pull_policy(const K8s__Core__V1__Container *c)
{
	const char *policy = or_empty(c->imagepullpolicy);

	if (strcmp(policy, "Always") == 0)
		return PULL_ALWAYS;
	if (strcmp(policy, "Never") == 0)
		return PULL_NEVER;
	if (!*policy && image_floats(or_empty(c->image)))
		return PULL_ALWAYS;
	return PULL_IF_NOT_PRESENT;
}

static const K8s__Core__V1__Container *find(K8s__Core__V1__Container *const *list, size_t count,
					    const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(or_empty(list[i]->name), name) == 0)
			return list[i];
	}
	return NULL;
}

static const K8s__Core__V1__Container *find_ephemeral(const K8s__Core__V1__PodSpec *spec,
						      const char *name)
{
	for (size_t i = 0; i < spec->n_ephemeralcontainers; i++) {
		const void *common = spec->ephemeralcontainers[i]->ephemeralcontainercommon;
		const K8s__Core__V1__Container *c = common;

		if (c && strcmp(or_empty(c->name), name) == 0)
			return c;
	}
	return NULL;
}

const K8s__Core__V1__Container *pod_container(const K8s__Core__V1__Pod *pod, const char *name,
					      enum container_kind *ret_kind)
{
	const K8s__Core__V1__PodSpec *spec = pod->spec;
	enum container_kind kind = CONTAINER_APP;
	const K8s__Core__V1__Container *c;

	if (!spec)
		return NULL;
	c = find(spec->containers, spec->n_containers, name);
	if (!c) {
		kind = CONTAINER_INIT;
		c = find(spec->initcontainers, spec->n_initcontainers, name);
	}
	if (!c) {
		kind = CONTAINER_EPHEMERAL;
		c = find_ephemeral(spec, name);
	}
	if (c && ret_kind)
		*ret_kind = kind;
	return c;
}

static uint8_t *pack(const K8s__Core__V1__Pod *pod, size_t *ret_len)
{
	size_t len = k8s__core__v1__pod__get_packed_size(pod);
	uint8_t *bytes = malloc(len ? len : 1);

	if (bytes)
		*ret_len = k8s__core__v1__pod__pack(pod, bytes);
	return bytes;
}

K8s__Core__V1__Pod *pod_copy(const K8s__Core__V1__Pod *pod)
{
	size_t len = 0;
	cleanup_free uint8_t *bytes = pack(pod, &len);

	return bytes ? k8s__core__v1__pod__unpack(NULL, len, bytes) : NULL;
}

static bool is_equal(const K8s__Core__V1__Pod *a, const K8s__Core__V1__Pod *b)
{
	size_t a_len = 0, b_len = 0;
	cleanup_free uint8_t *a_bytes = pack(a, &a_len);
	cleanup_free uint8_t *b_bytes = pack(b, &b_len);

	return a_bytes && b_bytes && a_len == b_len && memcmp(a_bytes, b_bytes, a_len) == 0;
}

/* A shallow copy without what may change while the sandbox stays. */
static void keep_sandbox_part(const K8s__Core__V1__Pod *pod, K8s__Core__V1__Pod *ret_pod,
			      K8s__Core__V1__PodSpec *ret_spec)
{
	*ret_pod = *pod;
	*ret_spec = *pod->spec;
	ret_pod->metadata = NULL;
	ret_pod->spec = ret_spec;
	ret_spec->n_containers = 0;
	ret_spec->n_initcontainers = 0;
	ret_spec->n_ephemeralcontainers = 0;
	ret_spec->n_tolerations = 0;
	ret_spec->has_terminationgraceperiodseconds = 0;
	ret_spec->has_activedeadlineseconds = 0;
	ret_spec->affinity = NULL;
}

/* Init containers that were added or taken away would never run in a pod that is initialized. */
static bool has_same_init(const K8s__Core__V1__PodSpec *a, const K8s__Core__V1__PodSpec *b)
{
	if (a->n_initcontainers != b->n_initcontainers)
		return false;
	for (size_t i = 0; i < a->n_initcontainers; i++) {
		if (strcmp(or_empty(a->initcontainers[i]->name),
			   or_empty(b->initcontainers[i]->name)) ||
		    container_is_sidecar(a->initcontainers[i]) !=
			    container_is_sidecar(b->initcontainers[i]))
			return false;
	}
	return true;
}

enum pod_change pod_compare(const K8s__Core__V1__Pod *was, const K8s__Core__V1__Pod *wanted)
{
	K8s__Core__V1__ObjectMeta a_meta = *was->metadata, b_meta = *wanted->metadata;
	K8s__Core__V1__Pod a = *was, b = *wanted;
	K8s__Core__V1__PodSpec a_spec, b_spec;

	a_meta.uid = b_meta.uid = NULL;
	a.metadata = &a_meta;
	b.metadata = &b_meta;
	if (is_equal(&a, &b))
		return POD_SAME;
	keep_sandbox_part(was, &a, &a_spec);
	keep_sandbox_part(wanted, &b, &b_spec);
	if (is_equal(&a, &b) && has_same_init(was->spec, wanted->spec))
		return POD_CHANGED_IN_PLACE;
	return POD_REPLACED;
}
