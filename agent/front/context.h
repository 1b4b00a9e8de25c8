#pragma once
/* How the node proves who it is and whom it believes, as OpenSSL is told. */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"
#include "shared/wire/methods.h"

#include <openssl/ssl.h>

DEFINE_CLEANUP(context, SSL_CTX *, SSL_CTX_free)

/* Reads node.key, node.crt and ca.crt from 'dir'. TLS 1.3, or 1.2 with AEAD ciphers; a client certificate
 * is required; no resumption, no renegotiation (S5). ERR_FAILED_PRECONDITION when a file is missing, the
 * pair does not match or the certificate is not a server's. */
int context_open(const char *dir, SSL_CTX **ret_context, struct err *err);

/* Who a leaf says its owner is: for calling only, not an authority, and exactly one role in O= (S3). False:
 * it has no rights. */
bool context_role_of(X509 *leaf, enum method_role *ret_role);
