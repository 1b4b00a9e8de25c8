#include "shared/pod/pod.h"

#include "shared/pod/manifest.h"

#include <stdio.h>
#include <string.h>

/*
 * What this agent does not carry out yet: to carry out one more field, delete its row. Fields that
 * stand nowhere here are carried out, or have no meaning off a cluster at all (schedulerName).
 */

enum verdict { CARRIED_OUT, REFUSED, IGNORED };

static const struct {
	const char *field; /* message.field, as in core.proto */
	enum verdict verdict;
} verdicts[] = {
	{ "ObjectMeta.finalizers", IGNORED },

	{ "PodSpec.activeDeadlineSeconds", REFUSED },
	{ "PodSpec.runtimeClassName", REFUSED },
	{ "PodSpec.hostAliases", REFUSED },
	{ "PodSpec.resourceClaims", REFUSED },
	{ "PodSpec.setHostnameAsFQDN", REFUSED },
	{ "PodSpec.schedulingGates", REFUSED },
	{ "PodSpec.schedulingGroup", REFUSED },
	{ "PodSpec.nodeSelector", IGNORED },
	{ "PodSpec.serviceAccountName", IGNORED },
	{ "PodSpec.imagePullSecrets", IGNORED },
	{ "PodSpec.subdomain", IGNORED },
	{ "PodSpec.affinity", IGNORED },
	{ "PodSpec.tolerations", IGNORED },
	{ "PodSpec.topologySpreadConstraints", IGNORED },
	{ "PodSpec.readinessGates", IGNORED },
	{ "PodSpec.evictionResponders", IGNORED },
	{ "PodSpec.overhead", IGNORED },
	{ "PodSpec.resources", IGNORED },

	{ "PodSecurityContext.seLinuxOptions", REFUSED },
	{ "PodSecurityContext.windowsOptions", REFUSED },
	{ "PodSecurityContext.supplementalGroups", REFUSED },
	{ "PodSecurityContext.fsGroup", REFUSED },
	{ "SecurityContext.seLinuxOptions", REFUSED },
	{ "SecurityContext.windowsOptions", REFUSED },

	{ "Container.envFrom", REFUSED },
	{ "Container.volumeDevices", REFUSED },
	{ "Container.restartPolicyRules", REFUSED },
	{ "Container.lifecycle", REFUSED },
	{ "Container.livenessProbe", IGNORED },
	{ "Container.readinessProbe", IGNORED },
	{ "Container.startupProbe", IGNORED },
	{ "Container.resizePolicy", IGNORED },
	{ "EphemeralContainer.targetContainerName", REFUSED },

	{ "EnvVarSource.resourceFieldRef", REFUSED },
	{ "EnvVarSource.configMapKeyRef", REFUSED },
	{ "EnvVarSource.secretKeyRef", REFUSED },
	{ "EnvVarSource.fileKeyRef", REFUSED },
	{ "VolumeMount.subPath", REFUSED },
	{ "VolumeMount.subPathExpr", REFUSED },
	{ "VolumeMount.recursiveReadOnly", IGNORED },
	{ "VolumeMount.bindMountOptions", REFUSED },
	{ "ResourceRequirements.claims", REFUSED },
	{ "EmptyDirVolumeSource.sizeLimit", IGNORED },
};

static bool is_word(const char *value, const char *word)
{
	return value && strcmp(value, word) == 0;
}

/* render.c knows the same ones. */
static bool is_known_path(const char *path)
{
	static const char *const known[] = {
		"metadata.name", "metadata.namespace",      "metadata.uid",
		"spec.nodeName", "spec.serviceAccountName", "status.podIP",
		"status.podIPs", "status.hostIP",           "status.hostIPs"
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(path, known[i]) == 0)
			return true;
	}
	return strncmp(path, "metadata.labels['", 17) == 0 ||
	       strncmp(path, "metadata.annotations['", 22) == 0;
}

