#include "shared/pod/render_impl.h"

#include "shared/pod/hash.h"
#include "shared/pod/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU_PERIOD_US 100000

static char *copy(const char *s)
{
	return strdup(s ? s : "");
}

char *render_image(const char *image)
{
	const char *name = strrchr(image, '/');
	bool named = strchr(image, '@') || strchr(name ? name : image, ':');

	return text_format("%s%s", image, named ? "" : ":latest");
}

static bool add_pod_labels(const K8s__Core__V1__Pod *pod, struct kv_list *labels)
{
	return kv_add(labels, LABEL_POD_NAME, pod_name(pod)) &&
	       kv_add(labels, LABEL_POD_NAMESPACE, pod_namespace(pod)) &&
	       kv_add(labels, LABEL_POD_UID, pod_uid(pod));
}

/* --- sandbox -------------------------------------------------------------------------------------- */

/* The pod's own labels and annotations; ours go last and are not to be overridden (PS-021, PS-023). */
static bool add_sandbox_notes(const K8s__Core__V1__Pod *pod, struct sandbox_request *r)
{
	const K8s__Core__V1__ObjectMeta *meta = pod->metadata;
	bool ok = true;

	for (size_t i = 0; ok && i < meta->n_labels; i++) {
		const char *key = meta->labels[i]->key ? meta->labels[i]->key : "";

		if (strncmp(key, "io.kubernetes.pod.", 18) != 0)
			ok = kv_add(&r->labels, key,
				    meta->labels[i]->value ? meta->labels[i]->value : "");
	}
	for (size_t i = 0; ok && i < meta->n_annotations; i++)
		ok = kv_add(&r->annotations,
			    meta->annotations[i]->key ? meta->annotations[i]->key : "",
			    meta->annotations[i]->value ? meta->annotations[i]->value : "");
	return ok && add_pod_labels(pod, &r->labels);
}

/* PS-223 */
static char *hostname_of(const K8s__Core__V1__Pod *pod)
{
	const K8s__Core__V1__PodSpec *spec = pod->spec;
	const char *name = spec->hostnameoverride && *spec->hostnameoverride
				   ? spec->hostnameoverride
			   : spec->hostname && *spec->hostname ? spec->hostname
							       : pod_name(pod);
	size_t len = strnlen(name, 63);

	if (pod_is_host_network(pod))
		return strdup("");
	while (len && (name[len - 1] == '-' || name[len - 1] == '.'))
		len--;
	return strndup(name, len);
}

static struct namespace_request namespaces_of(const K8s__Core__V1__PodSpec *spec)
{
	return (struct namespace_request){
		.host_network = spec->hostnetwork,
		.host_pid = spec->hostpid,
		.host_ipc = spec->hostipc,
		.share_pid = spec->shareprocessnamespace,
	};
}

static enum port_protocol protocol_of(const K8s__Core__V1__ContainerPort *p)
{
	const char *name = p->protocol ? p->protocol : "TCP";

	if (strcmp(name, "UDP") == 0)
		return PORT_UDP;
	return strcmp(name, "SCTP") == 0 ? PORT_SCTP : PORT_TCP;
}

static bool has_port(const struct sandbox_request *r, const struct port_request *port)
{
	for (size_t i = 0; i < r->port_count; i++) {
		const struct port_request *p = &r->ports[i];

		if (p->protocol == port->protocol && p->container_port == port->container_port &&
		    p->host_port == port->host_port && strcmp(p->host_ip, port->host_ip) == 0)
			return true;
	}
	return false;
}

static bool add_port(struct sandbox_request *r, const K8s__Core__V1__ContainerPort *p)
{
	struct port_request port = {
		.protocol = protocol_of(p),
		.container_port = p->containerport,
		.host_port = p->hostport,
		.host_ip = p->hostip ? p->hostip : (char *)"",
	};
	void *more;

	if (has_port(r, &port))
		return true;
	more = realloc(r->ports, (r->port_count + 1) * sizeof(*r->ports));
	if (!more)
		return false;
	r->ports = more;
	port.host_ip = strdup(port.host_ip);
	r->ports[r->port_count++] = port;
	return port.host_ip != NULL;
}

/* PS-221. In the host's network there is nothing to map. */
static bool add_ports(const K8s__Core__V1__PodSpec *spec, struct sandbox_request *r)
{
	bool ok = true;

	for (size_t i = 0; !spec->hostnetwork && i < spec->n_containers; i++) {
		for (size_t k = 0; ok && k < spec->containers[i]->n_ports; k++)
			ok = add_port(r, spec->containers[i]->ports[k]);
	}
	for (size_t i = 0; !spec->hostnetwork && i < spec->n_initcontainers; i++) {
		const K8s__Core__V1__Container *c = spec->initcontainers[i];

		for (size_t k = 0; ok && container_is_sidecar(c) && k < c->n_ports; k++)
			ok = add_port(r, c->ports[k]);
	}
	return ok;
}

