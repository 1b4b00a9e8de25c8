/* What is asked of a CRI runtime (messages.h): our requests as its messages. */
#include "agent/runtime/cri/messages.h"

#include "agent/runtime/runtime_impl.h"
#include "shared/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* A fresh message of a type, or NULL. 'init' stands for its __INIT value. */
#define NEW(a, type, init)                                 \
	({                                                 \
		type *new_ = arena_alloc(a, sizeof(type)); \
		if (new_)                                  \
			*new_ = (type)init;                \
		new_;                                      \
	})

/* What the runtime hides from a container that is not privileged (PS-195). */
static char *const masked_paths[] = {
	"/proc/acpi",          "/proc/kcore",      "/proc/keys",
	"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
	"/proc/sched_debug",   "/proc/scsi",       "/sys/firmware",
};
static char *const readonly_paths[] = {
	"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static Runtime__V1__KeyValue **pairs(struct arena *a, const struct kv_list *list, size_t *ret_count)
{
	Runtime__V1__KeyValue **all = arena_array(a, list->count, sizeof(*all));
	Runtime__V1__KeyValue *each = arena_array(a, list->count, sizeof(*each));

	if (!all || !each)
		return NULL;
	for (size_t i = 0; i < list->count; i++) {
		each[i] = (Runtime__V1__KeyValue)RUNTIME__V1__KEY_VALUE__INIT;
		each[i].key = list->items[i].key;
		each[i].value = list->items[i].value;
		all[i] = &each[i];
	}
	*ret_count = list->count;
	return all;
}

static Runtime__V1__NamespaceOption *namespaces(struct arena *a,
						const struct namespace_request *req)
{
	Runtime__V1__NamespaceOption *ns =
		NEW(a, Runtime__V1__NamespaceOption, RUNTIME__V1__NAMESPACE_OPTION__INIT);

	if (!ns)
		return NULL;
	ns->network = req->host_network ? RUNTIME__V1__NAMESPACE_MODE__NODE
					: RUNTIME__V1__NAMESPACE_MODE__POD;
	ns->ipc = req->host_ipc ? RUNTIME__V1__NAMESPACE_MODE__NODE
				: RUNTIME__V1__NAMESPACE_MODE__POD;
	/* Never left to its zero value: that is a pid namespace shared by the pod (PS-197). */
	ns->pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
	if (req->host_pid)
		ns->pid = RUNTIME__V1__NAMESPACE_MODE__NODE;
	else if (req->share_pid)
		ns->pid = RUNTIME__V1__NAMESPACE_MODE__POD;
	return ns;
}

static Runtime__V1__SecurityProfile *seccomp(struct arena *a, bool runtime_default)
{
	Runtime__V1__SecurityProfile *profile =
		NEW(a, Runtime__V1__SecurityProfile, RUNTIME__V1__SECURITY_PROFILE__INIT);

	if (profile && !runtime_default)
		profile->profile_type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined;
	return profile;
}

static Runtime__V1__PodSandboxMetadata *sandbox_metadata(struct arena *a,
							 const struct sandbox_request *req)
{
	Runtime__V1__PodSandboxMetadata *m =
		NEW(a, Runtime__V1__PodSandboxMetadata, RUNTIME__V1__POD_SANDBOX_METADATA__INIT);

	if (!m)
		return NULL;
	m->name = req->name;
	m->namespace_ = req->namespace;
	m->uid = req->uid;
	m->attempt = req->attempt;
	return m;
}

static Runtime__V1__DNSConfig *dns(struct arena *a, const struct sandbox_request *req)
{
	Runtime__V1__DNSConfig *m = NEW(a, Runtime__V1__DNSConfig, RUNTIME__V1__DNSCONFIG__INIT);

	if (!m)
		return NULL;
	m->servers = req->dns_servers.items;
	m->n_servers = req->dns_servers.count;
	m->searches = req->dns_searches.items;
	m->n_searches = req->dns_searches.count;
	m->options = req->dns_options.items;
	m->n_options = req->dns_options.count;
	return m;
}

static Runtime__V1__PortMapping **ports(struct arena *a, const struct sandbox_request *req,
					size_t *ret_count)
{
	Runtime__V1__PortMapping **all = arena_array(a, req->port_count, sizeof(*all));
	Runtime__V1__PortMapping *each = arena_array(a, req->port_count, sizeof(*each));

	if (!all || !each)
		return NULL;
	for (size_t i = 0; i < req->port_count; i++) {
		each[i] = (Runtime__V1__PortMapping)RUNTIME__V1__PORT_MAPPING__INIT;
		/* The numbers are the same. */
		each[i].protocol = (Runtime__V1__Protocol)req->ports[i].protocol;
		each[i].container_port = req->ports[i].container_port;
		each[i].host_port = req->ports[i].host_port;
		each[i].host_ip = req->ports[i].host_ip;
		all[i] = &each[i];
	}
	*ret_count = req->port_count;
	return all;
}

static Runtime__V1__LinuxPodSandboxConfig *linux_sandbox(struct arena *a,
							 const struct sandbox_request *req)
{
	Runtime__V1__LinuxPodSandboxConfig *m = NEW(a, Runtime__V1__LinuxPodSandboxConfig,
						    RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT);
	Runtime__V1__LinuxSandboxSecurityContext *security =
		NEW(a, Runtime__V1__LinuxSandboxSecurityContext,
		    RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT);

	if (!m || !security)
		return NULL;
	security->namespace_options = namespaces(a, &req->namespaces);
	security->privileged = req->privileged;
	security->seccomp = seccomp(a, true);
	m->cgroup_parent = req->cgroup_parent;
	m->security_context = security;
	m->sysctls = pairs(a, &req->sysctls, &m->n_sysctls);
	return m;
}

Runtime__V1__PodSandboxConfig *message_sandbox_config(struct arena *a,
						      const struct sandbox_request *req)
{
	Runtime__V1__PodSandboxConfig *m =
		NEW(a, Runtime__V1__PodSandboxConfig, RUNTIME__V1__POD_SANDBOX_CONFIG__INIT);

	if (!m)
		return NULL;
	m->metadata = sandbox_metadata(a, req);
	/* The node's name goes with the node's network (PS-196); a runtime cannot set another. */
	if (!req->namespaces.host_network)
		m->hostname = req->hostname;
	m->log_directory = req->log_directory;
	m->dns_config = dns(a, req);
	m->port_mappings = ports(a, req, &m->n_port_mappings);
	m->labels = pairs(a, &req->labels, &m->n_labels);
	m->annotations = pairs(a, &req->annotations, &m->n_annotations);
	m->linux_config = linux_sandbox(a, req);
	return a->failed ? NULL : m;
}

static Runtime__V1__Int64Value *int64_value(struct arena *a, int64_t value)
{
	Runtime__V1__Int64Value *m =
		NEW(a, Runtime__V1__Int64Value, RUNTIME__V1__INT64_VALUE__INIT);

	if (m)
		m->value = value;
	return m;
}

static Runtime__V1__Capability *capabilities(struct arena *a, const struct container_request *req)
{
	Runtime__V1__Capability *m = NEW(a, Runtime__V1__Capability, RUNTIME__V1__CAPABILITY__INIT);

	if (!m)
		return NULL;
	m->add_capabilities = req->capabilities_add.items;
	m->n_add_capabilities = req->capabilities_add.count;
	m->drop_capabilities = req->capabilities_drop.items;
	m->n_drop_capabilities = req->capabilities_drop.count;
	return m;
}

static Runtime__V1__LinuxContainerSecurityContext *
container_security(struct arena *a, const struct container_request *req)
{
	Runtime__V1__LinuxContainerSecurityContext *m =
		NEW(a, Runtime__V1__LinuxContainerSecurityContext,
		    RUNTIME__V1__LINUX_CONTAINER_SECURITY_CONTEXT__INIT);

	if (!m)
		return NULL;
	m->capabilities = capabilities(a, req);
	m->privileged = req->privileged;
	m->namespace_options = namespaces(a, &req->namespaces);
	m->readonly_rootfs = req->readonly_rootfs;
	m->no_new_privs = req->no_new_privs;
	if (req->has_user)
		m->run_as_user = int64_value(a, req->run_as_user);
	if (req->has_group)
		m->run_as_group = int64_value(a, req->run_as_group);
	if (!req->privileged) {
		m->masked_paths = (char **)masked_paths;
		m->n_masked_paths = ARRAY_LEN(masked_paths);
		m->readonly_paths = (char **)readonly_paths;
		m->n_readonly_paths = ARRAY_LEN(readonly_paths);
	}
	m->seccomp = seccomp(a, false);
	return m;
}

static Runtime__V1__LinuxContainerConfig *linux_container(struct arena *a,
							  const struct container_request *req)
{
	Runtime__V1__LinuxContainerConfig *m = NEW(a, Runtime__V1__LinuxContainerConfig,
						   RUNTIME__V1__LINUX_CONTAINER_CONFIG__INIT);
	Runtime__V1__LinuxContainerResources *r = NEW(a, Runtime__V1__LinuxContainerResources,
						      RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT);

	if (!m || !r)
		return NULL;
	r->cpu_period = req->cpu_period_us;
	r->cpu_quota = req->cpu_quota_us;
	r->cpu_shares = req->cpu_shares;
	r->memory_limit_in_bytes = req->memory_bytes;
	r->oom_score_adj = req->oom_score_adj;
	m->resources = r;
	m->security_context = container_security(a, req);
	return m;
}

static Runtime__V1__Mount **mounts(struct arena *a, const struct container_request *req,
				   size_t *ret_count)
{
	Runtime__V1__Mount **all = arena_array(a, req->mount_count, sizeof(*all));
	Runtime__V1__Mount *each = arena_array(a, req->mount_count, sizeof(*each));

	if (!all || !each)
		return NULL;
	for (size_t i = 0; i < req->mount_count; i++) {
		each[i] = (Runtime__V1__Mount)RUNTIME__V1__MOUNT__INIT;
		each[i].host_path = req->mounts[i].host_path;
		each[i].container_path = req->mounts[i].container_path;
		each[i].readonly = req->mounts[i].readonly;
		each[i].selinux_relabel = req->mounts[i].selinux_relabel;
		/* The numbers are the same. */
		each[i].propagation = (Runtime__V1__MountPropagation)req->mounts[i].propagation;
		all[i] = &each[i];
	}
	*ret_count = req->mount_count;
	return all;
}

static Runtime__V1__ImageSpec *container_image(struct arena *a, const struct container_request *req)
{
	Runtime__V1__ImageSpec *m = NEW(a, Runtime__V1__ImageSpec, RUNTIME__V1__IMAGE_SPEC__INIT);

	if (!m)
		return NULL;
	m->image = req->image_ref && *req->image_ref ? req->image_ref : req->image;
	m->user_specified_image = req->image;
	return m;
}

static Runtime__V1__ContainerMetadata *container_metadata(struct arena *a,
							  const struct container_request *req)
{
	Runtime__V1__ContainerMetadata *m =
		NEW(a, Runtime__V1__ContainerMetadata, RUNTIME__V1__CONTAINER_METADATA__INIT);

	if (!m)
		return NULL;
	m->name = req->name;
	m->attempt = req->attempt;
	return m;
}

Runtime__V1__ContainerConfig *message_container_config(struct arena *a,
						       const struct container_request *req)
{
	Runtime__V1__ContainerConfig *m =
		NEW(a, Runtime__V1__ContainerConfig, RUNTIME__V1__CONTAINER_CONFIG__INIT);

	if (!m)
		return NULL;
	m->metadata = container_metadata(a, req);
	m->image = container_image(a, req);
	m->command = req->command.items;
	m->n_command = req->command.count;
	m->args = req->args.items;
	m->n_args = req->args.count;
	m->working_dir = req->working_dir;
	m->envs = pairs(a, &req->envs, &m->n_envs);
	m->mounts = mounts(a, req, &m->n_mounts);
	m->labels = pairs(a, &req->labels, &m->n_labels);
	m->annotations = pairs(a, &req->annotations, &m->n_annotations);
	m->log_path = req->log_path;
	m->stdin_open = req->stdin_open;
	m->stdin_once = req->stdin_once;
	m->tty = req->tty;
	m->linux_config = linux_container(a, req);
	return a->failed ? NULL : m;
}
