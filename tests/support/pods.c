#include "tests/support/pods.h"

#include "shared/pod/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *must(void *p)
{
	assert_non_null(p);
	return p;
}

static K8s__Core__V1__Container *new_container(const char *name)
{
	K8s__Core__V1__Container *c = must(malloc(sizeof(*c)));

	k8s__core__v1__container__init(c);
	c->name = must(strdup(name));
	c->image = must(strdup("img:1"));
	return c;
}

static void append(size_t *n, void *list, void *item)
{
	void ***items = list;

	*items = must(realloc(*items, (*n + 1) * sizeof(void *)));
	(*items)[(*n)++] = item;
}

static void add_ephemeral(K8s__Core__V1__PodSpec *spec, const char *name)
{
	K8s__Core__V1__EphemeralContainer *e = must(malloc(sizeof(*e)));

	k8s__core__v1__ephemeral_container__init(e);
	e->ephemeralcontainercommon = must(malloc(sizeof(*e->ephemeralcontainercommon)));
	k8s__core__v1__ephemeral_container_common__init(e->ephemeralcontainercommon);
	e->ephemeralcontainercommon->name = must(strdup(name));
	e->ephemeralcontainercommon->image = must(strdup("img:1"));
	append(&spec->n_ephemeralcontainers, &spec->ephemeralcontainers, e);
}

static void add_probe(K8s__Core__V1__Container *c)
{
	c->startupprobe = must(malloc(sizeof(*c->startupprobe)));
	k8s__core__v1__probe__init(c->startupprobe);
}

static void add_word(K8s__Core__V1__PodSpec *spec, char *word)
{
	char *image = strchr(word, '='), *kind;
	K8s__Core__V1__Container *c;

	if (image)
		*image++ = '\0';
	kind = strchr(word, ':');
	if (strcmp(word, "Never") == 0 || strcmp(word, "OnFailure") == 0) {
		spec->restartpolicy = must(strdup(word));
		return;
	}
	if (strcmp(word, "host") == 0) {
		spec->has_hostnetwork = spec->hostnetwork = 1;
		return;
	}
	if (kind)
		*kind++ = '\0';
	if (kind && strcmp(kind, "ephemeral") == 0) {
		add_ephemeral(spec, word);
		return;
	}
	c = new_container(word);
	if (image) {
		free(c->image);
		c->image = must(strdup(image));
	}
	if (kind) {
		append(&spec->n_initcontainers, &spec->initcontainers, c);
		if (strncmp(kind, "sidecar", 7) == 0)
			c->restartpolicy = must(strdup("Always"));
		if (strcmp(kind, "sidecar+startup") == 0)
			add_probe(c);
	} else {
		append(&spec->n_containers, &spec->containers, c);
	}
}

K8s__Core__V1__Pod *podtest_pod(const char *text)
{
	K8s__Core__V1__Pod *pod = must(malloc(sizeof(*pod)));
	cleanup_free char *copy = must(strdup(text));
	char *save = NULL;
	struct err err;

	k8s__core__v1__pod__init(pod);
	pod->metadata = must(malloc(sizeof(*pod->metadata)));
	k8s__core__v1__object_meta__init(pod->metadata);
	pod->metadata->name = must(strdup("web"));
	pod->metadata->uid = must(strdup("u1"));
	pod->spec = must(malloc(sizeof(*pod->spec)));
	k8s__core__v1__pod_spec__init(pod->spec);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		add_word(pod->spec, w);
	assert_int_equal(pod_default(pod, &err), 0);
	return pod;
}

static void observe_sandbox(struct pod_observed *o, char *text)
{
	struct seen_sandbox *s;
	char *save = NULL;
	char *state = strtok_r(text, " ", &save);
	char *attempt = strtok_r(NULL, " ", &save), *net = strtok_r(NULL, " ", &save);

	o->sandboxes = must(realloc(o->sandboxes, (o->sandbox_count + 1) * sizeof(*s)));
	s = &o->sandboxes[o->sandbox_count];
	*s = (struct seen_sandbox){
		.id = must(text_format("sb%zu", o->sandbox_count)),
		.state = strcmp(state, "ready") == 0      ? SEEN_SANDBOX_READY
			 : strcmp(state, "notready") == 0 ? SEEN_SANDBOX_NOT_READY
							  : SEEN_SANDBOX_UNKNOWN,
		.attempt = (uint32_t)strtoul(attempt, NULL, 10),
		.has_network = net != NULL,
		.host_network = net && strcmp(net, "node") == 0,
	};
	s->ip = must(strdup(net && strchr(net, '.') ? net : ""));
	o->sandbox_count++;
}