static bool add_sysctls(const K8s__Core__V1__PodSpec *spec, struct sandbox_request *r)
{
	const K8s__Core__V1__PodSecurityContext *sc = spec->securitycontext;

	for (size_t i = 0; sc && i < sc->n_sysctls; i++) {
		if (!kv_add(&r->sysctls, sc->sysctls[i]->name ? sc->sysctls[i]->name : "",
			    sc->sysctls[i]->value ? sc->sysctls[i]->value : ""))
			return false;
	}
	return true;
}

static void release_sandbox(struct sandbox_request *r)
{
	sandbox_request_release(r);
}

static bool any_privileged(K8s__Core__V1__Container *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i]->securitycontext && list[i]->securitycontext->privileged)
			return true;
	}
	return false;
}

/* containerd runs a privileged container only in a privileged sandbox. */
static bool is_privileged(const K8s__Core__V1__PodSpec *spec)
{
	return any_privileged(spec->containers, spec->n_containers) ||
	       any_privileged(spec->initcontainers, spec->n_initcontainers);
}

int render_sandbox(const K8s__Core__V1__Pod *pod, uint32_t attempt, const struct render_node *node,
		   struct sandbox_request *ret, struct err *err)
{
	__attribute__((cleanup(release_sandbox))) struct sandbox_request r = {
		.name = copy(pod_name(pod)),
		.namespace = copy(pod_namespace(pod)),
		.uid = copy(pod_uid(pod)),
		.attempt = attempt,
		.hostname = hostname_of(pod),
		.log_directory = text_format("%s/%s_%s_%s", node->logs_dir, pod_namespace(pod),
					     pod_name(pod), pod_uid(pod)),
		.cgroup_parent = copy(""),
		.namespaces = namespaces_of(pod->spec),
		.privileged = is_privileged(pod->spec),
	};

	if (!r.name || !r.namespace || !r.uid || !r.hostname || !r.log_directory ||
	    !r.cgroup_parent || !add_sandbox_notes(pod, &r) || !add_ports(pod->spec, &r) ||
	    !add_sysctls(pod->spec, &r))
		return err_oom(err);
	if (render_dns(pod->spec, node, &r, err) < 0)
		return -1;
	*ret = r;
	r = (struct sandbox_request){ 0 };
	return 0;
}

/* --- container ------------------------------------------------------------------------------------ */

static const K8s__Core__V1__Volume *volume(const K8s__Core__V1__PodSpec *spec, const char *name)
{
	for (size_t i = 0; i < spec->n_volumes; i++) {
		if (spec->volumes[i]->name && strcmp(spec->volumes[i]->name, name) == 0)
			return spec->volumes[i];
	}
	return NULL;
}

static enum mount_propagation propagation_of(const char *name)
{
	if (name && strcmp(name, "Bidirectional") == 0)
		return MOUNT_BIDIRECTIONAL;
	return name && strcmp(name, "HostToContainer") == 0 ? MOUNT_HOST_TO_CONTAINER
							    : MOUNT_PRIVATE;
}

static int add_mount(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__VolumeMount *m,
		     const struct render_node *node, struct container_request *r, struct err *err)
{
	const K8s__Core__V1__Volume *v = volume(pod->spec, m->name);
	struct mount_request mount = {
		.host_path = v ? render_volume_path(pod, v, node) : NULL,
		.container_path =
			text_format("%s%s", *m->mountpath == '/' ? "" : "/", m->mountpath),
		.readonly = m->readonly,
		.propagation = propagation_of(m->mountpropagation),
	};
	void *more = realloc(r->mounts, (r->mount_count + 1) * sizeof(*r->mounts));

	if (more)
		r->mounts = more;
	if (!more || !mount.host_path || !mount.container_path) {
		free(mount.host_path);
		free(mount.container_path);
		return err_set(err, ERR_UNIMPLEMENTED, 0, "volume '%s' cannot be mounted", m->name);
	}
	r->mounts[r->mount_count++] = mount;
	return 0;
}

static bool add_number(struct kv_list *list, const char *key, int64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return kv_add(list, key, text);
}

static bool add_hex(struct kv_list *list, const char *key, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof(text), "%" PRIx32, value);
	return kv_add(list, key, text);
}

/* PS-021: what tells the container goes into labels, everything else into annotations. */
static bool add_container_notes(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Container *c,
				struct container_request *r)
{
	cleanup_with(text) struct text ports = { 0 };

	container_ports_json(c, &ports);
	return add_pod_labels(pod, &r->labels) &&
	       kv_add(&r->labels, LABEL_CONTAINER_NAME, c->name) &&
	       add_hex(&r->annotations, NOTE_HASH, container_hash(c)) &&
	       kv_add(&r->annotations, NOTE_HASH_VERSION, CONTAINER_HASH_VERSION) &&
	       add_number(&r->annotations, NOTE_RESTART_COUNT, r->attempt) &&
	       kv_add(&r->annotations, NOTE_MESSAGE_PATH,
		      c->terminationmessagepath ? c->terminationmessagepath : "") &&
	       kv_add(&r->annotations, NOTE_MESSAGE_POLICY,
		      c->terminationmessagepolicy ? c->terminationmessagepolicy : "") &&
	       add_number(&r->annotations, NOTE_POD_GRACE,
			  pod->spec->terminationgraceperiodseconds) &&
	       (c->n_ports == 0 ||
		(!text_failed(&ports) && kv_add(&r->annotations, NOTE_PORTS, text_str(&ports))));
}

