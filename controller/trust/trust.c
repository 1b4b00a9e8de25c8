#include "controller/trust/trust.h"

#include "controller/trust/trust_impl.h"
#include "shared/base/file.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char *cluster_dir(const char *state_dir, const char *cluster)
{
	return text_format("%s/clusters/%s", state_dir, cluster);
}

static char *tls_dir(const char *state_dir, const char *cluster)
{
	return text_format("%s/clusters/%s/tls", state_dir, cluster);
}

char *trust_node_name(const char *node, const char *cluster)
{
	return text_format("%s.%s.agent", node, cluster);
}

bool trust_exists(const char *state_dir, const char *cluster)
{
	cleanup_free char *path = text_format("%s/clusters/%s/tls/ca.crt", state_dir, cluster);

	return path && access(path, F_OK) == 0;
}

static int not_set_up(const char *cluster, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, 0, "cluster '%s' has no certificates on this host", cluster);
	return err_explain(err, "TLS_NOT_SET_UP",
			   "'berth create cluster --agent-tls' makes them with the cluster");
}

static int open_files(struct trust *trust, struct err *err)
{
	trust->dir_fd = open(trust->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (trust->dir_fd < 0 || fchmod(trust->dir_fd, 0700) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "open '%s'", trust->dir);
	if (file_open_directory(trust->dir, "nodes", &trust->nodes_fd, err) < 0)
		return -1;
	trust->lock_fd =
		openat(trust->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (trust->lock_fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "open '%s/lock'", trust->dir);
	/* Held for some signatures at most. */
	while (flock(trust->lock_fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return err_set(err, ERR_FAILED_PRECONDITION, errno, "lock '%s'",
				       trust->dir);
	}
	return 0;
}

int trust_open(const char *state_dir, const char *cluster, bool create, int64_t now_s,
	       struct trust **ret_trust, struct err *err)
{
	cleanup_with(trust) struct trust *trust = calloc(1, sizeof(*trust));

	if (!trust)
		return err_oom(err);
	trust->lock_fd = trust->dir_fd = trust->nodes_fd = -1;
	trust->now_s = now_s;
	trust->dir = tls_dir(state_dir, cluster);
	trust->cluster = strdup(cluster);
	if (!trust->dir || !trust->cluster)
		return err_oom(err);
	if (!create && !trust_exists(state_dir, cluster))
		return not_set_up(cluster, err);
	if (file_make_directories(trust->dir, err) < 0 || open_files(trust, err) < 0)
		return -1;
	*ret_trust = TAKE(trust);
	return 0;
}

void trust_close(struct trust *trust)
{
	if (!trust)
		return;
	EVP_PKEY_free(trust->key);
	X509_free(trust->authority);
	X509_free(trust->previous);
	if (trust->nodes_fd >= 0)
		close(trust->nodes_fd);
	if (trust->dir_fd >= 0)
		close(trust->dir_fd);
	if (trust->lock_fd >= 0)
		close(trust->lock_fd);
	free(trust->dir);
	free(trust->cluster);
	free(trust);
}

/* --- reading -------------------------------------------------------------------------------------- */

int trust_read_cert(int dir_fd, const char *name, X509 **ret_cert, struct err *err)
{
	cleanup_free char *pem = NULL;
	char file[300];
	size_t len;

	snprintf(file, sizeof(file), "%s.crt", name);
	if (file_read_at(dir_fd, file, TRUST_FILE_MAX, &pem, &len, err) < 0)
		return -1;
	return x509_cert_from_pem(pem, len, ret_cert, err);
}

int trust_read_authorities(int dir_fd, X509 **ret_authority, X509 **ret_previous, struct err *err)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	cleanup_free char *pem = NULL;
	X509 *authority, *previous = NULL;
	const char *second;
	struct err ignored;
	size_t len;

	if (file_read_at(dir_fd, "ca.crt", TRUST_FILE_MAX, &pem, &len, err) < 0 ||
	    x509_cert_from_pem(pem, len, &authority, err) < 0)
		return -1;
	second = strstr(pem, begin);
	second = second ? strstr(second + 1, begin) : NULL;
	if (second)
		x509_cert_from_pem(second, strlen(second), &previous, &ignored);
	*ret_authority = authority;
	*ret_previous = previous;
	return 0;
}

int64_t trust_half_life_s(const X509 *cert)
{
	int64_t from, until;

	x509_times(cert, &from, &until);
	return from + (until - from) / 2;
}

/* --- remembered nodes ------------------------------------------------------------------------------- */

bool trust_node_dir(const struct trust *trust, const char *node, char *ret, size_t size)
{
	ssize_t len = readlinkat(trust->nodes_fd, node, ret, size - 1);

	if (len <= 0)
		return false;
	ret[len] = '\0';
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int trust_node_names(const struct trust *trust, struct strv *ret_names, struct err *err)
{
	cleanup_with(strv) struct strv names = { 0 };
	int fd = openat(trust->nodes_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "read '%s/nodes'", trust->dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			strv_add(&names, entry->d_name);
	}
	closedir(dir);
	if (strv_failed(&names))
		return err_oom(err);
	if (names.count)
		qsort(names.items, names.count, sizeof(*names.items), by_text);
	*ret_names = names;
	names = (struct strv){ 0 };
	return 0;
}

int trust_forget_node(const char *state_dir, const char *cluster, const char *node, struct err *err)
{
	cleanup_free char *path =
		text_format("%s/clusters/%s/tls/nodes/%s", state_dir, cluster, node);

	if (!path)
		return err_oom(err);
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot remove '%s'", path);
	*strrchr(path, '/') = '\0';
	return rmdir(path) == 0 ? trust_delete(state_dir, cluster, err) : 0;
}

int trust_delete(const char *state_dir, const char *cluster, struct err *err)
{
	cleanup_free char *tls = tls_dir(state_dir, cluster);
	cleanup_free char *dir = cluster_dir(state_dir, cluster);

	if (!tls || !dir)
		return err_oom(err);
	if (file_remove_tree(tls, err) < 0)
		return -1;
	rmdir(dir); /* unless others keep something there */
	return 0;
}