/* Fields whose value decides. */
static enum verdict judge_text(const char *field, const char *text)
{
	if (strcmp(field, "PodOS.name") == 0)
		return is_word(text, "linux") ? CARRIED_OUT : REFUSED;
	if (strcmp(field, "EmptyDirVolumeSource.medium") == 0)
		return *text ? REFUSED : CARRIED_OUT; /* "": the node's disk */
	if (strcmp(field, "SecurityContext.procMount") == 0)
		return is_word(text, "Unmasked") ? REFUSED : CARRIED_OUT;
	if (strcmp(field, "SeccompProfile.type") == 0 || strcmp(field, "AppArmorProfile.type") == 0)
		return is_word(text, "Localhost")        ? REFUSED
		       : is_word(text, "RuntimeDefault") ? IGNORED
							 : CARRIED_OUT;
	if (strcmp(field, "Container.terminationMessagePath") == 0)
		return is_word(text, "/dev/termination-log") ? CARRIED_OUT : IGNORED;
	if (strcmp(field, "ObjectFieldSelector.fieldPath") == 0)
		return is_known_path(text) ? CARRIED_OUT : REFUSED;
	return CARRIED_OUT;
}

static enum verdict judge_volume(const char *name)
{
	return strcmp(name, "hostPath") == 0 || strcmp(name, "emptyDir") == 0 ? CARRIED_OUT
									      : REFUSED;
}

/* cpu and memory are carried out; the rest is refused when it is a device, else only counted. */
static enum verdict judge_resource(const char *key)
{
	if (strcmp(key, "cpu") == 0 || strcmp(key, "memory") == 0)
		return CARRIED_OUT;
	return strcmp(key, "ephemeral-storage") == 0 ? IGNORED : REFUSED;
}

static bool is_false(const ProtobufCFieldDescriptor *f, const void *at)
{
	return f->type == PROTOBUF_C_TYPE_BOOL && f->label != PROTOBUF_C_LABEL_REPEATED &&
	       !*(const protobuf_c_boolean *)at;
}

static enum verdict judge(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *f,
			  const void *at)
{
	char field[96];

	if (desc == &k8s__core__v1__volume_source__descriptor)
		return judge_volume(f->name);
	snprintf(field, sizeof(field), "%s.%s", desc->short_name, f->name);
	/* The common part of an ephemeral container obeys the container's rows. */
	if (desc == &k8s__core__v1__ephemeral_container_common__descriptor)
		snprintf(field, sizeof(field), "Container.%s", f->name);
	for (unsigned i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		if (strcmp(verdicts[i].field, field) == 0)
			return is_false(f, at) ? CARRIED_OUT : verdicts[i].verdict;
	}
	if (strcmp(field, "PodSpec.hostUsers") == 0)
		return is_false(f, at) ? REFUSED : CARRIED_OUT;
	if (f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED)
		return judge_text(field, *(char *const *)at);
	return CARRIED_OUT;
}

struct walk {
	struct strv *refused;
	struct strv *ignored;
};

static void note(const struct walk *w, enum verdict verdict, const char *path)
{
	if (verdict == REFUSED)
		strv_add(w->refused, path);
	else if (verdict == IGNORED)
		strv_add(w->ignored, path);
}

static void walk_message(const struct walk *w, const ProtobufCMessage *msg, const char *path);

static void walk_resources(const struct walk *w, const ProtobufCFieldDescriptor *f,
			   ProtobufCMessage *const *entries, size_t count, const char *path)
{
	(void)f;
	for (size_t i = 0; i < count; i++) {
		const K8s__Core__V1__ResourceRequirements__LimitsEntry *e = (void *)entries[i];
		cleanup_free char *at = text_format("%s[%s]", path, e->key ? e->key : "");

		if (at)
			note(w, judge_resource(e->key ? e->key : ""), at);
	}
}

