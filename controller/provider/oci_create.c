#include "controller/provider/oci_create.h"

#include "controller/config/cluster_config.h"
#include "shared/base/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AGENT_TLS_PORT 7443
#define LOOPBACK       "127.0.0.1"
#define NIXOS_MODULES  "/run/current-system/kernel-modules/lib/modules"

static bool is_set(const char *s)
{
	return s && *s;
}

/* How the engine's own host is. Of another machine nothing is known but what the engine says: it is
 * taken for an ordinary one. */
static struct host_facts engine_host(const struct provider *p)
{
	if (!p->engine.remote)
		return p->facts;
	return (struct host_facts){ .has_modules = true, .has_fuse = true, .has_mapper = true };
}

void oci_add_labels(struct strv *argv, const struct node_spec *spec)
{
	strv_addf(argv, "--label=" OCI_LABEL_CLUSTER "=%s", spec->cluster);
	strv_addf(argv, "--label=" OCI_LABEL_NODE "=%s", spec->name);
	strv_addf(argv, "--label=" OCI_LABEL_ROLE "=%s", node_role_name(spec->role));
	strv_addf(argv, "--label=" OCI_LABEL_INDEX "=%d", spec->index);
	if (is_set(spec->ip))
		strv_addf(argv, "--label=" OCI_LABEL_IP "=%s", spec->ip);
	if (is_set(spec->ip6))
		strv_addf(argv, "--label=" OCI_LABEL_IP6 "=%s", spec->ip6);
	if (is_set(spec->run_dir))
		strv_addf(argv, "--label=" OCI_LABEL_RUN_DIR "=%s", spec->run_dir);
	strv_add(argv, "--label=" OCI_LABEL_CREATED_BY "=" OCI_CREATED_BY);
	strv_addf(argv, "--label=" OCI_LABEL_VERSION "=%s", version_number());
	for (size_t i = 0; spec->labels && i < spec->labels->count; i++)
		strv_addf(argv, "--label=" OCI_LABEL_OF_NODE "%s=%s", spec->labels->items[i].key,
			  spec->labels->items[i].value);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct kv *)a)->key, ((const struct kv *)b)->key);
}

/* NVIDIA's hook looks at it when every GPU is asked for (CN-019). */
static bool wants_all_gpus(const struct node_spec *spec)
{
	return is_set(spec->gpus) &&
	       (strcmp(spec->gpus, "all") == 0 || strcmp(spec->gpus, "nvidia") == 0);
}

/* What the engine's client, or what it is written in, takes for itself. */
static bool steers_client(const char *key)
{
	static const char *const begins[] = {
		"PATH",     "HOME",      "TMPDIR",   "container", "LD_",       "DYLD_",
		"XDG_",     "DOCKER_",   "BUILDX_",  "BUILDKIT_", "CONTAINER", "PODMAN_",
		"STORAGE_", "REGISTRY_", "BUILDAH_", "SSL_",      "SSH_",      "DBUS_",
		"LISTEN_",  "NOTIFY_",   "GODEBUG",  "GOGC",      "GOMAX",     "GOMEM",
		"GOTRACE",  "_CONTAIN",
	};
	size_t len = strlen(key);

	for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
		if (strncmp(key, begins[i], strlen(begins[i])) == 0)
			return true;
	}
	return len > 6 && strcasecmp(key + len - 6, "_proxy") == 0;
}

/* An argv is everybody's to read (S11). What steers the client stays there all the same, unless it is a
 * secret: a node's PATH is not the client's. To podman "KEY*" is all that begin so. */
static void add_variable(struct step *step, const struct kv *variable, bool own)
{
	cleanup_free char *pair = text_format("%s=%s", variable->key, variable->value);
	size_t len = strlen(variable->key);

	if (!pair) {
		step->argv.failed = true;
	} else if (own || (len && variable->key[len - 1] == '*') ||
		   (steers_client(variable->key) && !exec_is_secret(pair))) {
		strv_addf(&step->argv, "--env=%s", pair);
	} else {
		strv_addf(&step->argv, "--env=%s", variable->key);
		strv_add(&step->env, pair);
	}
}

