#include "shared/pod/pod.h"

#include "shared/base/parse.h"
#include "shared/pod/quantity.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where in the manifest we are, and where complaints go. */
struct check {
	const K8s__Core__V1__Pod *pod;
	char path[160];
	struct err *err;
};

static int complain(struct check *c, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(struct check *c, const char *field, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	err_set(c->err, ERR_INVALID_ARGUMENT, 0, "%s%s %s", c->path, field, why);
	return err_explain(c->err, "POD_INVALID", NULL);
}

static bool is_empty(const char *s)
{
	return !s || !*s;
}

static int check_word(struct check *c, const char *field, const char *value, const char *words)
{
	size_t len = value ? strlen(value) : 0;
	const char *at = words;

	if (is_empty(value))
		return 0;
	while ((at = strstr(at, value))) {
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]) &&
		    !strchr(value, ' '))
			return 0;
		at++;
	}
	return complain(c, field, "is '%.60s'; it must be one of: %s", value, words);
}

static int check_label(struct check *c, const char *field, const char *value)
{
	if (is_empty(value))
		return complain(c, field, "is missing");
	if (!name_is_label(value))
		return complain(
			c, field,
			"is '%.80s'; it must be lower-case letters, digits and '-', at most 63",
			value);
	return 0;
}

static int check_metadata(struct check *c)
{
	const K8s__Core__V1__Pod *pod = c->pod;

	snprintf(c->path, sizeof(c->path), "metadata.");
	if (!*pod_name(pod))
		return complain(c, "name", "is missing");
	if (!name_is_subdomain(pod_name(pod)))
		return complain(c, "name",
				"is '%.80s'; it must be lower-case letters, digits, '-' and '.', "
				"at most 253",
				pod_name(pod));
	if (check_label(c, "namespace", pod_namespace(pod)) < 0)
		return -1;
	/* It becomes a file name. */
	return *pod_uid(pod) ? check_label(c, "uid", pod_uid(pod)) : 0;
}

static const K8s__Core__V1__Volume *find_volume(const K8s__Core__V1__PodSpec *spec,
						const char *name)
{
	for (size_t i = 0; i < spec->n_volumes; i++) {
		if (spec->volumes[i]->name && strcmp(spec->volumes[i]->name, name) == 0)
			return spec->volumes[i];
	}
	return NULL;
}

static bool climbs(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
			return true;
	}
	return false;
}

static int check_volume(struct check *c, const K8s__Core__V1__Volume *v)
{
	const K8s__Core__V1__HostPathVolumeSource *host =
		v->volumesource ? v->volumesource->hostpath : NULL;

	if (check_label(c, "name", v->name) < 0)
		return -1;
	if (find_volume(c->pod->spec, v->name) != v)
		return complain(c, "name", "is '%.63s', which another volume has already", v->name);
	if (!host)
		return 0;
	if (is_empty(host->path) || *host->path != '/')
		return complain(c, "hostPath.path", "must be absolute");
	if (climbs(host->path))
		return complain(c, "hostPath.path", "must not contain '..'");
	return check_word(
		c, "hostPath.type", host->type,
		"DirectoryOrCreate Directory FileOrCreate File Socket CharDevice BlockDevice");
}

static int check_mount(struct check *c, const K8s__Core__V1__VolumeMount *m, bool privileged)
{
	if (is_empty(m->name) || !find_volume(c->pod->spec, m->name))
		return complain(c, "name", "is '%.63s', but spec.volumes has none of that name",
				m->name ? m->name : "");
	if (is_empty(m->mountpath))
		return complain(c, "mountPath", "is missing");
	if (m->mountpropagation && strcmp(m->mountpropagation, "Bidirectional") == 0 && !privileged)
		return complain(c, "mountPropagation",
				"is Bidirectional in a container that is not privileged");
	return check_word(c, "mountPropagation", m->mountpropagation,
			  "None HostToContainer Bidirectional");
}

