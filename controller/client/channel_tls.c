#include "controller/client/channel_tls.h"

#include "controller/client/bridge_impl.h"
#include "controller/client/tls_error.h"
#include "shared/base/inet.h"
#include "shared/base/tcp.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A node whose kernel is silent for so long is gone; a call over the lost connection is asked again. */
#define SILENCE_MS 8000

/* How long an alert that explains a broken connection is waited for. */
#define ALERT_MS 200

/* The target, shared by all its connections. */
struct tls_way {
	char *host;
	int port;
	char *name;
	char *dir;
	char *role;
};

/* One connection. */
struct tls_link {
	const struct tls_way *way;
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	struct tls_verdict verdict;
	unsigned long broken; /* OpenSSL's code of what ended it, 0: nothing has */
	int broken_sys;
	bool closed; /* by the node, in good order */
};

static void link_free(struct tls_link *link)
{
	if (!link)
		return;
	SSL_free(link->ssl);
	SSL_CTX_free(link->context);
	if (link->fd >= 0)
		close(link->fd);
	free(link);
	OPENSSL_thread_stop(); /* the thread ends with its connection, perhaps after the process */
}
DEFINE_CLEANUP(link, struct tls_link *, link_free)

/* --- what we show and whom we believe --------------------------------------------------------------- */

/* What OpenSSL accepts, and on top: for serving only, and not an authority (S2). */
static int check_leaf(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_link *link = SSL_get_app_data(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(store);

	if (ok && X509_STORE_CTX_get_error_depth(store) == 0 &&
	    (X509_check_ca(leaf) != 0 || X509_get_extended_key_usage(leaf) != XKU_SSL_SERVER)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		ok = 0;
	}
	if (!ok)
		tls_verdict_take(&link->verdict, X509_STORE_CTX_get_error(store), leaf);
	return ok;
}

static int keys_unreadable(const struct tls_way *way, struct err *err)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"this host's certificates in '%s' are not usable: %s", way->dir,
		why ? why : "unreadable");
	ERR_clear_error();
	return err_explain(err, "TLS_KEYS_UNREADABLE",
			   "'berth renew certs' makes new ones for the cluster and this host");
}

