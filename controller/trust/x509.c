#include "controller/trust/x509.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SERIAL_BITS 127

static int failed(struct err *err, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	err_set(err, ERR_INTERNAL, 0, "%s: %s", what, why ? why : "OpenSSL does not say why");
	ERR_clear_error();
	return -1;
}

int x509_make_key(EVP_PKEY **ret_key, struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	if (!key)
		return failed(err, "make a key");
	*ret_key = key;
	return 0;
}

static bool set_serial(X509 *cert)
{
	BIGNUM *serial = BN_new();
	bool ok = serial && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
		  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));

	BN_free(serial);
	return ok;
}

static bool add_name(X509_NAME *name, const char *key, const char *value)
{
	return X509_NAME_add_entry_by_txt(name, key, MBSTRING_UTF8, (const unsigned char *)value,
					  (int)strnlen(value, 64), -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

/* Names that become part of an extension's text are checked here, whoever checked them before. */
static bool is_dns(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(s);
}

static bool add_extensions(const struct x509_spec *spec, X509 *cert, X509 *issuer)
{
	bool authority = spec->kind == X509_AUTHORITY;
	char dns[300];

	if (!add_extension(cert, issuer, NID_basic_constraints,
			   authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") ||
	    !add_extension(cert, issuer, NID_key_usage,
			   authority ? "critical,keyCertSign,cRLSign"
				     : "critical,digitalSignature") ||
	    !add_extension(cert, issuer, NID_subject_key_identifier, "hash") ||
	    !add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always"))
		return false;
	if (!authority && !add_extension(cert, issuer, NID_ext_key_usage,
					 spec->kind == X509_SERVER ? "serverAuth" : "clientAuth"))
		return false;
	if (!spec->dns)
		return true;
	snprintf(dns, sizeof(dns), "DNS:%s", spec->dns);
	return is_dns(spec->dns) && add_extension(cert, issuer, NID_subject_alt_name, dns);
}

static bool fill(const struct x509_spec *spec, X509 *cert, EVP_PKEY *key, X509 *issuer)
{
	X509_NAME *subject = X509_get_subject_name(cert);

	return X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	       ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)spec->from_s) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)spec->until_s) &&
	       (!spec->role || add_name(subject, "O", spec->role)) &&
	       add_name(subject, "CN", spec->name) &&
	       X509_set_issuer_name(cert, X509_get_subject_name(issuer)) &&
	       X509_set_pubkey(cert, key) && add_extensions(spec, cert, issuer);
}

int x509_make(const struct x509_spec *spec, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
	      X509 **ret_cert, struct err *err)
{
	cleanup_with(cert) X509 *cert = X509_new();

	if (!cert || !fill(spec, cert, key, issuer ? issuer : cert) ||
	    !X509_sign(cert, issuer ? issuer_key : key, EVP_sha256()))
		return failed(err, "make a certificate");
	*ret_cert = TAKE(cert);
	return 0;
}

/* --- PEM ------------------------------------------------------------------------------------------ */

/* Takes 'bio'. */
static int bio_to_text(BIO *bio, bool ok, char **ret_pem, struct err *err)
{
	char *data, *pem = NULL;
	long len = ok ? BIO_get_mem_data(bio, &data) : 0;

	if (len > 0)
		pem = malloc((size_t)len + 1);
	if (pem) {
		memcpy(pem, data, (size_t)len);
		pem[len] = '\0';
	}
	BIO_free(bio); /* of BIO_s_secmem(): wiped */
	if (!pem)
		return failed(err, "write as PEM");
	*ret_pem = pem;
	return 0;
}

int x509_cert_to_pem(X509 *cert, char **ret_pem, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return bio_to_text(bio, bio && PEM_write_bio_X509(bio, cert), ret_pem, err);
}

int x509_key_to_pem(EVP_PKEY *key, char **ret_pem, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_secmem());

	return bio_to_text(bio,
			   bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL),
			   ret_pem, err);
}

void x509_wipe(char *pem)
{
	if (pem)
		OPENSSL_cleanse(pem, strlen(pem));
	free(pem);
}

int x509_cert_from_pem(const char *pem, size_t len, X509 **ret_cert, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (!cert)
		return err_set(err, ERR_DATA_LOSS, 0, "there is no certificate in it");
	*ret_cert = cert;
	return 0;
}

/* Never asks at a terminal: our keys have no password. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

int x509_key_from_pem(const char *pem, size_t len, EVP_PKEY **ret_key, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (!key)
		return err_set(err, ERR_DATA_LOSS, 0, "there is no key in it");
	*ret_key = key;
	return 0;
}

/* --- what a certificate says ---------------------------------------------------------------------- */

static int64_t seconds_of(const ASN1_TIME *time)
{
	int days = 0, seconds = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);

	if (epoch)
		ASN1_TIME_diff(&days, &seconds, epoch, time);
	ASN1_TIME_free(epoch);
	return (int64_t)days * 86400 + seconds;
}

void x509_times(const X509 *cert, int64_t *ret_from_s, int64_t *ret_until_s)
{
	*ret_from_s = seconds_of(X509_get0_notBefore(cert));
	*ret_until_s = seconds_of(X509_get0_notAfter(cert));
}

void x509_name(const X509 *cert, char *ret, size_t size)
{
	ret[0] = '\0';
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, ret, (int)size);
}

bool x509_is_signed_by(X509 *cert, X509 *authority)
{
	bool ok = X509_check_issued(authority, cert) == X509_V_OK &&
		  X509_verify(cert, X509_get0_pubkey(authority)) == 1;

	ERR_clear_error();
	return ok;
}
