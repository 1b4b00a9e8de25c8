#include "tests/support/podmake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *must(void *p)
{
	assert_non_null(p);
	return p;
}

static void *make(const ProtobufCMessageDescriptor *desc)
{
	void *msg = must(calloc(1, desc->sizeof_message));

	desc->message_init(msg);
	return msg;
}

#define MAKE(type) make(&k8s__core__v1__##type##__descriptor)

static void append(size_t *n, void *list, void *item)
{
	void ***items = list;

	*items = must(realloc(*items, (*n + 1) * sizeof(void *)));
	(*items)[(*n)++] = item;
}

void podmake_text(char **member, const char *text)
{
	free(*member);
	*member = must(strdup(text));
}

void podmake_word(size_t *n, char ***list, const char *word)
{
	append(n, list, must(strdup(word)));
}

void podmake_env(K8s__Core__V1__Container *c, const char *name, const char *value)
{
	K8s__Core__V1__EnvVar *e = MAKE(env_var);

	podmake_text(&e->name, name);
	podmake_text(&e->value, value);
	append(&c->n_env, &c->env, e);
}

void podmake_env_field(K8s__Core__V1__Container *c, const char *name, const char *path)
{
	K8s__Core__V1__EnvVar *e = MAKE(env_var);

	podmake_text(&e->name, name);
	e->valuefrom = MAKE(env_var_source);
	e->valuefrom->fieldref = MAKE(object_field_selector);
	podmake_text(&e->valuefrom->fieldref->fieldpath, path);
	append(&c->n_env, &c->env, e);
}

void podmake_resource(K8s__Core__V1__Container *c, int limit, const char *key, const char *amount)
{
	/* Both kinds of entries have the same shape. */
	K8s__Core__V1__ResourceRequirements__LimitsEntry *e =
		limit ? MAKE(resource_requirements__limits_entry)
		      : MAKE(resource_requirements__requests_entry);

	if (!c->resources)
		c->resources = MAKE(resource_requirements);
	podmake_text(&e->key, key);
	e->value = MAKE(quantity);
	podmake_text(&e->value->string, amount);
	if (limit)
		append(&c->resources->n_limits, &c->resources->limits, e);
	else
		append(&c->resources->n_requests, &c->resources->requests, e);
}

void podmake_port(K8s__Core__V1__Container *c, const char *name, int32_t port, int32_t host_port)
{
	K8s__Core__V1__ContainerPort *p = MAKE(container_port);

	podmake_text(&p->name, name);
	p->has_containerport = 1;
	p->containerport = port;
	p->has_hostport = host_port != 0;
	p->hostport = host_port;
	append(&c->n_ports, &c->ports, p);
}

void podmake_volume(K8s__Core__V1__PodSpec *spec, const char *name, const char *host_path)
{
	K8s__Core__V1__Volume *v = MAKE(volume);

	podmake_text(&v->name, name);
	v->volumesource = MAKE(volume_source);
	if (host_path) {
		v->volumesource->hostpath = MAKE(host_path_volume_source);
		podmake_text(&v->volumesource->hostpath->path, host_path);
	} else {
		v->volumesource->emptydir = MAKE(empty_dir_volume_source);
	}
	append(&spec->n_volumes, &spec->volumes, v);
}

void podmake_mount(K8s__Core__V1__Container *c, const char *volume, const char *path)
{
	K8s__Core__V1__VolumeMount *m = MAKE(volume_mount);

	podmake_text(&m->name, volume);
	podmake_text(&m->mountpath, path);
	append(&c->n_volumemounts, &c->volumemounts, m);
}

void podmake_label(K8s__Core__V1__Pod *pod, const char *key, const char *value)
{
	K8s__Core__V1__ObjectMeta__LabelsEntry *e = MAKE(object_meta__labels_entry);

	podmake_text(&e->key, key);
	podmake_text(&e->value, value);
	append(&pod->metadata->n_labels, &pod->metadata->labels, e);
}

K8s__Core__V1__SecurityContext *podmake_security(K8s__Core__V1__Container *c)
{
	if (!c->securitycontext)
		c->securitycontext = MAKE(security_context);
	return c->securitycontext;
}
