#pragma once
/* Keys and certificates by OpenSSL, made and read: EC P-256, SHA-256, nothing to choose. */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

DEFINE_CLEANUP(key, EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(cert, X509 *, X509_free)

enum x509_kind {
	X509_AUTHORITY, /* may sign leaves, nothing else */
	X509_SERVER,    /* EKU serverAuth only (S2) */
	X509_CLIENT,    /* EKU clientAuth only (S3) */
};

struct x509_spec {
	enum x509_kind kind;
	const char *name; /* CN, at most 64 bytes count */
	const char *role; /* O of a client, or NULL */
	const char *dns;  /* subject alternative name of a server, or NULL */
	int64_t from_s;   /* seconds since the epoch */
	int64_t until_s;
};

int x509_make_key(EVP_PKEY **ret_key, struct err *err);
/* Signed by 'issuer' with 'issuer_key'; both NULL: by itself. */
int x509_make(const struct x509_spec *spec, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
	      X509 **ret_cert, struct err *err);

/* PEM, caller frees; a key's text is to be wiped by x509_wipe(). */
int x509_cert_to_pem(X509 *cert, char **ret_pem, struct err *err);
int x509_key_to_pem(EVP_PKEY *key, char **ret_pem, struct err *err);
void x509_wipe(char *pem);
/* The first of its kind in the text; ERR_DATA_LOSS when there is none. */
int x509_cert_from_pem(const char *pem, size_t len, X509 **ret_cert, struct err *err);
int x509_key_from_pem(const char *pem, size_t len, EVP_PKEY **ret_key, struct err *err);

void x509_times(const X509 *cert, int64_t *ret_from_s, int64_t *ret_until_s);
/* The CN of its subject; "" when it has none. */
void x509_name(const X509 *cert, char *ret, size_t size);
bool x509_is_signed_by(X509 *cert, X509 *authority);
