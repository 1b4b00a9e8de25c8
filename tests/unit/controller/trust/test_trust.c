/* Authorities and certificates: what is made, when it is made anew, and who can read it. */
#include "controller/trust/trust.h"

#include "controller/trust/trust_impl.h"
#include "shared/base/file.h"
#include "shared/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW ((int64_t)1800000000)

struct rig {
	char dir[40];
	char run_dir[64];
	char tls[80];
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	snprintf(rig->dir, sizeof(rig->dir), "/tmp/berth-trust-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->run_dir, sizeof(rig->run_dir), "%s/run", rig->dir);
	snprintf(rig->tls, sizeof(rig->tls), "%s/clusters/c1/tls", rig->dir);
	assert_int_equal(mkdir(rig->run_dir, 0700), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(file_remove_tree(rig->dir, &err), 0);
	free(rig);
	return 0;
}

static void renew_at(const struct rig *rig, int64_t now_s, enum trust_renewal renewal)
{
	cleanup_with(trust) struct trust *trust = NULL;
	struct err err;

	assert_int_equal(trust_open(rig->dir, "c1", true, now_s, &trust, &err), 0);
	assert_int_equal(trust_renew(trust, renewal, &err), 0);
	assert_int_equal(trust_renew_node(trust, "n1", rig->run_dir, renewal, &err), 0);
}

static char *content(const char *dir, const char *name)
{
	cleanup_free char *path = text_format("%s/%s", dir, name);
	struct err err;
	size_t len;
	char *text;

	assert_int_equal(file_read(path, 65536, &text, &len, &err), 0);
	return text;
}

static X509 *certificate(const char *dir, const char *name)
{
	cleanup_free char *pem = content(dir, name);
	struct err err;
	X509 *cert;

	assert_int_equal(x509_cert_from_pem(pem, strlen(pem), &cert, &err), 0);
	return cert;
}

static char *node_tls(const struct rig *rig)
{
	return text_format("%s/tls", rig->run_dir);
}

static void assert_mode(const char *dir, const char *name, unsigned mode)
{
	cleanup_free char *path = text_format("%s/%s", dir, name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, mode);
}

/* S1 */
static void keys_are_for_their_owner_only(void **state)
{
	static const char *const files[] = { "ca.key",   "ca.crt",    "read.key",
					     "read.crt", "admin.key", "admin.crt" };
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig);

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	assert_mode(rig->tls, ".", 0700);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		assert_mode(rig->tls, files[i], 0600);
	assert_mode(tls, ".", 0700);
	assert_mode(tls, "node.key", 0600);
}

/* S1: what a node has does not hold the authority's key */
static void the_authoritys_key_stays_here(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig), *path = text_format("%s/ca.key", tls);

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	assert_int_equal(access(path, F_OK), -1);
}

/* S2 */
static void a_nodes_certificate_is_for_its_name_and_for_serving_only(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig);
	cleanup_with(cert) X509 *cert = NULL;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	cert = certificate(tls, "node.crt");
	assert_int_equal(X509_check_host(cert, "n1.c1.agent", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(cert, "n2.c1.agent", 0, 0, NULL), 0);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER);
	assert_int_equal(X509_check_ca(cert), 0);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(cert)), 256);
}

/* S3 */
static void a_roles_certificate_names_it_once_and_is_for_calling_only(void **state)
{
	static const char *const roles[] = { "read", "admin" };
	struct rig *rig = *state;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		cleanup_free char *file = text_format("%s.crt", roles[i]);
		cleanup_with(cert) X509 *cert = certificate(rig->tls, file);
		X509_NAME *subject = X509_get_subject_name(cert);
		char role[16];

		assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
		X509_NAME_get_text_by_NID(subject, NID_organizationName, role, sizeof(role));
		assert_string_equal(role, roles[i]);
		assert_int_equal(
			X509_NAME_get_index_by_NID(
				subject, NID_organizationName,
				X509_NAME_get_index_by_NID(subject, NID_organizationName, -1)),
			-1);
	}
}

/* S6: clocks of nodes may be a day behind */
static void certificates_begin_a_day_ago(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig);
	cleanup_with(cert) X509 *cert = NULL;
	int64_t from, until;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	cert = certificate(tls, "node.crt");
	x509_times(cert, &from, &until);
	assert_int_equal(from, NOW - 24 * 3600);
	assert_int_equal(until, NOW + TRUST_LEAF_S);
}

static void what_is_good_is_left_alone(void **state)
{
	static const char *const files[] = { "ca.key", "ca.crt", "read.crt", "admin.key" };
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig), *node_before = NULL, *node_after = NULL;
	char *before[ARRAY_LEN(files)];

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	node_before = content(tls, "node.crt");
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		before[i] = content(rig->tls, files[i]);
	renew_at(rig, NOW + 3600, TRUST_AS_NEEDED);
	node_after = content(tls, "node.crt");
	assert_string_equal(node_before, node_after);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_free char *after = content(rig->tls, files[i]);

		assert_string_equal(before[i], after);
		free(before[i]);
	}
}

