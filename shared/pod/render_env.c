#include "shared/pod/render_impl.h"

#include <stdlib.h>
#include <string.h>

/* The last of a name wins (PS-242). */
static const char *lookup(const struct kv_list *env, const char *name, size_t len)
{
	for (size_t i = env->count; i-- > 0;) {
		if (strlen(env->items[i].key) == len && strncmp(env->items[i].key, name, len) == 0)
			return env->items[i].value;
	}
	return NULL;
}

/* What stands at 'p' behind a '$'; returns how many bytes of it are used up. */
static size_t expand_one(struct text *t, const char *p, const struct kv_list *env)
{
	const char *end = *p == '(' ? strchr(p, ')') : NULL;
	const char *value;

	if (*p == '$') {
		text_add(t, "$");
		return 1;
	}
	if (!end) {
		text_add(t, "$");
		return 0;
	}
	value = lookup(env, p + 1, (size_t)(end - p - 1));
	if (value)
		text_add(t, value);
	else
		text_addf(t, "$%.*s", (int)(end - p + 1), p);
	return (size_t)(end - p + 1);
}

char *render_expand(const char *text, const struct kv_list *env)
{
	struct text t = { 0 };

	while (*text) {
		size_t plain = strcspn(text, "$");

		text_add_bytes(&t, text, plain);
		text += plain;
		if (*text)
			text += 1 + expand_one(&t, text + 1, env);
	}
	return text_take(&t);
}

/* The value of "metadata.labels['KEY']", given what follows the bracket. */
static const char *find_note(K8s__Core__V1__ObjectMeta__LabelsEntry *const *list, size_t count,
			     const char *key)
{
	size_t len = strlen(key);

	if (len < 2 || strcmp(key + len - 2, "']") != 0)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (list[i]->key && strlen(list[i]->key) == len - 2 &&
		    strncmp(list[i]->key, key, len - 2) == 0)
			return list[i]->value ? list[i]->value : "";
	}
	return "";
}

static const char *field_value(const K8s__Core__V1__Pod *pod, const struct render_node *node,
			       const char *path)
{
	const K8s__Core__V1__ObjectMeta *meta = pod->metadata;
	const struct {
		const char *path;
		const char *value;
	} fields[] = {
		{ "metadata.name", pod_name(pod) },
		{ "metadata.namespace", pod_namespace(pod) },
		{ "metadata.uid", pod_uid(pod) },
		{ "spec.nodeName", node->node_name },
		{ "spec.serviceAccountName", pod->spec->serviceaccountname },
		{ "status.podIP", node->pod_ip },
		{ "status.podIPs", node->pod_ip },
		{ "status.hostIP", node->host_ip },
		{ "status.hostIPs", node->host_ip },
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strcmp(fields[i].path, path) == 0)
			return fields[i].value ? fields[i].value : "";
	}
	if (strncmp(path, "metadata.labels['", 17) == 0)
		return find_note(meta->labels, meta->n_labels, path + 17);
	/* Both maps are of the same shape. */
	if (strncmp(path, "metadata.annotations['", 22) == 0)
		return find_note((void *)meta->annotations, meta->n_annotations, path + 22);
	return NULL;
}

static int env_value(const K8s__Core__V1__Pod *pod, const struct render_node *node,
		     const K8s__Core__V1__EnvVar *e, const struct kv_list *so_far, char **ret,
		     struct err *err)
{
	const K8s__Core__V1__ObjectFieldSelector *field =
		e->valuefrom ? e->valuefrom->fieldref : NULL;
	const char *value = e->value ? e->value : "";

	if (e->valuefrom && !field)
		return err_set(err, ERR_UNIMPLEMENTED, 0, "env %s: this source is not supported",
			       e->name);
	if (field) {
		value = field_value(pod, node, field->fieldpath ? field->fieldpath : "");
		if (!value)
			return err_set(err, ERR_INVALID_ARGUMENT, 0, "env %s: no field '%s'",
				       e->name, field->fieldpath ? field->fieldpath : "");
	}
	*ret = field ? strdup(value) : render_expand(value, so_far);
	return *ret ? 0 : err_oom(err);
}

int render_env(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Container *c,
	       const struct render_node *node, struct kv_list *ret, struct err *err)
{
	for (size_t i = 0; i < c->n_env; i++) {
		cleanup_free char *value = NULL;

		if (env_value(pod, node, c->env[i], ret, &value, err) < 0)
			return -1;
		if (!kv_add(ret, c->env[i]->name, value))
			return err_oom(err);
	}
	return 0;
}

int render_words(char *const *words, size_t count, const struct kv_list *env, struct strv *ret,
		 struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		cleanup_free char *word = render_expand(words[i], env);

		if (!word)
			return err_oom(err);
		strv_add(ret, word);
	}
	return strv_failed(ret) ? err_oom(err) : 0;
}
