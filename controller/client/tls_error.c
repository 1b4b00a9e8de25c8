#include "controller/client/tls_error.h"

#include "shared/base/cleanup.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char renew_advice[] =
	"'berth renew certs' makes new certificates; nodes take them up by themselves";

static void time_text(const ASN1_TIME *time, char *ret, size_t size)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1 || !strftime(ret, size, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(ret, size, "an unknown date");
}

/* The first DNS name, which for our nodes is the only one; else the common name. */
static void owner(X509 *leaf, char *ret, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *name = names ? sk_GENERAL_NAME_value(names, 0) : NULL;

	ret[0] = '\0';
	if (name && name->type == GEN_DNS)
		snprintf(ret, size, "%.*s", ASN1_STRING_length(name->d.dNSName),
			 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
	else
		X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, ret,
					  (int)size);
	GENERAL_NAMES_free(names);
}

void tls_verdict_take(struct tls_verdict *verdict, int code, X509 *leaf)
{
	verdict->code = code;
	if (!leaf)
		return;
	time_text(X509_get0_notBefore(leaf), verdict->from, sizeof(verdict->from));
	time_text(X509_get0_notAfter(leaf), verdict->until, sizeof(verdict->until));
	owner(leaf, verdict->name, sizeof(verdict->name));
}

int tls_explain_verdict(const struct tls_verdict *v, const char *wanted, struct err *err)
{
	switch (v->code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		err_set(err, ERR_UNAUTHENTICATED, 0, "the node's certificate has expired on %s",
			v->until);
		return err_explain(err, "TLS_EXPIRED", renew_advice);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		err_set(err, ERR_UNAUTHENTICATED, 0,
			"the node's certificate is good only from %s on", v->from);
		return err_explain(err, "TLS_NOT_YET_VALID", "see that this host's clock is right");
	case X509_V_ERR_HOSTNAME_MISMATCH:
		err_set(err, ERR_UNAUTHENTICATED, 0, "'%s' answers where '%s' should", v->name,
			wanted);
		return err_explain(
			err, "TLS_WRONG_NODE",
			"another node has taken its port: 'berth restart node' finds it again");
	case X509_V_ERR_INVALID_PURPOSE:
	case X509_V_ERR_INVALID_CA:
		err_set(err, ERR_UNAUTHENTICATED, 0,
			"what answers shows a certificate that is not a node's");
		return err_explain(err, "TLS_WRONG_PURPOSE", NULL);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		err_set(err, ERR_UNAUTHENTICATED, 0,
			"the node was made by another cluster's authority");
		return err_explain(err, "TLS_WRONG_AUTHORITY",
				   "use the state directory that the cluster was created with");
	default:
		err_set(err, ERR_UNAUTHENTICATED, 0, "the node's certificate is not good: %s",
			X509_verify_cert_error_string(v->code));
		return err_explain(err, "TLS_FAILED", NULL);
	}
}

/* What the node's alert says of us. */
static int refused(const char *why, struct err *err)
{
	err_set(err, ERR_PERMISSION_DENIED, 0, "the node does not take our certificate: %s", why);
	return err_explain(err, "TLS_REFUSED_BY_NODE", renew_advice);
}

int tls_explain_code(unsigned long code, struct err *err)
{
	const char *why = ERR_reason_error_string(code);

	switch (ERR_GET_REASON(code)) {
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return refused("it is of another cluster's authority", err);
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return refused("it has expired", err);
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
		return refused("it is not good yet, or names no role", err);
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		return refused("it is not a client's", err);
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		return refused("it wants another one", err);
	case SSL_R_TLSV1_ALERT_INTERNAL_ERROR:
		err_set(err, ERR_RESOURCE_EXHAUSTED, 0,
			"the node has as many connections as it takes");
		return err_explain(err, "TOO_MANY_CONNECTIONS",
				   "try again when other clients of this node have ended");
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
		err_set(err, ERR_FAILED_PRECONDITION, 0,
			"the node and this berth share no version of TLS; it takes 1.2 or 1.3");
		return err_explain(err, "TLS_TOO_OLD", NULL);
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		err_set(err, ERR_FAILED_PRECONDITION, 0, "what answers there does not speak TLS");
		return err_explain(err, "TLS_NOT_SPOKEN", NULL);
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		err_set(err, ERR_UNAVAILABLE, 0, "the node broke the connection off");
		return err_explain(err, "AGENT_NOT_ANSWERING", NULL);
	default:
		err_set(err, ERR_FAILED_PRECONDITION, 0, "TLS: %s", why ? why : "failed");
		return err_explain(err, "TLS_FAILED", NULL);
	}
}
