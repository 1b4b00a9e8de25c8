#include "shared/pod/pod.h"

#include "shared/pod/manifest.h"

#include <stdlib.h>
#include <string.h>

/* What is filled in goes where protobuf-c frees it: strings and messages of their own. */

static bool set_string(char **at, const char *value)
{
	if (*at && **at)
		return true;
	free(*at);
	*at = strdup(value);
	return *at != NULL;
}

static void set_number(protobuf_c_boolean *has, int32_t *at, int32_t value)
{
	if (*has && *at)
		return;
	*has = 1;
	*at = value;
}

static void drop_message(void *at, size_t count)
{
	ProtobufCMessage **items = at;

	for (size_t i = 0; i < count; i++)
		protobuf_c_message_free_unpacked(items[i], NULL);
}

#define DROP(member)                                                             \
	do {                                                                     \
		if (member)                                                      \
			protobuf_c_message_free_unpacked(&(member)->base, NULL); \
		(member) = NULL;                                                 \
	} while (0)

#define DROP_LIST(n, list)             \
	do {                           \
		drop_message(list, n); \
		free(list);            \
		(list) = NULL;         \
		(n) = 0;               \
	} while (0)

#define DROP_STRING(member)      \
	do {                     \
		free(member);    \
		(member) = NULL; \
	} while (0)

/* Only an API server writes these; they say nothing about what is wanted. */
static void drop_server_fields(K8s__Core__V1__Pod *pod)
{
	K8s__Core__V1__ObjectMeta *meta = pod->metadata;

	DROP(pod->status);
	DROP(meta->creationtimestamp);
	DROP(meta->deletiontimestamp);
	DROP_LIST(meta->n_managedfields, meta->managedfields);
	DROP_LIST(meta->n_ownerreferences, meta->ownerreferences);
	DROP_STRING(meta->selflink);
	DROP_STRING(meta->resourceversion);
	meta->has_generation = 0;
	meta->has_deletiongraceperiodseconds = 0;
}

static int compare_entries(const void *a, const void *b)
{
	/* Every map entry begins like this one. */
	const K8s__Core__V1__ObjectMeta__LabelsEntry *x = *(void *const *)a, *y = *(void *const *)b;

	return strcmp(x->key ? x->key : "", y->key ? y->key : "");
}

static void sort_maps(ProtobufCMessage *msg)
{
	for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &msg->descriptor->fields[i];
		ProtobufCMessage *const *items;
		size_t count = manifest_messages(f, msg, &items);

		if (manifest_is_map(f) && count)
			qsort((void *)items, count, sizeof(*items), compare_entries);
		for (size_t k = 0; k < count; k++)
			sort_maps(items[k]);
	}
}

static bool default_http_get(K8s__Core__V1__HTTPGetAction *get)
{
	return set_string(&get->path, "/") && set_string(&get->scheme, "HTTP");
}

static bool default_probe(K8s__Core__V1__Probe *p)
{
	if (!p)
		return true;
	set_number(&p->has_timeoutseconds, &p->timeoutseconds, 1);
	set_number(&p->has_periodseconds, &p->periodseconds, 10);
	set_number(&p->has_successthreshold, &p->successthreshold, 1);
	set_number(&p->has_failurethreshold, &p->failurethreshold, 3);
	return !p->handler || !p->handler->httpget || default_http_get(p->handler->httpget);
}

static bool default_hook(K8s__Core__V1__LifecycleHandler *h)
{
	return !h || !h->httpget || default_http_get(h->httpget);
}

static bool has_request(const K8s__Core__V1__ResourceRequirements *r, const char *key)
{
	for (size_t i = 0; i < r->n_requests; i++) {
		if (r->requests[i]->key && strcmp(r->requests[i]->key, key) == 0)
			return true;
	}
	return false;
}

