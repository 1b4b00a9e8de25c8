#include "controller/config/manifest.h"

#include "controller/config/message.h"
#include "controller/config/report.h"
#include "controller/config/yaml.h"
#include "shared/pod/pod.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* A pod that was read: finds the second of a name. */
struct seen {
	char *name; /* "namespace/name" */
	struct yaml_mark at;
	UT_hash_handle hh;
};

struct reading {
	struct manifest manifest;
	struct seen *seen;
	struct report report;
};

static void seen_release(struct seen **seen)
{
	struct seen *one, *next;

	HASH_ITER (hh, *seen, one, next) {
		HASH_DEL(*seen, one);
		free(one->name);
		free(one);
	}
}

void manifest_release(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++)
		pod_free(manifest->pods[i]);
	free(manifest->pods);
	strv_release(&manifest->warnings);
	*manifest = (struct manifest){ 0 };
}

/* --- one pod ----------------------------------------------------------------------------------- */

static const char *or_default(const char *namespace)
{
	return namespace && *namespace ? namespace : "default";
}

static void remember(struct reading *r, char *name, struct yaml_mark at)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	if (!seen || !name) {
		free(seen);
		free(name);
		report_no_memory(&r->report);
		return;
	}
	seen->name = name;
	seen->at = at;
	HASH_ADD_KEYPTR(hh, r->seen, seen->name, strlen(seen->name), seen);
}

/* A pod must have a name, and no other of this input the same in the same namespace. */
static void check_name(struct reading *r, const struct yaml *doc, const K8s__Core__V1__Pod *pod)
{
	const K8s__Core__V1__ObjectMeta *meta = pod->metadata;
	cleanup_free char *name = NULL;
	struct seen *first = NULL;

	if (!meta || !meta->name || !*meta->name) {
		report_error(&r->report, doc->at, "the pod has no metadata.name");
		return;
	}
	name = text_format("%s/%s", or_default(meta->namespace_), meta->name);
	if (name)
		HASH_FIND_STR(r->seen, name, first);
	if (first)
		report_error(&r->report, doc->at, "pod '%.*s' is here twice, first at %d:%d",
			     yaml_clip(name, 120), name, first->at.line, first->at.column);
	else
		remember(r, TAKE(name), doc->at);
}

static void add_pod(struct reading *r, K8s__Core__V1__Pod *pod)
{
	struct manifest *m = &r->manifest;
	K8s__Core__V1__Pod **grown = realloc(m->pods, (m->count + 1) * sizeof(*grown));

	if (!grown) {
		pod_free(pod);
		report_no_memory(&r->report);
		return;
	}
	m->pods = grown;
	m->pods[m->count++] = pod;
}

static void read_pod(struct reading *r, const struct yaml *doc)
{
	static const char *const header[] = { "apiVersion", "kind", NULL };
	size_t errors = r->report.errors;
	K8s__Core__V1__Pod *pod =
		(void *)message_read(doc, &k8s__core__v1__pod__descriptor, header, &r->report);

	if (!pod)
		return;
	if (r->report.errors == errors) /* else the name may be what is wrong */
		check_name(r, doc, pod);
	add_pod(r, pod);
}

/* --- documents --------------------------------------------------------------------------------- */

static const char *header_text(struct reading *r, const struct yaml *doc, const char *key)
{
	const struct yaml *node = yaml_get(doc, key);

	if (!node || node->type == YAML_NULL) {
		report_error(&r->report, doc->at, "%s is missing", key);
		return NULL;
	}
	if (node->type != YAML_STRING) {
		report_type_error(&r->report, node, "a string");
		return NULL;
	}
	return node->text;
}

static void read_document(struct reading *r, const struct yaml *doc);

static void read_items(struct reading *r, const struct yaml *items)
{
	if (items->type != YAML_LIST && items->type != YAML_NULL) {
		report_type_error(&r->report, items, "a list");
		return;
	}
	for (const struct yaml *item = items->first; item; item = item->next)
		read_document(r, item);
}

/* metadata of a List only says where the server stood. */
static void read_list_key(struct reading *r, const struct yaml *node)
{
	static const char *const others[] = { "apiVersion", "kind", "metadata" };
	struct guess guess = { .typed = node->key };

	if (strcmp(node->key, "items") == 0) {
		read_items(r, node);
		return;
	}
	guess_offer(&guess, "items");
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (strcmp(node->key, others[i]) == 0)
			return;
		guess_offer(&guess, others[i]);
	}
	report_unknown_field(&r->report, node, guess.best);
}

static void read_list(struct reading *r, const struct yaml *doc)
{
	for (const struct yaml *node = doc->first; node; node = node->next)
		read_list_key(r, node);
}

static void read_kind(struct reading *r, const struct yaml *doc, const char *kind,
		      const char *version)
{
	const struct yaml *kind_at = yaml_get(doc, "kind"),
			  *version_at = yaml_get(doc, "apiVersion");
	bool is_list = strcmp(kind, "List") == 0;

	if (!is_list && strcmp(kind, "Pod") != 0)
		report_error(&r->report, kind_at->at,
			     "kind '%.*s' is not supported: Berth runs v1 Pods",
			     yaml_clip(kind, 60), kind);
	else if (strcmp(version, "v1") != 0)
		report_error(&r->report, version_at->at,
			     "apiVersion '%.*s' is not supported for kind '%s'; use 'v1'",
			     yaml_clip(version, 60), version, kind);
	else if (is_list)
		read_list(r, doc);
	else
		read_pod(r, doc);
}

static void read_document(struct reading *r, const struct yaml *doc)
{
	const char *kind, *version;

	if (doc->type != YAML_MAP) {
		report_type_error(&r->report, doc, "a map");
		return;
	}
	kind = header_text(r, doc, "kind");
	version = header_text(r, doc, "apiVersion");
	if (kind && version)
		read_kind(r, doc, kind, version);
}

/* A fault of the YAML itself ends the reading; what was found before it is told first. */
static void read_documents(struct reading *r, const char *text, size_t len)
{
	cleanup_with(yaml_reader) struct yaml_reader *reader = NULL;
	struct yaml *doc = NULL;
	struct err fault;
	bool any = false;
	int result = yaml_open(r->report.source, text, len, &reader, &fault);

	while (result == 0 && (result = yaml_next(reader, &doc, &fault)) == 0 && doc) {
		if (doc->type != YAML_NULL) {
			read_document(r, doc);
			any = true;
		}
		yaml_free(TAKE(doc));
	}
	if (result < 0)
		report_fault(&r->report, &fault);
	else if (!any)
		report_error(&r->report, (struct yaml_mark){ 1, 1 }, "there is no manifest in it");
}

int manifest_read(const char *source, const char *text, size_t len, struct manifest *ret_manifest,
		  struct err *err)
{
	struct reading r = { .report = { .source = source, .err = err } };

	r.report.warnings = &r.manifest.warnings;
	read_documents(&r, text, len);
	seen_release(&r.seen);
	if (report_end(&r.report) < 0) {
		manifest_release(&r.manifest);
		return -1;
	}
	*ret_manifest = r.manifest;
	return 0;
}