static bool is_of(const struct kv_list *list, const struct kv *variable)
{
	for (size_t i = 0; list && i < list->count; i++) {
		if (list->items[i].key == variable->key)
			return true;
	}
	return false;
}

void oci_add_env(const struct provider *p, struct step *step, const struct node_spec *spec)
{
	struct kv all[8] = {
		{ (char *)"BERTH_CLUSTER", (char *)spec->cluster },
		{ (char *)"BERTH_NODE", (char *)spec->name },
		{ (char *)"BERTH_ROLE", (char *)node_role_name(spec->role) },
		{ (char *)"container", (char *)p->ops->name },
	};
	size_t own = 4, more = spec->env ? spec->env->count : 0;
	cleanup_free struct kv *sorted = NULL;

	if (spec->role == NODE_CONTROL_PLANE)
		all[own++] =
			(struct kv){ (char *)"KUBECONFIG", (char *)"/etc/kubernetes/admin.conf" };
	if (wants_all_gpus(spec))
		all[own++] = (struct kv){ (char *)"NVIDIA_DRIVER_CAPABILITIES", (char *)"all" };
	sorted = calloc(own + more, sizeof(*sorted));
	if (!sorted) {
		step->argv.failed = true;
		return;
	}
	memcpy(sorted, all, own * sizeof(*sorted));
	if (more)
		memcpy(sorted + own, spec->env->items, more * sizeof(*sorted));
	qsort(sorted, own + more, sizeof(*sorted), by_key);
	for (size_t i = 0; i < own + more; i++)
		add_variable(step, &sorted[i], !is_of(spec->env, &sorted[i]));
}

static void add_port(const struct provider *p, struct strv *argv, const char *address,
		     int host_port, int port, enum port_protocol protocol)
{
	bool v6 = strchr(address, ':') != NULL;
	char text[16];

	snprintf(text, sizeof(text), "%d", host_port);
	strv_addf(argv, "--publish=%s%s%s:%s:%d/%s", v6 ? "[" : "", address, v6 ? "]" : "",
		  host_port > 0 ? text : oci_flavour(p)->any_port, port,
		  oci_protocol_name(protocol));
}

void oci_add_ports(const struct provider *p, struct strv *argv, const struct node_spec *spec)
{
	for (size_t i = 0; i < spec->port_count; i++) {
		const struct port_mapping *m = &spec->ports[i];

		add_port(p, argv, is_set(m->listen_address) ? m->listen_address : LOOPBACK,
			 m->host_port, m->container_port, m->protocol);
	}
	if (spec->agent_port >= 0)
		add_port(p, argv, LOOPBACK, spec->agent_port, AGENT_TLS_PORT, PORT_TCP);
}

static const char *propagation_option(enum mount_propagation propagation)
{
	switch (propagation) {
	case MOUNT_BIDIRECTIONAL:
		return "rshared";
	case MOUNT_HOST_TO_CONTAINER:
		return "rslave";
	default:
		return NULL;
	}
}

void oci_add_mounts(struct strv *argv, const struct node_spec *spec)
{
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct mount_config *m = &spec->mounts[i];
		const char *options[] = { m->readonly ? "ro" : NULL,
					  m->selinux_relabel ? "Z" : NULL,
					  propagation_option(m->propagation) };
		cleanup_with(text) struct text word = { 0 };
		char separator = ':';

		text_addf(&word, "--volume=%s:%s", m->host_path, m->container_path);
		for (size_t k = 0; k < ARRAY_LEN(options); k++) {
			if (!options[k])
				continue;
			text_addf(&word, "%c%s", separator, options[k]);
			separator = ',';
		}
		strv_add(argv, text_str(&word));
		argv->failed |= text_failed(&word);
	}
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(s, *words) == 0)
			return true;
	}
	return false;
}

