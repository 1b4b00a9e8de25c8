/*
 * Certificates: what a client's says of its role at the front's door, and what ours say when they are read
 * from the state directory. The first byte chooses DER or PEM. No certificate has more rights than its
 * words, and times and names are told of any.
 */
#include "agent/front/context.h"
#include "controller/trust/x509.h"
#include "tests/fuzz/fuzz.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

/* A role is given to a leaf for clients alone, by one O= that is its very name. */
static void look_at_role(X509 *cert)
{
	char organization[64] = "";
	enum method_role role;

	if (!context_role_of(cert, &role))
		return;
	PROMISE(role == ROLE_READ || role == ROLE_ADMIN);
	PROMISE(X509_check_ca(cert) == 0);
	PROMISE(X509_get_extended_key_usage(cert) == XKU_SSL_CLIENT);
	PROMISE(X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_organizationName,
					  organization, sizeof(organization)) > 0);
	PROMISE(strcmp(organization, method_role_name(role)) == 0);
}

static void look_at(X509 *cert)
{
	int64_t from_s, until_s;
	char name[65];

	look_at_role(cert);
	x509_times(cert, &from_s, &until_s);
	x509_name(cert, name, sizeof(name));
	PROMISE(strlen(name) < sizeof(name));
	x509_is_signed_by(cert, cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	struct err err;

	if (len == 0)
		return 0;
	if (bytes[0] % 4) {
		const unsigned char *at = bytes + 1;

		cert = d2i_X509(NULL, &at, (long)len - 1);
	} else {
		PROMISE(x509_cert_from_pem((const char *)bytes + 1, len - 1, &cert, &err) == 0 ||
			err.code == ERR_DATA_LOSS);
		if (x509_key_from_pem((const char *)bytes + 1, len - 1, &key, &err) == 0)
			EVP_PKEY_free(key);
		else
			PROMISE(err.code == ERR_DATA_LOSS);
	}
	if (cert)
		look_at(cert);
	X509_free(cert);
	ERR_clear_error();
	return 0;
}