/* S6 */
static void leaves_are_renewed_at_half_of_their_life(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig), *before = NULL, *early = NULL, *late = NULL;
	cleanup_free char *authority_before = NULL, *authority_after = NULL;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	before = content(tls, "node.crt");
	authority_before = content(rig->tls, "ca.crt");
	renew_at(rig, NOW + TRUST_LEAF_S / 2 - 2 * TRUST_BACKDATE_S, TRUST_AS_NEEDED);
	early = content(tls, "node.crt");
	assert_string_equal(before, early);
	renew_at(rig, NOW + TRUST_LEAF_S / 2 + 60, TRUST_AS_NEEDED);
	late = content(tls, "node.crt");
	assert_string_not_equal(before, late);
	authority_after = content(rig->tls, "ca.crt");
	assert_string_equal(authority_before, authority_after);
}

static bool signed_by_either(X509 *cert, int dir_fd)
{
	cleanup_with(cert) X509 *authority = NULL, *previous = NULL;
	struct err err;

	assert_int_equal(trust_read_authorities(dir_fd, &authority, &previous, &err), 0);
	return x509_is_signed_by(cert, authority) ||
	       (previous && x509_is_signed_by(cert, previous));
}

/* S6: each side accepts what the other shows, at every moment of a change of the authority */
static void during_a_change_of_authority_both_are_accepted(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig);
	cleanup_with(cert) X509 *old = NULL, *new = NULL, *client = NULL;
	cleanup_fd int dir_fd = -1, node_fd = -1;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	old = certificate(rig->tls, "ca.crt");
	renew_at(rig, NOW + 60, TRUST_NEW_AUTHORITY);
	new = certificate(rig->tls, "ca.crt");
	assert_int_not_equal(X509_cmp(old, new), 0);
	client = certificate(rig->tls, "admin.crt");
	assert_true(x509_is_signed_by(client, old));

	dir_fd = open(rig->tls, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	node_fd = open(tls, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(signed_by_either(client, node_fd));
	X509_free(client);
	client = certificate(tls, "node.crt");
	assert_true(x509_is_signed_by(client, new));
	assert_true(signed_by_either(client, dir_fd));
}

static void an_authority_past_half_of_its_life_is_replaced_for_all_nodes(void **state)
{
	struct rig *rig = *state;
	int64_t later = NOW + TRUST_AUTHORITY_S / 2 + 60;
	cleanup_with(trust) struct trust *trust = NULL;
	cleanup_free char *tls = node_tls(rig), *ours = NULL, *nodes = NULL;
	struct err err;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	assert_int_equal(trust_open(rig->dir, "c1", false, later, &trust, &err), 0);
	assert_int_equal(trust_renew(trust, TRUST_AS_NEEDED, &err), 0);
	assert_non_null(trust->previous);
	ours = content(rig->tls, "ca.crt");
	nodes = content(tls, "ca.crt");
	assert_string_equal(ours, nodes);
}

static void two_authorities_ago_is_accepted_no_more(void **state)
{
	struct rig *rig = *state;
	cleanup_with(cert) X509 *client = NULL;
	cleanup_fd int dir_fd = -1;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	client = certificate(rig->tls, "admin.crt");
	renew_at(rig, NOW + 60, TRUST_NEW_AUTHORITY);
	renew_at(rig, NOW + 120, TRUST_NEW_AUTHORITY);
	dir_fd = open(rig->tls, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(signed_by_either(client, dir_fd));
	X509_free(client);
	client = certificate(rig->tls, "admin.crt");
	assert_true(signed_by_either(client, dir_fd));
}

static void a_torn_pair_is_made_anew(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig), *key = NULL, *path = NULL;
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_with(key) EVP_PKEY *pair = NULL;
	struct err err;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	key = content(rig->tls, "admin.key");
	path = text_format("%s/node.key", tls);
	assert_int_equal(file_replace(path, key, strlen(key), &err), 0);
	renew_at(rig, NOW + 60, TRUST_AS_NEEDED);
	free(key);
	key = content(tls, "node.key");
	cert = certificate(tls, "node.crt");
	assert_int_equal(x509_key_from_pem(key, strlen(key), &pair, &err), 0);
	assert_int_equal(X509_check_private_key(cert, pair), 1);
}

/* A5: what the node may write leads nowhere else */
static void a_link_that_the_node_has_put_there_is_not_followed(void **state)
{
	struct rig *rig = *state;
	cleanup_with(trust) struct trust *trust = NULL;
	cleanup_free char *tls = node_tls(rig), *victim = text_format("%s/victim", rig->dir);
	cleanup_free char *file = text_format("%s/node.key", victim);
	struct err err;

	assert_int_equal(mkdir(victim, 0700), 0);
	assert_int_equal(symlink(victim, tls), 0);
	assert_int_equal(trust_open(rig->dir, "c1", true, NOW, &trust, &err), 0);
	assert_int_equal(trust_renew(trust, TRUST_AS_NEEDED, &err), 0);
	assert_int_equal(trust_renew_node(trust, "n1", rig->run_dir, TRUST_AS_NEEDED, &err), -1);
	assert_int_equal(access(file, F_OK), -1);
}

static void a_linked_file_is_replaced_and_its_target_stays(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *tls = node_tls(rig), *victim = text_format("%s/victim", rig->dir);
	cleanup_free char *link = text_format("%s/node.key", tls), *after = NULL;
	struct err err;

	assert_int_equal(file_replace(victim, "mine", 4, &err), 0);
	assert_int_equal(mkdir(tls, 0700), 0);
	assert_int_equal(symlink(victim, link), 0);
	renew_at(rig, NOW, TRUST_AS_NEEDED);
	after = content(rig->dir, "victim");
	assert_string_equal(after, "mine");
	assert_mode(tls, "node.key", 0600);
}

/* NULL: it went well. */
static void *renew_in_thread(void *arg)
{
	const struct rig *rig = arg;
	struct trust *trust;
	struct err err;
	int rc;

	if (trust_open(rig->dir, "c1", true, NOW, &trust, &err) < 0)
		return arg;
	rc = trust_renew(trust, TRUST_AS_NEEDED, &err);
	trust_close(trust);
	return rc < 0 ? arg : NULL;
}

static void those_who_begin_together_make_one_authority(void **state)
{
	struct rig *rig = *state;
	cleanup_with(cert) X509 *authority = NULL, *previous = NULL;
	cleanup_fd int dir_fd = -1;
	pthread_t threads[8];
	struct err err;
	void *failed;

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, renew_in_thread, rig), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	dir_fd = open(rig->tls, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(trust_read_authorities(dir_fd, &authority, &previous, &err), 0);
	assert_null(previous);
}

static void the_list_says_who_is_good_until_when(void **state)
{
	struct rig *rig = *state;
	cleanup_with(trust) struct trust *trust = NULL;
	__attribute__((cleanup(cleanup_trust_certs))) struct trust_certs certs = { 0 };
	struct err err;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	assert_int_equal(trust_open(rig->dir, "c1", false, NOW, &trust, &err), 0);
	assert_int_equal(trust_list(trust, &certs, &err), 0);
	assert_int_equal(certs.count, 4);
	assert_string_equal(certs.items[0].kind, "authority");
	assert_string_equal(certs.items[1].name, "read");
	assert_string_equal(certs.items[3].name, "n1");
	assert_string_equal(certs.items[3].kind, "node");
	assert_int_equal(certs.items[3].until_s, NOW + TRUST_LEAF_S);
	assert_true(certs.items[3].renew_s < certs.items[3].until_s);
}

static void a_cluster_without_certificates_says_so(void **state)
{
	struct rig *rig = *state;
	struct trust *trust;
	struct err err;

	assert_false(trust_exists(rig->dir, "c1"));
	assert_int_equal(trust_open(rig->dir, "c1", false, NOW, &trust, &err), -1);
	assert_string_equal(err.reason, "TLS_NOT_SET_UP");
}

/* S1: deleting the cluster deletes its authority */
static void nothing_of_a_deleted_cluster_is_left(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *dir = text_format("%s/clusters/c1", rig->dir);
	struct err err;

	renew_at(rig, NOW, TRUST_AS_NEEDED);
	assert_int_equal(trust_delete(rig->dir, "c1", &err), 0);
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(trust_delete(rig->dir, "c1", &err), 0);
	assert_int_equal(trust_forget_node(rig->dir, "c1", "n1", &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_are_for_their_owner_only),
		TEST(the_authoritys_key_stays_here),
		TEST(a_nodes_certificate_is_for_its_name_and_for_serving_only),
		TEST(a_roles_certificate_names_it_once_and_is_for_calling_only),
		TEST(certificates_begin_a_day_ago),
		TEST(what_is_good_is_left_alone),
		TEST(leaves_are_renewed_at_half_of_their_life),
		TEST(during_a_change_of_authority_both_are_accepted),
		TEST(an_authority_past_half_of_its_life_is_replaced_for_all_nodes),
		TEST(two_authorities_ago_is_accepted_no_more),
		TEST(a_torn_pair_is_made_anew),
		TEST(a_link_that_the_node_has_put_there_is_not_followed),
		TEST(a_linked_file_is_replaced_and_its_target_stays),
		TEST(those_who_begin_together_make_one_authority),
		TEST(the_list_says_who_is_good_until_when),
		TEST(a_cluster_without_certificates_says_so),
		TEST(nothing_of_a_deleted_cluster_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
