#include "shared/pod/resources.h"

#include "shared/pod/quantity.h"

#include <string.h>

static int64_t amount(const char *resource, const K8s__Core__V1__Quantity *q)
{
	struct quantity value;

	if (!q || !q->string || !quantity_parse(q->string, &value))
		return -1;
	return strcmp(resource, "cpu") == 0 ? quantity_milli(&value) : quantity_value(&value);
}

int64_t container_limit(const K8s__Core__V1__Container *c, const char *resource)
{
	const K8s__Core__V1__ResourceRequirements *r = c->resources;

	for (size_t i = 0; r && i < r->n_limits; i++) {
		if (r->limits[i]->key && strcmp(r->limits[i]->key, resource) == 0)
			return amount(resource, r->limits[i]->value);
	}
	return -1;
}

int64_t container_request_of(const K8s__Core__V1__Container *c, const char *resource)
{
	const K8s__Core__V1__ResourceRequirements *r = c->resources;

	for (size_t i = 0; r && i < r->n_requests; i++) {
		if (r->requests[i]->key && strcmp(r->requests[i]->key, resource) == 0)
			return amount(resource, r->requests[i]->value);
	}
	return -1;
}

struct qos_tally {
	bool any;        /* something is asked for or limited */
	bool guaranteed; /* so far */
};

static void tally_resource(struct qos_tally *t, const K8s__Core__V1__Container *c, const char *name)
{
	int64_t limit = container_limit(c, name), request = container_request_of(c, name);

	if (limit > 0 || request > 0)
		t->any = true;
	if (limit <= 0 || (request >= 0 && request != limit))
		t->guaranteed = false;
}

static void tally(struct qos_tally *t, K8s__Core__V1__Container *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		tally_resource(t, list[i], "cpu");
		tally_resource(t, list[i], "memory");
	}
}

enum pod_qos pod_qos(const K8s__Core__V1__Pod *pod)
{
	struct qos_tally t = { .guaranteed = true };

	tally(&t, pod->spec->containers, pod->spec->n_containers);
	tally(&t, pod->spec->initcontainers, pod->spec->n_initcontainers);
	if (!t.any)
		return QOS_BEST_EFFORT;
	return t.guaranteed ? QOS_GUARANTEED : QOS_BURSTABLE;
}

int64_t resources_cpu_shares(const K8s__Core__V1__Container *c)
{
	int64_t milli = container_request_of(c, "cpu");

	if (milli < 0)
		milli = container_limit(c, "cpu");
	if (milli <= 0)
		return 2;
	if (milli > 256000)
		return 262144;
	milli = milli * 1024 / 1000;
	return milli < 2 ? 2 : milli;
}

int64_t resources_cpu_quota_us(const K8s__Core__V1__Container *c)
{
	int64_t milli = container_limit(c, "cpu");
	int64_t quota;

	if (milli <= 0)
		return 0;
	quota = milli > INT64_MAX / 100 ? INT64_MAX : milli * 100;
	return quota < 1000 ? 1000 : quota;
}

int64_t resources_oom_score_adj(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Container *c,
				int64_t node_memory_bytes)
{
	const char *class = pod->spec->priorityclassname;
	int64_t request = container_request_of(c, "memory"), score = 1000;

	if (class && strcmp(class, "system-node-critical") == 0)
		return -997;
	switch (pod_qos(pod)) {
	case QOS_GUARANTEED:
		return -997;
	case QOS_BEST_EFFORT:
		return 1000;
	default:
		break;
	}
	if (request > 0 && node_memory_bytes > 0)
		score = 1000 - (int64_t)((__int128)1000 * request / node_memory_bytes);
	if (score < 3)
		return 3;
	return score > 999 ? 999 : score;
}