static void walk_field(const struct walk *w, const ProtobufCMessage *msg,
		       const ProtobufCFieldDescriptor *f, const char *path)
{
	enum verdict verdict = judge(msg->descriptor, f, (const char *)msg + f->offset);
	ProtobufCMessage *const *items;
	size_t count = manifest_messages(f, msg, &items);

	if (verdict != CARRIED_OUT) {
		note(w, verdict, path);
		return;
	}
	if (msg->descriptor == &k8s__core__v1__resource_requirements__descriptor) {
		walk_resources(w, f, items, count, path);
		return;
	}
	if (manifest_is_map(f))
		return;
	for (size_t i = 0; i < count; i++) {
		cleanup_free char *at = f->label == PROTOBUF_C_LABEL_REPEATED
						? text_format("%s[%zu]", path, i)
						: text_format("%s", path);

		if (at)
			walk_message(w, items[i], at);
	}
}

static void walk_message(const struct walk *w, const ProtobufCMessage *msg, const char *path)
{
	for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &msg->descriptor->fields[i];
		cleanup_free char *at =
			manifest_is_inline(f)
				? text_format("%s", path)
				: text_format("%s%s%s", path, *path ? "." : "", f->name);

		if (manifest_is_set(f, msg) && at)
			walk_field(w, msg, f, at);
	}
}

/* An app or ephemeral container with a restart policy of its own (newer than what PS-074 says). */
static void walk_restart_policies(const struct walk *w, const K8s__Core__V1__PodSpec *spec)
{
	char path[96];

	for (size_t i = 0; i < spec->n_containers; i++) {
		snprintf(path, sizeof(path), "spec.containers[%zu].restartPolicy", i);
		if (spec->containers[i]->restartpolicy)
			note(w, REFUSED, path);
	}
	for (size_t i = 0; i < spec->n_initcontainers; i++) {
		const K8s__Core__V1__Container *c = spec->initcontainers[i];

		snprintf(path, sizeof(path), "spec.initContainers[%zu].restartPolicy", i);
		if (c->restartpolicy && !container_is_sidecar(c))
			note(w, REFUSED, path);
	}
}

/* Who is root in the image is not known before it runs, so the promise can only be kept for a user
 * that the manifest names (PS-191). */
static void walk_non_root(const struct walk *w, const K8s__Core__V1__PodSpec *spec)
{
	const K8s__Core__V1__PodSecurityContext *of_pod = spec->securitycontext;

	for (size_t i = 0; i < spec->n_containers; i++) {
		const K8s__Core__V1__SecurityContext *own = spec->containers[i]->securitycontext;
		bool non_root = own && own->has_runasnonroot ? own->runasnonroot
				: of_pod                     ? of_pod->runasnonroot
							     : false;
		bool user = (own && own->has_runasuser) || (of_pod && of_pod->has_runasuser);
		char path[96];

		snprintf(path, sizeof(path),
			 "spec.containers[%zu].securityContext.runAsNonRoot (without runAsUser)",
			 i);
		if (non_root && !user)
			note(w, REFUSED, path);
	}
}

void pod_unsupported(const K8s__Core__V1__Pod *pod, struct strv *refused, struct strv *ignored)
{
	struct walk w = { .refused = refused, .ignored = ignored };

	walk_message(&w, &pod->base, "");
	if (!pod->spec)
		return;
	walk_restart_policies(&w, pod->spec);
	walk_non_root(&w, pod->spec);
}

static int refuse(const struct strv *refused, struct err *err)
{
	cleanup_with(text) struct text list = { 0 };

	for (size_t i = 0; i < refused->count && i < 6; i++)
		text_addf(&list, "%s%s", i ? ", " : "", refused->items[i]);
	if (refused->count > 6)
		text_addf(&list, " and %zu more", refused->count - 6);
	err_set(err, ERR_UNIMPLEMENTED, 0, "the agent cannot carry out %s", text_str(&list));
	return err_explain(err, "POD_FIELD_UNSUPPORTED", "remove these fields from the manifest");
}

int pod_admit(K8s__Core__V1__Pod *pod, struct err *err)
{
	cleanup_with(strv) struct strv refused = { 0 };
	cleanup_with(strv) struct strv ignored = { 0 };

	if (pod_default(pod, err) < 0 || pod_check(pod, err) < 0)
		return -1;
	pod_unsupported(pod, &refused, &ignored);
	if (strv_failed(&refused) || strv_failed(&ignored))
		return err_oom(err);
	return refused.count ? refuse(&refused, err) : 0;
}