static void apply_word(struct seen_container *c, const char *word)
{
	static const struct {
		const char *word;
		enum seen_state state;
	} states[] = { { "created", SEEN_CREATED },
		       { "running", SEEN_RUNNING },
		       { "exited", SEEN_EXITED },
		       { "unknown", SEEN_UNKNOWN } };

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (strcmp(word, states[i].word) == 0) {
			c->state = states[i].state;
			return;
		}
	}
	if (strcmp(word, "changed") == 0)
		c->hash ^= 0x5a5a5a5a;
	else if (strcmp(word, "zero") == 0)
		c->hash = 0;
	else if (strcmp(word, "restart") == 0)
		c->restart = true;
	else if (strncmp(word, "live", 4) == 0)
		c->liveness = word[4] == '+'   ? PROBE_SUCCESS
			      : word[4] == '-' ? PROBE_FAILURE
					       : PROBE_UNKNOWN;
	else if (strncmp(word, "start", 5) == 0)
		c->startup = word[5] == '+'   ? PROBE_SUCCESS
			     : word[5] == '-' ? PROBE_FAILURE
					      : PROBE_UNKNOWN;
	else
		c->exit_code = (int32_t)strtol(word, NULL, 10);
}

static void observe_container(struct pod_observed *o, const K8s__Core__V1__Pod *pod, char *text)
{
	const K8s__Core__V1__Container *spec;
	struct seen_container *c;
	char *save = NULL, *name = strtok_r(text, " ", &save);
	size_t nth = 0;

	for (size_t i = 0; i < o->container_count; i++)
		nth += strcmp(o->containers[i].name, name) == 0;
	o->containers = must(realloc(o->containers, (o->container_count + 1) * sizeof(*c)));
	c = &o->containers[o->container_count++];
	*c = (struct seen_container){ .id = must(text_format("%s.%zu", name, nth)) };
	c->name = must(strdup(name));
	spec = pod_container(pod, name, NULL);
	c->hash = spec ? container_hash(spec) : 1;
	for (char *w = strtok_r(NULL, " ", &save); w; w = strtok_r(NULL, " ", &save))
		apply_word(c, w);
}

struct pod_observed podtest_observed(const K8s__Core__V1__Pod *pod, const char *sandboxes,
				     const char *containers)
{
	cleanup_free char *s = must(strdup(sandboxes)), *c = must(strdup(containers));
	struct pod_observed o = { 0 };
	char *save = NULL;

	for (char *one = strtok_r(s, ";", &save); one; one = strtok_r(NULL, ";", &save))
		observe_sandbox(&o, one);
	for (char *one = strtok_r(c, ";", &save); one; one = strtok_r(NULL, ";", &save))
		observe_container(&o, pod, one);
	return o;
}

static void add_names(struct text *t, const char *what, const struct strv *names)
{
	for (size_t i = 0; i < names->count; i++)
		text_addf(t, "%s%s%s", i ? "," : " ", i ? "" : what, names->items[i]);
}

char *podtest_decision(const struct pod_decision *d)
{
	struct text t = { 0 };

	text_addf(&t, "%s%s%s %u", d->kill_pod ? "kill " : "", d->create_sandbox ? "create " : "",
		  *d->sandbox_id ? d->sandbox_id : "-", d->attempt);
	add_names(&t, "init=", &d->init_starts);
	add_names(&t, "app=", &d->starts);
	add_names(&t, "eph=", &d->ephemeral_starts);
	for (size_t i = 0; i < d->kill_count; i++)
		text_addf(&t, "%s%s%s", i ? "," : " stop=", d->kills[i].id,
			  d->kills[i].restart ? "*" : "");
	return must(text_take(&t));
}

void podtest_expect(const char *row, const char *pod_text, const char *sandboxes,
		    const char *containers, const char *wanted)
{
	bool deleted = strncmp(containers, "deleted;", 8) == 0;
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod(pod_text);
	cleanup_with(pod_observed) struct pod_observed o =
		podtest_observed(pod, sandboxes, containers + (deleted ? 8 : 0));
	cleanup_with(pod_decision) struct pod_decision d = { 0 };
	cleanup_free char *got = NULL;
	struct err err;

	o.deleted = deleted;
	assert_int_equal(pod_plan(pod, &o, &d, &err), 0);
	got = podtest_decision(&d);
	if (strcmp(got, wanted) != 0)
		print_error("%s: pod '%s', sandboxes '%s', seen '%s'\n", row, pod_text, sandboxes,
			    containers);
	assert_string_equal(got, wanted);
}
