#include "controller/cli/manifests.h"

#include "controller/cli/input.h"
#include "shared/base/parse.h"
#include "shared/pod/pod.h"

#include <string.h>

void manifests_release(struct manifests *m)
{
	for (size_t i = 0; i < m->file_count; i++)
		manifest_release(&m->files[i]);
	free(m->files);
	free(m->pods);
	*m = (struct manifests){ 0 };
}

static bool is_empty(const char *s)
{
	return !s || !*s;
}

static int set_namespace(K8s__Core__V1__Pod *pod, const char *namespace, struct err *err)
{
	char *copy;

	if (!namespace || !pod->metadata)
		return 0;
	if (!is_empty(pod->metadata->namespace_)) {
		if (strcmp(pod->metadata->namespace_, namespace) == 0)
			return 0;
		return usage_error(err, "pod '%s' says namespace '%s', the command line '%s'",
				   pod_name(pod), pod->metadata->namespace_, namespace);
	}
	copy = strdup(namespace);
	if (!copy)
		return err_oom(err);
	if (pod->metadata->namespace_ != (char *)protobuf_c_empty_string)
		free(pod->metadata->namespace_);
	pod->metadata->namespace_ = copy;
	return 0;
}

static int admit_pod(struct invocation *inv, const char *source, K8s__Core__V1__Pod *pod,
		     struct err *err)
{
	cleanup_with(strv) struct strv refused = { 0 }, ignored = { 0 };

	if (pod_admit(pod, err) < 0)
		return err_wrap(err, "%s: pod '%s'", source, pod_name(pod));
	pod_unsupported(pod, &refused, &ignored);
	for (size_t i = 0; i < ignored.count; i++)
		invocation_note(inv, "%s: pod '%s': %s is ignored", source, pod_name(pod),
				ignored.items[i]);
	return 0;
}

static int add_pods(struct invocation *inv, const char *source, struct manifest *file, bool admit,
		    struct manifests *m, struct err *err)
{
	K8s__Core__V1__Pod **pods;

	pods = realloc(m->pods, (m->count + file->count) * sizeof(*pods));
	if (!pods)
		return err_oom(err);
	m->pods = pods;
	for (size_t i = 0; i < file->count; i++) {
		K8s__Core__V1__Pod *pod = file->pods[i];

		if (set_namespace(pod, inv->opt->namespace, err) < 0 ||
		    (admit && admit_pod(inv, source, pod, err) < 0))
			return -1;
		m->pods[m->count++] = pod;
	}
	return 0;
}

static int read_file(struct invocation *inv, const char *path, bool admit, struct manifests *m,
		     struct err *err)
{
	cleanup_with(text) struct text text = { 0 };
	struct manifest *file = &m->files[m->file_count];

	if (input_read(path, &text, err) < 0 ||
	    manifest_read(path, text_str(&text), text.len, file, err) < 0)
		return -1;
	m->file_count++;
	for (size_t i = 0; i < file->warnings.count; i++)
		invocation_note(inv, "%s", file->warnings.items[i]);
	return add_pods(inv, path, file, admit, m, err);
}

/* One file cannot know about the next. */
static int check_twins(const struct manifests *m, struct err *err)
{
	for (size_t i = 0; i < m->count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(pod_name(m->pods[i]), pod_name(m->pods[j])) == 0 &&
			    strcmp(pod_namespace(m->pods[i]), pod_namespace(m->pods[j])) == 0)
				return usage_error(err, "pod '%s' stands in two of the files",
						   pod_name(m->pods[i]));
		}
	}
	return 0;
}

static int read_files(struct invocation *inv, const struct strv *paths, bool admit,
		      struct manifests *m, struct err *err)
{
	m->files = calloc(paths->count + 1, sizeof(*m->files));
	if (!m->files)
		return err_oom(err);
	for (size_t i = 0; i < paths->count; i++) {
		if (read_file(inv, paths->items[i], admit, m, err) < 0)
			return -1;
	}
	return check_twins(m, err);
}

int manifests_read(struct invocation *inv, bool admit, struct manifests *ret, struct err *err)
{
	cleanup_with(manifests) struct manifests m = { 0 };
	cleanup_with(strv) struct strv paths = { 0 };

	if (inv->opt->namespace && !name_is_label(inv->opt->namespace)) {
		usage_error(err, "'%s' is no namespace", inv->opt->namespace);
		return err_explain(err, "BAD_NAME", NULL);
	}
	for (size_t i = 0; i < inv->opt->files.count; i++) {
		if (input_expand(inv->opt->files.items[i], &paths, err) < 0)
			return -1;
	}
	if (read_files(inv, &paths, admit, &m, err) < 0)
		return -1;
	*ret = m;
	m = (struct manifests){ 0 };
	return 0;
}