/* kubelet looks the root's block device up there (CN-034). */
static bool needs_mapper(const struct engine_info *e)
{
	return is_one_of(e->driver, OCI_WORDS("btrfs", "zfs", "devicemapper")) ||
	       is_one_of(e->backing_fs, OCI_WORDS("btrfs", "xfs", "zfs"));
}

/* What those need that run containers and kubelet. */
static void add_host_parts(const struct provider *p, struct strv *argv)
{
	const struct host_facts host = engine_host(p);
	bool docker = strcmp(p->ops->name, "docker") == 0;

	if (host.has_nixos_modules)
		strv_add(argv, "--volume=" NIXOS_MODULES ":/lib/modules:ro");
	else if (host.has_modules)
		strv_add(argv, "--volume=/lib/modules:/lib/modules:ro");
	if (needs_mapper(&p->engine) && host.has_mapper && !(docker && p->engine.rootless))
		strv_add(argv, "--volume=/dev/mapper:/dev/mapper");
	if (p->engine.rootless && host.has_fuse)
		strv_add(argv, "--device=/dev/fuse");
}

static void add_storage(const struct provider *p, const struct node_spec *spec, struct strv *argv)
{
	strv_add(argv, oci_flavour(p)->var_volume);
	if (spec->role != NODE_LOAD_BALANCER)
		add_host_parts(p, argv);
	if (is_set(spec->run_dir))
		strv_addf(argv, "--volume=%s:/run/berth", spec->run_dir);
	oci_add_mounts(argv, spec);
}

static void add_cpus(struct strv *argv, int64_t milli)
{
	char fraction[8];
	size_t len;

	snprintf(fraction, sizeof(fraction), ".%03d", (int)(milli % 1000));
	for (len = strlen(fraction); len > 1 && fraction[len - 1] == '0'; len--)
		;
	strv_addf(argv, "--cpus=%" PRId64 "%.*s", milli / 1000, (int)(len > 1 ? len : 0), fraction);
}

/* Swap as large as memory means none: what kubelet expects, and what "512 MiB" says (CN-020, CN-021). What
 * the engine cannot hold is left out: it would fail, or lie. */
static void add_limits(const struct provider *p, const struct node_spec *spec, struct strv *argv)
{
	const struct engine_info *e = &p->engine;

	if (spec->memory_bytes > 0 && e->memory_limit) {
		if (e->swap_limit)
			strv_addf(argv, "--memory-swap=%" PRId64 "b", spec->memory_bytes);
		strv_addf(argv, "--memory=%" PRId64 "b", spec->memory_bytes);
	}
	if (spec->cpus_milli > 0 && e->cpu_limit)
		add_cpus(argv, spec->cpus_milli);
}

/* CN-019. AMD's groups are left out: who is root in a privileged container needs none, and an image that
 * lacks them could not be started. */
static int add_gpus(const struct provider *p, const struct node_spec *spec, struct strv *argv,
		    struct err *err)
{
	if (!is_set(spec->gpus))
		return 0;
	if (wants_all_gpus(spec)) {
		strv_add(argv, oci_flavour(p)->all_gpus);
	} else if (strcmp(spec->gpus, "nvidia.com") == 0) {
		strv_add(argv, "--device=nvidia.com/gpu=all");
	} else if (strcmp(spec->gpus, "amd") == 0) {
		strv_add(argv, "--device=/dev/kfd");
		strv_add(argv, "--device=/dev/dri");
	} else {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' names no kind of GPU", spec->gpus);
		return err_explain(err, "GPUS_INVALID", "use all, nvidia, nvidia.com or amd");
	}
	return 0;
}