static int load_keys(SSL_CTX *context, const struct tls_way *way, struct err *err)
{
	cleanup_free char *ca = text_format("%s/ca.crt", way->dir);
	cleanup_free char *cert = text_format("%s/%s.crt", way->dir, way->role);
	cleanup_free char *key = text_format("%s/%s.key", way->dir, way->role);

	if (!ca || !cert || !key)
		return err_oom(err);
	if (SSL_CTX_load_verify_file(context, ca) != 1 ||
	    SSL_CTX_use_certificate_file(context, cert, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return keys_unreadable(way, err);
	return 0;
}

static int make_context(struct tls_link *link, struct err *err)
{
	link->context = SSL_CTX_new(TLS_client_method());
	if (!link->context)
		return err_oom(err);
	SSL_CTX_set_options(link->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(link->context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(link->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(link->context, SSL_VERIFY_PEER, check_leaf);
	SSL_CTX_set_verify_depth(link->context, 1);
	if (!SSL_CTX_set_min_proto_version(link->context, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(link->context, "ECDHE+AESGCM:ECDHE+CHACHA20"))
		return err_set(err, ERR_INTERNAL, 0, "set up TLS");
	return load_keys(link->context, link->way, err);
}

/* A name that is not set would be checked by nobody: then there is no connection (S5). */
static int make_ssl(struct tls_link *link, struct err *err)
{
	if (make_context(link, err) < 0)
		return -1;
	link->ssl = SSL_new(link->context);
	if (!link->ssl)
		return err_oom(err);
	SSL_set_app_data(link->ssl, link);
	SSL_set_hostflags(link->ssl,
			  X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (!*link->way->name || SSL_set1_host(link->ssl, link->way->name) != 1 ||
	    SSL_set_fd(link->ssl, link->fd) != 1)
		return err_set(err, ERR_INTERNAL, 0, "set up TLS for '%s'", link->way->name);
	return 0;
}

/* --- connecting ------------------------------------------------------------------------------------- */

/* Until 'fd' is ready. 'err' is filled when it is not. */
static int wait_for(int fd, short events, int stop_fd, struct deadline by, struct err *err)
{
	struct pollfd p[] = { { .fd = fd, .events = events }, { .fd = stop_fd, .events = POLLIN } };
	int rc;

	do
		rc = poll(p, 2, deadline_poll_ms(by));
	while (rc < 0 && errno == EINTR);
	if (rc > 0 && p[1].revents)
		return err_set(err, ERR_CANCELLED, 0, "the connection is not needed any more");
	if (rc > 0)
		return 0;
	err_set(err, ERR_UNAVAILABLE, 0, "the node did not answer in time");
	return err_explain(err, "AGENT_NOT_ANSWERING", NULL);
}

static int not_there(const struct tls_way *way, int sys, struct err *err)
{
	err_set(err, ERR_UNAVAILABLE, sys, "the agent does not answer at %s port %d", way->host,
		way->port);
	return err_explain(err, "AGENT_NOT_ANSWERING",
			   "see with 'berth get nodes' whether the node runs; start it if not");
}

static int connect_tcp(struct tls_link *link, int stop_fd, struct deadline by, struct err *err)
{
	union inet_address address;
	int one = 1, sys = 0;
	socklen_t len = inet_parse(link->way->host, (uint16_t)link->way->port, &address);

	if (!len)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is no address", link->way->host);
	link->fd = socket(address.any.sa_family, SOCK_STREAM, 0);
	if (link->fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	fcntl(link->fd, F_SETFD, FD_CLOEXEC);
	fcntl(link->fd, F_SETFL, O_NONBLOCK);
	setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	tcp_limit_silence(link->fd, SILENCE_MS);
	if (connect(link->fd, &address.any, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return not_there(link->way, errno, err);
	if (wait_for(link->fd, POLLOUT, stop_fd, by, err) < 0)
		return -1;
	len = sizeof(sys);
	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0 || sys != 0)
		return not_there(link->way, sys, err);
	return 0;
}

/* Remembers what ended the connection. */
static void broke(struct tls_link *link, int rc)
{
	int sys = errno;

	switch (SSL_get_error(link->ssl, rc)) {
	case SSL_ERROR_ZERO_RETURN:
		link->closed = true;
		break;
	case SSL_ERROR_SSL:
		link->broken = ERR_peek_error();
		break;
	default:
		link->broken_sys = sys ? sys : ECONNRESET;
		break;
	}
	ERR_clear_error();
}

static int explain(const struct tls_link *link, struct err *err)
{
	if (link->verdict.code)
		return tls_explain_verdict(&link->verdict, link->way->name, err);
	if (link->broken)
		return tls_explain_code(link->broken, err);
	if (link->broken_sys)
		return not_there(link->way, link->broken_sys, err);
	err_set(err, ERR_UNAVAILABLE, 0, "the node is there, its agent does not answer");
	return err_explain(err, "AGENT_NOT_ANSWERING", "it may be just starting: try again");
}

/* What OpenSSL waits for, as poll's events; 0: it does not. */
static short ssl_wants(struct tls_link *link, int rc)
{
	switch (SSL_get_error(link->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return POLLIN;
	case SSL_ERROR_WANT_WRITE:
		return POLLOUT;
	default:
		return 0;
	}
}

static int handshake(struct tls_link *link, int stop_fd, struct deadline by, struct err *err)
{
	for (;;) {
		int rc = SSL_connect(link->ssl);
		short wants;

		if (rc == 1)
			return 0;
		wants = ssl_wants(link, rc);
		if (!wants) {
			broke(link, rc);
			return explain(link, err);
		}
		if (wait_for(link->fd, wants, stop_fd, by, err) < 0)
			return -1;
	}
}

/* --- the way ---------------------------------------------------------------------------------------- */

static int tls_open(void *arg, int stop_fd, struct deadline by, struct bridge_pipe *ret_pipe,
		    struct err *err)
{
	cleanup_with(link) struct tls_link *link = calloc(1, sizeof(*link));

	if (!link)
		return err_oom(err);
	link->way = arg;
	link->fd = -1;
	if (connect_tcp(link, stop_fd, by, err) < 0 || make_ssl(link, err) < 0 ||
	    handshake(link, stop_fd, by, err) < 0)
		return -1;
	*ret_pipe = (struct bridge_pipe){ .read_fd = link->fd, .write_fd = link->fd };
	ret_pipe->arg = TAKE(link);
	return 0;
}

/* As read(2) and write(2) would say it. */
static ssize_t result(struct tls_link *link, int rc)
{
	if (rc > 0)
		return rc;
	if (ssl_wants(link, rc)) {
		ERR_clear_error();
		errno = EAGAIN;
		return -1;
	}
	broke(link, rc);
	errno = EPROTO;
	return link->closed ? 0 : -1;
}

static ssize_t tls_read(struct bridge_pipe *pipe, uint8_t *bytes, size_t size)
{
	struct tls_link *link = pipe->arg;

	errno = 0;
	return result(link, SSL_read(link->ssl, bytes, size > INT_MAX ? INT_MAX : (int)size));
}

static ssize_t tls_write(struct bridge_pipe *pipe, const uint8_t *bytes, size_t len)
{
	struct tls_link *link = pipe->arg;
	ssize_t n;

	errno = 0;
	n = result(link, SSL_write(link->ssl, bytes, len > INT_MAX ? INT_MAX : (int)len));
	if (n == 0)
		errno = EPIPE;
	return n == 0 ? -1 : n;
}

static bool tls_has_pending(struct bridge_pipe *pipe)
{
	return SSL_pending(((struct tls_link *)pipe->arg)->ssl) > 0;
}

/* With TLS 1.3 a node says only after our side of the handshake that it does not want us. Where writing
 * failed first, its reason may lie unread. */
static int tls_explain(struct bridge_pipe *pipe, struct err *err)
{
	struct tls_link *link = pipe->arg;
	struct pollfd p = { .fd = link->fd, .events = POLLIN };
	char byte;
	int rc;

	if (!link->broken && !link->closed && poll(&p, 1, ALERT_MS) > 0) {
		errno = 0;
		rc = SSL_read(link->ssl, &byte, 1);
		if (rc <= 0 && !ssl_wants(link, rc))
			broke(link, rc);
	}
	return explain(link, err);
}

static void tls_close(struct bridge_pipe *pipe)
{
	struct tls_link *link = pipe->arg;

	if (!link->broken && !link->broken_sys)
		SSL_shutdown(link->ssl);
	ERR_clear_error();
	link_free(link);
}

static void tls_release(void *arg)
{
	struct tls_way *way = arg;

	free(way->host);
	free(way->name);
	free(way->dir);
	free(way->role);
	free(way);
}

static const struct bridge_ops tls_ops = {
	.name = "tls",
	.open = tls_open,
	.read = tls_read,
	.write = tls_write,
	.has_pending = tls_has_pending,
	.explain = tls_explain,
	.close = tls_close,
	.release = tls_release,
};

int channel_tls_open(const struct tls_target *target, struct bridge **ret_bridge, struct err *err)
{
	struct tls_way *way = calloc(1, sizeof(*way));

	if (!way)
		return err_oom(err);
	way->host = strdup(target->host);
	way->port = target->port;
	way->name = strdup(target->name);
	way->dir = strdup(target->dir);
	way->role = strdup(target->role);
	if (!way->host || !way->name || !way->dir || !way->role) {
		tls_release(way);
		return err_oom(err);
	}
	return bridge_open(&tls_ops, way, ret_bridge, err);
}