static int check_port(struct check *c, const K8s__Core__V1__ContainerPort *p)
{
	if (p->containerport < 1 || p->containerport > 65535)
		return complain(c, "containerPort", "is %" PRId32 "; it must be from 1 to 65535",
				p->containerport);
	if (p->hostport < 0 || p->hostport > 65535)
		return complain(c, "hostPort", "is %" PRId32 "; it must be from 1 to 65535",
				p->hostport);
	return check_word(c, "protocol", p->protocol, "TCP UDP SCTP");
}

static int check_quantity(struct check *c, const char *kind, const char *key,
			  const K8s__Core__V1__Quantity *q, struct quantity *ret)
{
	char field[128];

	snprintf(field, sizeof(field), "resources.%s[%s]", kind, key ? key : "");
	if (!q || !q->string || !quantity_parse(q->string, ret))
		return complain(c, field, "is '%.40s', which is no quantity (like 500m or 1Gi)",
				q && q->string ? q->string : "");
	if (ret->nano < 0)
		return complain(c, field, "is negative");
	return 0;
}

static int check_resources(struct check *c, const K8s__Core__V1__ResourceRequirements *r)
{
	struct quantity limit, request;

	for (size_t i = 0; r && i < r->n_limits; i++) {
		if (check_quantity(c, "limits", r->limits[i]->key, r->limits[i]->value, &limit) < 0)
			return -1;
		for (size_t k = 0; k < r->n_requests; k++) {
			if (!r->requests[k]->key ||
			    strcmp(r->requests[k]->key, r->limits[i]->key) != 0)
				continue;
			if (check_quantity(c, "requests", r->requests[k]->key,
					   r->requests[k]->value, &request) < 0)
				return -1;
			if (request.nano > limit.nano)
				return complain(c, "resources.requests",
						"of %.63s is above its limit", r->requests[k]->key);
		}
	}
	for (size_t k = 0; r && k < r->n_requests; k++) {
		if (check_quantity(c, "requests", r->requests[k]->key, r->requests[k]->value,
				   &request) < 0)
			return -1;
	}
	return 0;
}

static int check_security(struct check *c, const K8s__Core__V1__SecurityContext *sc)
{
	if (!sc)
		return 0;
	if (sc->runasuser < 0 || sc->runasgroup < 0)
		return complain(c, "securityContext.runAsUser",
				"and runAsGroup must not be negative");
	if (sc->privileged && sc->has_allowprivilegeescalation && !sc->allowprivilegeescalation)
		return complain(c, "securityContext.allowPrivilegeEscalation",
				"is false in a privileged container");
	return 0;
}

static int check_env(struct check *c, const K8s__Core__V1__EnvVar *e)
{
	if (is_empty(e->name) || strchr(e->name, '='))
		return complain(c, "name", "is '%.63s'; it must be there and have no '='",
				e->name ? e->name : "");
	if (e->valuefrom && !is_empty(e->value))
		return complain(c, "valueFrom", "and value are both set");
	return 0;
}

/* Calls 'call' for item i of a list, with the path "<base>.<list>[i]." while it runs. */
#define CHECK_LIST(c, base, n, list, name, call)                                              \
	do {                                                                                  \
		for (size_t i_ = 0; i_ < (n); i_++) {                                         \
			snprintf((c)->path, sizeof((c)->path), "%s" name "[%zu].", base, i_); \
			if (call((c), (list)[i_]) < 0)                                        \
				return -1;                                                    \
		}                                                                             \
		snprintf((c)->path, sizeof((c)->path), "%s", base);                           \
	} while (0)

static int check_mount_plain(struct check *c, const K8s__Core__V1__VolumeMount *m)
{
	return check_mount(c, m, false);
}

static int check_mount_privileged(struct check *c, const K8s__Core__V1__VolumeMount *m)
{
	return check_mount(c, m, true);
}