static K8s__Core__V1__ResourceRequirements__RequestsEntry *
request_from(const K8s__Core__V1__ResourceRequirements__LimitsEntry *limit)
{
	K8s__Core__V1__ResourceRequirements__RequestsEntry *entry = malloc(sizeof(*entry));

	if (!entry)
		return NULL;
	k8s__core__v1__resource_requirements__requests_entry__init(entry);
	entry->value = malloc(sizeof(*entry->value));
	entry->key = strdup(limit->key);
	if (entry->value) {
		k8s__core__v1__quantity__init(entry->value);
		entry->value->string = strdup(limit->value->string);
	}
	if (entry->key && entry->value && entry->value->string)
		return entry;
	protobuf_c_message_free_unpacked(&entry->base, NULL);
	return NULL;
}

/* A limit without a request is also the request. */
static bool default_requests(K8s__Core__V1__ResourceRequirements *r)
{
	for (size_t i = 0; r && i < r->n_limits; i++) {
		const K8s__Core__V1__ResourceRequirements__LimitsEntry *limit = r->limits[i];
		void *more;

		if (!limit->key || !limit->value || !limit->value->string ||
		    has_request(r, limit->key))
			continue;
		more = realloc(r->requests, (r->n_requests + 1) * sizeof(*r->requests));
		if (!more)
			return false;
		r->requests = more;
		r->requests[r->n_requests] = request_from(limit);
		if (!r->requests[r->n_requests])
			return false;
		r->n_requests++;
	}
	return true;
}

static bool default_port(K8s__Core__V1__ContainerPort *port, bool host_network)
{
	if (host_network && port->has_containerport)
		set_number(&port->has_hostport, &port->hostport, port->containerport);
	return set_string(&port->protocol, "TCP");
}

static bool default_env(K8s__Core__V1__EnvVar *env)
{
	return !env->valuefrom || !env->valuefrom->fieldref ||
	       set_string(&env->valuefrom->fieldref->apiversion, "v1");
}

static const char *pull_policy_name(const K8s__Core__V1__Container *c)
{
	return container_pull_policy(c) == PULL_ALWAYS ? "Always" : "IfNotPresent";
}

static bool default_container(K8s__Core__V1__Container *c, bool host_network)
{
	bool ok = set_string(&c->imagepullpolicy, pull_policy_name(c)) &&
		  set_string(&c->terminationmessagepath, "/dev/termination-log") &&
		  set_string(&c->terminationmessagepolicy, "File") &&
		  default_requests(c->resources) && default_probe(c->livenessprobe) &&
		  default_probe(c->readinessprobe) && default_probe(c->startupprobe);

	for (size_t i = 0; ok && i < c->n_ports; i++)
		ok = default_port(c->ports[i], host_network);
	for (size_t i = 0; ok && i < c->n_env; i++)
		ok = default_env(c->env[i]);
	if (ok && c->lifecycle)
		ok = default_hook(c->lifecycle->poststart) && default_hook(c->lifecycle->prestop);
	return ok;
}

static bool default_spec(K8s__Core__V1__PodSpec *spec)
{
	bool host = spec->has_hostnetwork && spec->hostnetwork;
	bool ok = set_string(&spec->restartpolicy, "Always") &&
		  set_string(&spec->dnspolicy, "ClusterFirst");

	if (!spec->has_terminationgraceperiodseconds) {
		spec->has_terminationgraceperiodseconds = 1;
		spec->terminationgraceperiodseconds = 30;
	}
	for (size_t i = 0; ok && i < spec->n_containers; i++)
		ok = default_container(spec->containers[i], host);
	for (size_t i = 0; ok && i < spec->n_initcontainers; i++)
		ok = default_container(spec->initcontainers[i], host);
	for (size_t i = 0; ok && i < spec->n_ephemeralcontainers; i++) {
		void *common = spec->ephemeralcontainers[i]->ephemeralcontainercommon;

		ok = !common || default_container(common, host);
	}
	return ok;
}

int pod_default(K8s__Core__V1__Pod *pod, struct err *err)
{
	if (!pod->metadata) {
		pod->metadata = malloc(sizeof(*pod->metadata));
		if (!pod->metadata)
			return err_oom(err);
		k8s__core__v1__object_meta__init(pod->metadata);
	}
	drop_server_fields(pod);
	if (!set_string(&pod->metadata->namespace_, "default") ||
	    (pod->spec && !default_spec(pod->spec)))
		return err_oom(err);
	sort_maps(&pod->base);
	return 0;
}
