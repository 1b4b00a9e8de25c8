#include "controller/trust/trust_impl.h"
#include "shared/base/file.h"
#include "shared/base/text.h"
#include "shared/wire/methods.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int add(struct trust_certs *certs, const char *kind, const char *name, X509 *cert,
	       struct err *err)
{
	struct trust_cert *items = realloc(certs->items, (certs->count + 1) * sizeof(*items));
	struct trust_cert *item;

	if (!items)
		return err_oom(err);
	certs->items = items;
	item = &items[certs->count++];
	*item = (struct trust_cert){ .kind = kind, .renew_s = trust_half_life_s(cert) };
	snprintf(item->name, sizeof(item->name), "%s", name);
	X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_commonName, item->issuer,
				  sizeof(item->issuer));
	x509_times(cert, &item->from_s, &item->until_s);
	return 0;
}

static int add_authorities(struct trust *trust, struct trust_certs *certs, struct err *err)
{
	cleanup_with(cert) X509 *authority = NULL, *previous = NULL;

	if (trust_read_authorities(trust->dir_fd, &authority, &previous, err) < 0)
		return err_wrap(err, "the authority of cluster '%s'", trust->cluster);
	if (add(certs, "authority", "authority", authority, err) < 0)
		return -1;
	return previous ? add(certs, "authority", "previous authority", previous, err) : 0;
}

static int add_file(struct trust_certs *certs, const char *kind, const char *name, int dir_fd,
		    const char *file, struct err *err)
{
	cleanup_with(cert) X509 *cert = NULL;
	struct err unreadable;

	if (trust_read_cert(dir_fd, file, &cert, &unreadable) < 0)
		return 0;
	return add(certs, kind, name, cert, err);
}

static int add_node(struct trust *trust, struct trust_certs *certs, const char *node,
		    struct err *err)
{
	char run_dir[PATH_MAX];
	cleanup_fd int run_fd = -1, dir_fd = -1;

	if (!trust_node_dir(trust, node, run_dir, sizeof(run_dir)))
		return 0;
	run_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run_fd >= 0)
		dir_fd = openat(run_fd, "tls", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir_fd < 0 ? 0 : add_file(certs, "node", node, dir_fd, "node", err);
}

static int add_all(struct trust *trust, struct trust_certs *certs, struct err *err)
{
	cleanup_with(strv) struct strv nodes = { 0 };

	if (add_authorities(trust, certs, err) < 0 || trust_node_names(trust, &nodes, err) < 0)
		return -1;
	for (int role = ROLE_READ; role <= ROLE_ADMIN; role++) {
		const char *name = method_role_name((enum method_role)role);

		if (add_file(certs, "client", name, trust->dir_fd, name, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < nodes.count; i++) {
		if (add_node(trust, certs, nodes.items[i], err) < 0)
			return -1;
	}
	return 0;
}

int trust_list(struct trust *trust, struct trust_certs *ret_certs, struct err *err)
{
	struct trust_certs certs = { 0 };

	if (add_all(trust, &certs, err) < 0) {
		trust_certs_release(&certs);
		return -1;
	}
	*ret_certs = certs;
	return 0;
}

void trust_certs_release(struct trust_certs *certs)
{
	free(certs->items);
	*certs = (struct trust_certs){ 0 };
}
