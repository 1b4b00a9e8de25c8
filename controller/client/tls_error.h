#pragma once
/* What went wrong between two certificates, in words. */
#include "shared/base/err.h"

#include <openssl/x509.h>

/* What was found out about the node's certificate while the handshake ran. */
struct tls_verdict {
	int code; /* X509_V_ERR_*; 0: nothing was wrong */
	char from[32];
	char until[32];
	char name[128]; /* whose it is */
};

void tls_verdict_take(struct tls_verdict *verdict, int code, X509 *leaf);

/* Both fill '*err' and return -1. 'wanted': the name that the node should have shown. */
int tls_explain_verdict(const struct tls_verdict *verdict, const char *wanted, struct err *err);
/* 'code': of OpenSSL's error queue. An alert is what the node has said. */
int tls_explain_code(unsigned long code, struct err *err);