/* CN-018: one without the other adds nothing. */
static void add_network(const struct node_spec *spec, struct strv *argv)
{
	bool v4 = is_set(spec->ip), v6 = is_set(spec->ip6);

	if (is_set(spec->network) && (v4 || v6)) {
		strv_addf(argv, "--network=%s", spec->network);
		if (v4)
			strv_addf(argv, "--ip=%s", spec->ip);
		if (v6)
			strv_addf(argv, "--ip6=%s", spec->ip6);
	}
	if (v6) {
		strv_add(argv, "--sysctl=net.ipv6.conf.all.disable_ipv6=0");
		strv_add(argv, "--sysctl=net.ipv6.conf.all.forwarding=1");
	}
	/* CN-036: "." is the engines' word for an empty list. */
	if (spec->dns_search && spec->dns_search->count == 0)
		strv_add(argv, "--dns-search=.");
	for (size_t i = 0; spec->dns_search && i < spec->dns_search->count; i++)
		strv_addf(argv, "--dns-search=%s", spec->dns_search->items[i]);
}

static bool has_cgroup_v2(const struct provider *p)
{
	return *p->engine.cgroup ? strcmp(p->engine.cgroup, "v2") == 0 : p->facts.cgroup_v2;
}

/* CN-260: a balancer runs no containers. Its systemd needs to mount and to have cgroups that it may write: on v1
 * it makes its own view of them, on v2 the engine has to give them. Rootless, privileged is no more than the
 * user has. */
static bool add_balancer_rights(const struct provider *p, struct strv *argv)
{
	const char *cgroups =
		has_cgroup_v2(p) ? oci_flavour(p)->writable_cgroups : "--tmpfs=/sys/fs/cgroup";

	if (p->engine.rootless || !cgroups)
		return false;
	strv_add(argv, "--cap-add=SYS_ADMIN");
	strv_add(argv, "--cgroupns=private");
	strv_add(argv, cgroups);
	return true;
}

static void add_rights(const struct provider *p, const struct node_spec *spec, struct strv *argv)
{
	if (spec->role == NODE_LOAD_BALANCER && add_balancer_rights(p, argv))
		return;
	strv_add(argv, "--privileged");
	strv_add(argv, "--cgroupns=private");
	/* Nested runtimes use calls that engines deny (CN-013). */
	strv_add(argv, "--security-opt=seccomp=unconfined");
}

/* What makes a container able to be a node. */
static void add_system(const struct provider *p, const struct node_spec *spec, struct strv *argv)
{
	add_rights(p, spec, argv);
	strv_add(argv, "--tmpfs=/tmp");
	strv_add(argv, "--tmpfs=/run");
	/* Ready is what the agent says; the engine's own look would enter the node each time, and
	 * podman's needs systemd on the host. */
	strv_add(argv, "--no-healthcheck");
	strv_add(argv, "--stop-signal=SIGRTMIN+3");
	oci_flavour(p)->add_own(p, argv);
}

int oci_plan_create(struct provider *p, const struct node_spec *spec, struct plan *plan,
		    struct err *err)
{
	cleanup_free char *image = oci_image_name(p, spec->image);
	struct strv *argv;
	struct step *step;

	step = plan_add(plan, STEP_CONTAINER_CREATE, spec->name);
	if (!step || !image)
		return err_oom(err);
	argv = &step->argv;
	oci_flavour(p)->add_engine(p, argv, "run");
	strv_addf(argv, "--name=%s", spec->name);
	strv_addf(argv, "--hostname=%s", spec->name);
	/* The image check has spoken; a create does not go to the network. */
	oci_add_words(argv, OCI_WORDS("--detach", "--tty", "--pull=never"));
	add_system(p, spec, argv);
	add_limits(p, spec, argv);
	if (add_gpus(p, spec, argv, err) < 0)
		return -1;
	add_storage(p, spec, argv);
	add_network(spec, argv);
	oci_add_ports(p, argv, spec);
	oci_add_env(p, step, spec);
	oci_add_labels(argv, spec);
	strv_add(argv, "--");
	strv_add(argv, image);
	return 0;
}
