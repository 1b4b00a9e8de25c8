/* What render needs of the node, and the directories that pods need on it. */
#include "agent/pods/pods_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RESOLV_CONF_MAX (64 * 1024)

/* The first IPv4 address that is up and not a loopback's. */
static void find_host_ip(char *ret, size_t size)
{
	struct ifaddrs *list = NULL;

	*ret = '\0';
	if (getifaddrs(&list) < 0)
		return;
	for (struct ifaddrs *a = list; a && !*ret; a = a->ifa_next) {
		const struct sockaddr_in *in = (const void *)a->ifa_addr;

		if (in && in->sin_family == AF_INET && (a->ifa_flags & IFF_UP) &&
		    !(a->ifa_flags & IFF_LOOPBACK))
			inet_ntop(AF_INET, &in->sin_addr, ret, (socklen_t)size);
	}
	freeifaddrs(list);
}

static char *read_resolv_conf(void)
{
	cleanup_fd int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	char *text = fd >= 0 ? calloc(1, RESOLV_CONF_MAX) : NULL;
	ssize_t n = text ? read(fd, text, RESOLV_CONF_MAX - 1) : -1;

	if (n < 0) {
		free(text);
		return NULL;
	}
	return text;
}

void node_facts_get(struct worker *w, struct node_facts *ret)
{
	const struct seen_sandbox *s = w->obs.seen.sandboxes;
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	memset(ret, 0, sizeof(*ret));
	if (gethostname(ret->name, sizeof(ret->name) - 1) < 0)
		ret->name[0] = '\0';
	find_host_ip(ret->host_ip, sizeof(ret->host_ip));
	/* Only a dnsConfig is merged with it (render.h). */
	if (w->record.pod->spec->dnsconfig)
		ret->resolv_conf = read_resolv_conf();
	ret->node = (struct render_node){
		.memory_bytes = pages > 0 && page > 0 ? (int64_t)pages * page : 0,
		.pods_dir = w->pods->volumes_dir,
		.logs_dir = w->pods->logs_dir,
		.node_name = ret->name,
		.host_ip = ret->host_ip,
		.pod_ip = pod_is_host_network(w->record.pod) ? ret->host_ip
			  : w->obs.seen.sandbox_count        ? s->ip
							     : "",
		.resolv_conf = ret->resolv_conf,
		.cfs_quota = true,
	};
}

void node_facts_release(struct node_facts *f)
{
	free(f->resolv_conf);
}

/* mkdir -p; 'mode' is the last one's, exactly. */
static int make_path(const char *path, mode_t mode, struct err *err)
{
	cleanup_free char *copy = strdup(path);

	if (!copy)
		return err_oom(err);
	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return err_set(err, ERR_UNAVAILABLE, errno, "make '%s'", copy);
		*p = '/';
	}
	if (mkdir(copy, mode) == 0) {
		/* The umask took its part. */
		if (chmod(copy, mode) < 0)
			return err_set(err, ERR_UNAVAILABLE, errno, "make '%s'", copy);
		return 0;
	}
	return errno == EEXIST ? 0 : err_set(err, ERR_UNAVAILABLE, errno, "make '%s'", copy);
}

static int make_all(const struct strv *paths, mode_t mode, struct err *err)
{
	for (size_t i = 0; i < paths->count; i++) {
		if (make_path(paths->items[i], mode, err) < 0)
			return -1;
	}
	return strv_failed(paths) ? err_oom(err) : 0;
}

static bool is_as_promised(const char *type, mode_t mode)
{
	static const struct {
		const char *type;
		mode_t format;
	} types[] = {
		{ "Directory", S_IFDIR },   { "DirectoryOrCreate", S_IFDIR },
		{ "File", S_IFREG },        { "FileOrCreate", S_IFREG },
		{ "Socket", S_IFSOCK },     { "CharDevice", S_IFCHR },
		{ "BlockDevice", S_IFBLK },
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i].type, type) == 0)
			return (mode & S_IFMT) == types[i].format;
	}
	return true;
}

static int check_host_path(const K8s__Core__V1__HostPathVolumeSource *host, struct err *err)
{
	const char *type = host->type ? host->type : "";
	struct stat st;

	if (!*type)
		return 0;
	if (strcmp(type, "FileOrCreate") == 0) {
		int fd = open(host->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		if (fd >= 0)
			close(fd);
	}
	if (stat(host->path, &st) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "hostPath '%s' of type %s",
			       host->path, type);
	if (!is_as_promised(type, st.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "hostPath '%s' is not of type %s",
			       host->path, type);
	return 0;
}

static int make_log_dirs(struct worker *w, const struct render_node *node, struct err *err)
{
	const K8s__Core__V1__Pod *pod = w->record.pod;
	const K8s__Core__V1__PodSpec *spec = pod->spec;
	cleanup_free char *base = text_format("%s/%s_%s_%s", node->logs_dir, pod_namespace(pod),
					      pod_name(pod), pod_uid(pod));
	cleanup_with(strv) struct strv paths = { 0 };

	if (!base)
		return err_oom(err);
	for (size_t i = 0; i < spec->n_containers; i++)
		strv_addf(&paths, "%s/%s", base, spec->containers[i]->name);
	for (size_t i = 0; i < spec->n_initcontainers; i++)
		strv_addf(&paths, "%s/%s", base, spec->initcontainers[i]->name);
	for (size_t i = 0; i < spec->n_ephemeralcontainers; i++)
		strv_addf(&paths, "%s/%s", base,
			  spec->ephemeralcontainers[i]->ephemeralcontainercommon->name);
	return make_all(&paths, 0755, err);
}

int volumes_prepare(struct worker *w, const struct render_node *node, struct err *err)
{
	const K8s__Core__V1__PodSpec *spec = w->record.pod->spec;
	cleanup_with(strv) struct strv empty_dirs = { 0 };
	cleanup_with(strv) struct strv host_dirs = { 0 };

	render_directories(w->record.pod, node, &empty_dirs, &host_dirs);
	if (make_log_dirs(w, node, err) < 0 || make_all(&empty_dirs, 0777, err) < 0 ||
	    make_all(&host_dirs, 0755, err) < 0)
		return -1;
	for (size_t i = 0; i < spec->n_volumes; i++) {
		const K8s__Core__V1__VolumeSource *source = spec->volumes[i]->volumesource;

		if (source && source->hostpath && check_host_path(source->hostpath, err) < 0)
			return err_wrap(err, "volume '%s'", spec->volumes[i]->name);
	}
	return 0;
}