static bool has_capability(const struct strv *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];

		if (strcmp(strncmp(item, "CAP_", 4) == 0 ? item + 4 : item, name) == 0)
			return true;
	}
	return false;
}

/* PS-190, PS-194: the container's own setting goes before the pod's. */
static void set_security(const K8s__Core__V1__PodSecurityContext *of_pod,
			 const K8s__Core__V1__SecurityContext *own, struct container_request *r)
{
	r->has_user = (own && own->has_runasuser) || (of_pod && of_pod->has_runasuser);
	if (r->has_user)
		r->run_as_user = own && own->has_runasuser ? own->runasuser : of_pod->runasuser;
	r->has_group = (own && own->has_runasgroup) || (of_pod && of_pod->has_runasgroup);
	if (r->has_group)
		r->run_as_group = own && own->has_runasgroup ? own->runasgroup : of_pod->runasgroup;
	if (!own)
		return;
	r->privileged = own->privileged;
	r->readonly_rootfs = own->readonlyrootfilesystem;
	for (size_t i = 0; own->capabilities && i < own->capabilities->n_add; i++)
		strv_add(&r->capabilities_add, own->capabilities->add[i]);
	for (size_t i = 0; own->capabilities && i < own->capabilities->n_drop; i++)
		strv_add(&r->capabilities_drop, own->capabilities->drop[i]);
	r->no_new_privs = own->has_allowprivilegeescalation && !own->allowprivilegeescalation &&
			  !own->privileged && !has_capability(&r->capabilities_add, "SYS_ADMIN");
}

/* PS-191, as far as it can be told without the image. */
static int check_non_root(const K8s__Core__V1__PodSecurityContext *of_pod,
			  const K8s__Core__V1__SecurityContext *own,
			  const struct container_request *r, struct err *err)
{
	bool wanted =
		own && own->has_runasnonroot ? own->runasnonroot : of_pod && of_pod->runasnonroot;

	if (!wanted || (r->has_user && r->run_as_user != 0))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, 0,
		       "container '%s' must not run as root (runAsNonRoot), but %s", r->name,
		       r->has_user ? "runAsUser is 0" : "no runAsUser says which user");
}

static void set_resources(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Container *c,
			  const struct render_node *node, struct container_request *r)
{
	int64_t memory = container_limit(c, "memory");

	r->cpu_shares = resources_cpu_shares(c);
	r->cpu_quota_us = node->cfs_quota ? resources_cpu_quota_us(c) : 0;
	r->cpu_period_us = r->cpu_quota_us ? CPU_PERIOD_US : 0;
	r->memory_bytes = memory > 0 ? memory : 0;
	r->oom_score_adj = resources_oom_score_adj(pod, c, node->memory_bytes);
}

static int fill_container(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Container *c,
			  const struct render_node *node, struct container_request *r,
			  struct err *err)
{
	const K8s__Core__V1__PodSecurityContext *of_pod = pod->spec->securitycontext;

	if (render_env(pod, c, node, &r->envs, err) < 0 ||
	    render_words(c->command, c->n_command, &r->envs, &r->command, err) < 0 ||
	    render_words(c->args, c->n_args, &r->envs, &r->args, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_volumemounts; i++) {
		if (add_mount(pod, c->volumemounts[i], node, r, err) < 0)
			return -1;
	}
	set_security(of_pod, c->securitycontext, r);
	set_resources(pod, c, node, r);
	if (!add_container_notes(pod, c, r) || strv_failed(&r->capabilities_add) ||
	    strv_failed(&r->capabilities_drop))
		return err_oom(err);
	return check_non_root(of_pod, c->securitycontext, r, err);
}

static void release_container(struct container_request *r)
{
	container_request_release(r);
}

int render_container(const K8s__Core__V1__Pod *pod, const char *name, uint32_t attempt,
		     const struct render_node *node, struct container_request *ret, struct err *err)
{
	const K8s__Core__V1__Container *c = pod_container(pod, name, NULL);
	__attribute__((cleanup(release_container))) struct container_request r = {
		.attempt = attempt,
		.namespaces = namespaces_of(pod->spec),
	};

	if (!c)
		return err_set(err, ERR_NOT_FOUND, 0, "the pod has no container '%s'", name);
	r.name = copy(c->name);
	r.image = render_image(c->image);
	r.image_ref = copy("");
	r.working_dir = copy(c->workingdir);
	r.log_path = text_format("%s/%" PRIu32 ".log", c->name, attempt);
	r.stdin_open = c->stdin;
	r.stdin_once = c->stdinonce;
	r.tty = c->tty;
	if (!r.name || !r.image || !r.image_ref || !r.working_dir || !r.log_path)
		return err_oom(err);
	if (fill_container(pod, c, node, &r, err) < 0)
		return -1;
	*ret = r;
	r = (struct container_request){ 0 };
	return 0;
}
