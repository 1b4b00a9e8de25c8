/* What is made, and when it is made anew. */
#include "controller/trust/trust_impl.h"
#include "shared/base/file.h"
#include "shared/base/text.h"
#include "shared/wire/methods.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A leaf: "<name>.key" and "<name>.crt" of an open directory. */
struct leaf {
	int dir_fd;
	const char *name;
	struct x509_spec spec;
};

static int write_key(int dir_fd, const char *name, EVP_PKEY *key, struct err *err)
{
	char *pem, file[300];
	int rc;

	if (x509_key_to_pem(key, &pem, err) < 0)
		return -1;
	snprintf(file, sizeof(file), "%s.key", name);
	rc = file_replace_at(dir_fd, file, pem, strlen(pem), err);
	x509_wipe(pem);
	return rc;
}

static int read_key(int dir_fd, const char *name, EVP_PKEY **ret_key, struct err *err)
{
	char *pem, file[300];
	size_t len;
	int rc;

	snprintf(file, sizeof(file), "%s.key", name);
	if (file_read_at(dir_fd, file, TRUST_FILE_MAX, &pem, &len, err) < 0)
		return -1;
	rc = x509_key_from_pem(pem, len, ret_key, err);
	x509_wipe(pem);
	return rc;
}

/* --- authority -------------------------------------------------------------------------------------- */

/* Authority and the one before as one text. Caller frees. */
static int bundle(const struct trust *trust, char **ret_pem, struct err *err)
{
	cleanup_free char *first = NULL, *second = NULL;
	char *pem;

	if (x509_cert_to_pem(trust->authority, &first, err) < 0 ||
	    (trust->previous && x509_cert_to_pem(trust->previous, &second, err) < 0))
		return -1;
	pem = text_format("%s%s", first, second ? second : "");
	if (!pem)
		return err_oom(err);
	*ret_pem = pem;
	return 0;
}

static int write_bundle(const struct trust *trust, int dir_fd, struct err *err)
{
	cleanup_free char *pem = NULL;

	if (bundle(trust, &pem, err) < 0)
		return -1;
	return file_replace_at(dir_fd, "ca.crt", pem, strlen(pem), err);
}

/* Its name must be its own: who looks for an issuer finds the right one by it. */
static int make_authority(struct trust *trust, struct err *err)
{
	cleanup_free char *name = NULL;
	struct x509_spec spec = {
		.kind = X509_AUTHORITY,
		.from_s = trust->now_s - TRUST_BACKDATE_S,
		.until_s = trust->now_s + TRUST_AUTHORITY_S,
	};
	cleanup_with(key) EVP_PKEY *key = NULL;
	X509 *authority;

	if (x509_make_key(&key, err) < 0)
		return -1;
	name = text_format("berth %lld %.40s", (long long)trust->now_s, trust->cluster);
	if (!name)
		return err_oom(err);
	spec.name = name;
	if (x509_make(&spec, key, NULL, NULL, &authority, err) < 0)
		return -1;
	X509_free(trust->previous);
	EVP_PKEY_free(trust->key);
	trust->previous = trust->authority;
	trust->authority = authority;
	trust->key = TAKE(key);
	if (write_key(trust->dir_fd, "ca", trust->key, err) < 0)
		return -1;
	return write_bundle(trust, trust->dir_fd, err);
}

/* A key that does not fit (a crash between both files) cannot sign: then it takes a new authority, and
 * what the old one signed stays good. */
static int load_authority(struct trust *trust)
{
	struct err ignored;

	if (trust->authority)
		return 0;
	if (trust_read_authorities(trust->dir_fd, &trust->authority, &trust->previous, &ignored) <
	    0)
		return -1;
	if (read_key(trust->dir_fd, "ca", &trust->key, &ignored) < 0)
		return -1;
	return X509_check_private_key(trust->authority, trust->key) == 1 ? 0 : -1;
}

/* --- leaves ----------------------------------------------------------------------------------------- */

static bool is_accepted(const struct trust *trust, X509 *cert)
{
	return x509_is_signed_by(cert, trust->authority) ||
	       (trust->previous && x509_is_signed_by(cert, trust->previous));
}

static bool leaf_is_good(const struct trust *trust, const struct leaf *leaf)
{
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_with(key) EVP_PKEY *key = NULL;
	struct err ignored;

	return trust_read_cert(leaf->dir_fd, leaf->name, &cert, &ignored) == 0 &&
	       read_key(leaf->dir_fd, leaf->name, &key, &ignored) == 0 &&
	       X509_check_private_key(cert, key) == 1 && is_accepted(trust, cert) &&
	       trust->now_s < trust_half_life_s(cert);
}