static int check_container(struct check *c, const K8s__Core__V1__Container *ctr)
{
	bool privileged = ctr->securitycontext && ctr->securitycontext->privileged;
	char base[80];

	snprintf(base, sizeof(base), "%.79s", c->path);
	if (check_label(c, "name", ctr->name) < 0)
		return -1;
	if (pod_container(c->pod, ctr->name, NULL) != ctr)
		return complain(c, "name", "is '%.63s', which another container has already",
				ctr->name);
	if (is_empty(ctr->image) || strpbrk(ctr->image, " \t\n"))
		return complain(c, "image", "is missing or has blanks");
	if (check_word(c, "imagePullPolicy", ctr->imagepullpolicy, "Always IfNotPresent Never") <
		    0 ||
	    check_word(c, "terminationMessagePolicy", ctr->terminationmessagepolicy,
		       "File FallbackToLogsOnError") < 0 ||
	    check_resources(c, ctr->resources) < 0 || check_security(c, ctr->securitycontext) < 0)
		return -1;
	CHECK_LIST(c, base, ctr->n_ports, ctr->ports, "ports", check_port);
	CHECK_LIST(c, base, ctr->n_env, ctr->env, "env", check_env);
	if (privileged)
		CHECK_LIST(c, base, ctr->n_volumemounts, ctr->volumemounts, "volumeMounts",
			   check_mount_privileged);
	else
		CHECK_LIST(c, base, ctr->n_volumemounts, ctr->volumemounts, "volumeMounts",
			   check_mount_plain);
	return 0;
}

static int check_ephemeral(struct check *c, const K8s__Core__V1__EphemeralContainer *e)
{
	const void *common = e->ephemeralcontainercommon;

	if (!common)
		return complain(c, "name", "is missing");
	return check_container(c, common);
}

static int check_pod_level(struct check *c, const K8s__Core__V1__PodSpec *spec)
{
	if (spec->n_containers == 0)
		return complain(c, "containers", "is empty; a pod needs at least one container");
	if (spec->terminationgraceperiodseconds < 0)
		return complain(c, "terminationGracePeriodSeconds", "is negative");
	if (spec->hostpid && spec->shareprocessnamespace)
		return complain(c, "shareProcessNamespace", "and hostPID are both true");
	if (!is_empty(spec->hostname) && check_label(c, "hostname", spec->hostname) < 0)
		return -1;
	if (spec->dnspolicy && strcmp(spec->dnspolicy, "None") == 0 &&
	    (!spec->dnsconfig || spec->dnsconfig->n_nameservers == 0))
		return complain(c, "dnsConfig.nameservers", "is empty, but dnsPolicy is None");
	if (check_word(c, "restartPolicy", spec->restartpolicy, "Always OnFailure Never") < 0)
		return -1;
	return check_word(c, "dnsPolicy", spec->dnspolicy,
			  "ClusterFirst ClusterFirstWithHostNet Default None");
}

int pod_check(const K8s__Core__V1__Pod *pod, struct err *err)
{
	struct check c = { .pod = pod, .err = err };
	const K8s__Core__V1__PodSpec *spec = pod->spec;

	if (check_metadata(&c) < 0)
		return -1;
	c.path[0] = '\0';
	if (!spec)
		return complain(&c, "spec", "is missing");
	snprintf(c.path, sizeof(c.path), "spec.");
	if (check_pod_level(&c, spec) < 0)
		return -1;
	CHECK_LIST(&c, "spec.", spec->n_volumes, spec->volumes, "volumes", check_volume);
	CHECK_LIST(&c, "spec.", spec->n_initcontainers, spec->initcontainers, "initContainers",
		   check_container);
	CHECK_LIST(&c, "spec.", spec->n_containers, spec->containers, "containers",
		   check_container);
	CHECK_LIST(&c, "spec.", spec->n_ephemeralcontainers, spec->ephemeralcontainers,
		   "ephemeralContainers", check_ephemeral);
	return 0;
}
