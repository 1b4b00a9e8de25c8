#include "agent/front/context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* A chain is a leaf and an authority; there is nothing between them. */
#define CHAIN_DEPTH 1
/* Ours have some 700 bytes. */
#define CERTIFICATES_MAX (16 * 1024)

static int failed(struct err *err, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	err_set(err, ERR_FAILED_PRECONDITION, 0, "%s: %s", what, why ? why : "not usable");
	ERR_clear_error();
	return -1;
}

/* Exactly these extended uses, and not an authority. */
static bool is_leaf_for(X509 *cert, uint32_t use)
{
	return X509_check_ca(cert) == 0 && (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) &&
	       X509_get_extended_key_usage(cert) == use;
}

static bool role_of_name(X509_NAME *subject, enum method_role *ret_role)
{
	int at = X509_NAME_get_index_by_NID(subject, NID_organizationName, -1);
	const ASN1_STRING *value;
	char name[16];
	int len;

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_organizationName, at) >= 0)
		return false;
	value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	len = ASN1_STRING_length(value);
	if (len <= 0 || len >= (int)sizeof(name) ||
	    memchr(ASN1_STRING_get0_data(value), '\0', (size_t)len))
		return false;
	memcpy(name, ASN1_STRING_get0_data(value), (size_t)len);
	name[len] = '\0';
	return method_role_parse(name, ret_role);
}

bool context_role_of(X509 *leaf, enum method_role *ret_role)
{
	return is_leaf_for(leaf, XKU_SSL_CLIENT) &&
	       role_of_name(X509_get_subject_name(leaf), ret_role);
}

/* While the handshake runs, so that the client gets an alert that says why. */
static int check_leaf(int ok, X509_STORE_CTX *store)
{
	X509 *leaf = X509_STORE_CTX_get_current_cert(store);
	enum method_role role;

	if (!ok || X509_STORE_CTX_get_error_depth(store) != 0)
		return ok;
	if (!is_leaf_for(leaf, XKU_SSL_CLIENT)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		return 0;
	}
	if (!context_role_of(leaf, &role)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	return 1;
}

static bool set_rules(SSL_CTX *context)
{
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(context, CERTIFICATES_MAX);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, check_leaf);
	SSL_CTX_set_verify_depth(context, CHAIN_DEPTH);
	return SSL_CTX_set_num_tickets(context, 0) &&
	       SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
	       SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

static int load_files(SSL_CTX *context, const char *dir, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/node.crt", dir);
	if (SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM) != 1)
		return failed(err, path);
	snprintf(path, sizeof(path), "%s/node.key", dir);
	if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
		return failed(err, path);
	snprintf(path, sizeof(path), "%s/ca.crt", dir);
	if (SSL_CTX_load_verify_file(context, path) != 1)
		return failed(err, path);
	return 0;
}

int context_open(const char *dir, SSL_CTX **ret_context, struct err *err)
{
	cleanup_with(context) SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context || !set_rules(context))
		return failed(err, "set up TLS");
	if (load_files(context, dir, err) < 0)
		return -1;
	if (SSL_CTX_check_private_key(context) != 1)
		return failed(err, "node.key is not the key of node.crt");
	if (!is_leaf_for(SSL_CTX_get0_certificate(context), XKU_SSL_SERVER))
		return failed(err, "node.crt is not a server's certificate");
	*ret_context = TAKE(context);
	return 0;
}
