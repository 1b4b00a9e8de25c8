#pragma once
/* Inside the trust room: trust.c keeps the directory, renew.c decides what is made, list.c tells. */
#include "controller/trust/trust.h"
#include "controller/trust/x509.h"

#define TRUST_FILE_MAX ((size_t)64 * 1024)

struct trust {
	char *dir; /* ".../tls" */
	char *cluster;
	int64_t now_s;
	int lock_fd;
	int dir_fd;
	int nodes_fd;

	EVP_PKEY *key;   /* the authority's; NULL until trust_renew() */
	X509 *authority; /* the one that signs */
	X509 *previous;  /* accepted too; NULL: there is none */
};

/* Both certificates of "ca.crt" below an open directory; '*ret_previous' may become NULL. */
int trust_read_authorities(int dir_fd, X509 **ret_authority, X509 **ret_previous, struct err *err);
/* "<name>.crt" of an open directory. */
int trust_read_cert(int dir_fd, const char *name, X509 **ret_cert, struct err *err);
/* Where a remembered node's run_dir is. False: it is not remembered. */
bool trust_node_dir(const struct trust *trust, const char *node, char *ret, size_t size);
/* When a certificate is due to be renewed. */
int64_t trust_half_life_s(const X509 *cert);
/* Names of the remembered nodes, sorted. */
struct strv;
int trust_node_names(const struct trust *trust, struct strv *ret_names, struct err *err);