static int make_leaf(const struct trust *trust, struct leaf *leaf, struct err *err)
{
	cleanup_with(key) EVP_PKEY *key = NULL;
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_free char *pem = NULL;
	char file[300];

	leaf->spec.from_s = trust->now_s - TRUST_BACKDATE_S;
	leaf->spec.until_s = trust->now_s + TRUST_LEAF_S;
	if (x509_make_key(&key, err) < 0 ||
	    x509_make(&leaf->spec, key, trust->authority, trust->key, &cert, err) < 0 ||
	    x509_cert_to_pem(cert, &pem, err) < 0)
		return -1;
	snprintf(file, sizeof(file), "%s.crt", leaf->name);
	if (write_key(leaf->dir_fd, leaf->name, key, err) < 0)
		return -1;
	return file_replace_at(leaf->dir_fd, file, pem, strlen(pem), err);
}

static int renew_leaf(const struct trust *trust, struct leaf *leaf, bool anew, struct err *err)
{
	if (!anew && leaf_is_good(trust, leaf))
		return 0;
	return make_leaf(trust, leaf, err);
}

static int renew_role(struct trust *trust, enum method_role role, bool anew, struct err *err)
{
	char host[65] = "", name[128];
	struct leaf leaf = { .dir_fd = trust->dir_fd, .name = method_role_name(role) };

	gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "uid %ld on %s", (long)geteuid(), host);
	leaf.spec = (struct x509_spec){
		.kind = X509_CLIENT,
		.name = name,
		.role = method_role_name(role),
	};
	return renew_leaf(trust, &leaf, anew, err);
}

int trust_renew(struct trust *trust, enum trust_renewal renewal, struct err *err)
{
	bool good = load_authority(trust) == 0 && renewal != TRUST_NEW_AUTHORITY &&
		    trust->now_s < trust_half_life_s(trust->authority);

	/* Nodes hear of a new one at once, so that they know it before anybody shows them its work. */
	if (!good &&
	    (make_authority(trust, err) < 0 || trust_renew_nodes(trust, TRUST_AS_NEEDED, err) < 0))
		return err_wrap(err, "cannot make the authority of cluster '%s'", trust->cluster);
	for (int role = ROLE_READ; role <= ROLE_ADMIN; role++) {
		if (renew_role(trust, (enum method_role)role, renewal == TRUST_LEAVES, err) < 0)
			return err_wrap(err, "cannot make the certificate of role '%s'",
					method_role_name((enum method_role)role));
	}
	return 0;
}

/* --- nodes ------------------------------------------------------------------------------------------ */

static int remember(struct trust *trust, const char *node, const char *run_dir, struct err *err)
{
	char known[PATH_MAX];

	if (trust_node_dir(trust, node, known, sizeof(known)) && strcmp(known, run_dir) == 0)
		return 0;
	unlinkat(trust->nodes_fd, node, 0);
	if (symlinkat(run_dir, trust->nodes_fd, node) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "write '%s/nodes/%s'",
			       trust->dir, node);
	return 0;
}

/* The bundle first: whoever sees the new certificate knows its issuer then. It is only written when it
 * has changed: the node looks at it, too. */
static int renew_bundle(const struct trust *trust, int dir_fd, struct err *err)
{
	cleanup_free char *pem = NULL, *there = NULL;
	struct err ignored;
	size_t len;

	if (bundle(trust, &pem, err) < 0)
		return -1;
	if (file_read_at(dir_fd, "ca.crt", TRUST_FILE_MAX, &there, &len, &ignored) == 0 &&
	    strcmp(pem, there) == 0)
		return 0;
	return file_replace_at(dir_fd, "ca.crt", pem, strlen(pem), err);
}

int trust_renew_node(struct trust *trust, const char *node, const char *run_dir,
		     enum trust_renewal renewal, struct err *err)
{
	cleanup_free char *dns = trust_node_name(node, trust->cluster);
	cleanup_fd int dir_fd = -1;
	struct leaf leaf = { .name = "node" };

	if (!dns)
		return err_oom(err);
	if (file_open_directory(run_dir, "tls", &dir_fd, err) < 0)
		return -1;
	if (fchmod(dir_fd, 0700) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "close '%s/tls' to others",
			       run_dir);
	leaf.dir_fd = dir_fd;
	leaf.spec = (struct x509_spec){ .kind = X509_SERVER, .name = node, .dns = dns };
	if (remember(trust, node, run_dir, err) < 0 || renew_bundle(trust, dir_fd, err) < 0)
		return -1;
	if (renew_leaf(trust, &leaf, renewal != TRUST_AS_NEEDED, err) < 0)
		return err_wrap(err, "cannot make the certificate of node '%s'", node);
	return 0;
}

int trust_renew_nodes(struct trust *trust, enum trust_renewal renewal, struct err *err)
{
	cleanup_with(strv) struct strv names = { 0 };
	char run_dir[PATH_MAX];

	if (trust_node_names(trust, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (!trust_node_dir(trust, names.items[i], run_dir, sizeof(run_dir)))
			continue;
		if (access(run_dir, F_OK) < 0)
			unlinkat(trust->nodes_fd, names.items[i], 0);
		else if (trust_renew_node(trust, names.items[i], run_dir, renewal, err) < 0)
			return -1;
	}
	return 0;
}
