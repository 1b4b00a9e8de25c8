#include "tests/support/hostile_tls.h"

#include "controller/trust/x509.h"
#include "tests/support/frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define HELLO_BYTES 1024
#define PATIENCE_S  60
#define CONNECTS    2000

/* --- connections ----------------------------------------------------------------------------------- */

static int connect_once(const struct sockaddr_in *to, const char *from)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_in source = { .sin_family = AF_INET };
	int sys, one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if ((!from || (inet_pton(AF_INET, from, &source.sin_addr) == 1 &&
		       bind(fd, (struct sockaddr *)&source, sizeof(source)) == 0)) &&
	    connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
		return fd;
	sys = errno;
	close(fd);
	errno = sys;
	return -1;
}

/* So many in a row may use up the ports of this machine for a moment. */
int hostile_tcp_connect(int port, const char *from)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < CONNECTS; i++) {
		int fd = connect_once(&address, from);

		if (fd >= 0 || errno != EADDRNOTAVAIL)
			return fd;
		poll(NULL, 0, 10);
	}
	return -1;
}

/* What a client's library says first. Returns its length. */
static size_t make_hello(uint8_t bytes[HELLO_BYTES], const char *alpn)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *ssl = SSL_new(context);
	int n;

	if (alpn)
		SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn));
	SSL_set_bio(ssl, in, out);
	SSL_connect(ssl);
	n = BIO_read(out, bytes, HELLO_BYTES);
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(context);
	return n > 0 ? (size_t)n : 0;
}

/* One hello for all: the node cannot know. */
static void say_hello(int fd, unsigned flip, const char *behind)
{
	static uint8_t hello[HELLO_BYTES], alpn[HELLO_BYTES];
	static size_t len, alpn_len;
	uint8_t broken[HELLO_BYTES];

	if (!len) {
		len = make_hello(hello, NULL);
		alpn_len = make_hello(alpn, "\2h2\10http/1.1");
	}
	if (behind && strcmp(behind, "alpn") == 0) {
		hostile_say(fd, alpn, alpn_len);
		return;
	}
	memcpy(broken, hello, len);
	if (flip)
		broken[flip % len] ^= (uint8_t)(1u << flip % 8);
	hostile_say(fd, broken, len);
	if (behind)
		hostile_say(fd, behind, strlen(behind));
}

void hostile_tcp_act(int fd, unsigned kind)
{
	static const uint8_t half_hello[] = { 0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3 };
	static const uint8_t huge_record[] = { 0x16, 3, 1, 0xff, 0xff, 1, 0xff, 0xff, 0xff };

	switch (kind % HOSTILE_TCP_ACTS) {
	case 0: /* connect and close */
		break;
	case 1:
		hostile_reset(fd);
		break;
	case 2: /* plaintext */
		hostile_say(fd, frames_header_req, 8);
		break;
	case 3:
		hostile_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
		break;
	case 4:
		hostile_say(fd, half_hello, sizeof(half_hello));
		break;
	case 5:
		hostile_say(fd, half_hello, sizeof(half_hello));
		hostile_reset(fd);
		break;
	case 6:
		hostile_say(fd, huge_record, sizeof(huge_record));
		break;
	case 7:
		hostile_say(fd, half_hello, 1);
		shutdown(fd, SHUT_WR);
		break;
	case 8: /* an alert, out of nowhere */
		hostile_say(fd, "\x15\x03\x03\x00\x02\x02\x28", 7);
		break;
	case 9: /* whole, and gone */
		say_hello(fd, 0, NULL);
		break;
	case 10:
		say_hello(fd, 0, "garbage where a record should be");
		hostile_reset(fd);
		break;
	case 11: /* other protocols than ours are wanted */
		say_hello(fd, 0, "alpn");
		shutdown(fd, SHUT_WR);
		break;
	case 12: /* of SSL 2 */
		hostile_say(fd, "\x80\x2e\x01\x03\x03\x00\x15\x00\x00\x00\x10", 11);
		break;
	default:
		say_hello(fd, kind, NULL);
		hostile_reset(fd);
		break;
	}
}

/* --- handshakes ------------------------------------------------------------------------------------ */

/* Signed by itself, with a role that the node knows. */
static bool use_own_certificate(SSL_CTX *context)
{
	struct x509_spec spec = { .kind = X509_CLIENT,
				  .name = "somebody",
				  .role = "admin",
				  .from_s = time(NULL) - 86400,
				  .until_s = time(NULL) + 86400 };
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	struct err err;
	bool made = x509_make_key(&key, &err) == 0 &&
		    x509_make(&spec, key, NULL, NULL, &cert, &err) == 0 &&
		    SSL_CTX_use_certificate(context, cert) == 1 &&
		    SSL_CTX_use_PrivateKey(context, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	return made;
}

static SSL_CTX *make_shaker(enum hostile_shake kind)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (kind == HOSTILE_OLD_TLS) {
		SSL_CTX_set_security_level(context, 0);
		SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
	}
	if (kind == HOSTILE_OWN_CERTIFICATE && !use_own_certificate(context))
		return NULL;
	return context;
}

/* Reads what the node has to say to a hello, and goes. */
static void leave_early(int fd)
{
	char bytes[4096];

	say_hello(fd, 0, NULL);
	(void)!recv(fd, bytes, sizeof(bytes), 0);
}

static bool is_let_in(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);
	char bytes[8];
	bool in;

	SSL_set_fd(ssl, fd);
	in = SSL_connect(ssl) == 1 && SSL_write(ssl, frames_header_req, 8) == 8 &&
	     SSL_read(ssl, bytes, sizeof(bytes)) > 0;
	ERR_clear_error();
	SSL_free(ssl);
	return in;
}

bool hostile_shake(int port, enum hostile_shake kind)
{
	static SSL_CTX *contexts[HOSTILE_SHAKES];
	int fd = hostile_tcp_connect(port, NULL);
	bool in = false;

	if (fd < 0)
		return false;
	if (!contexts[kind])
		contexts[kind] = make_shaker(kind);
	if (kind == HOSTILE_LEAVES)
		leave_early(fd);
	else if (contexts[kind])
		in = is_let_in(contexts[kind], fd);
	close(fd);
	return in;
}

/* --- a sound session ------------------------------------------------------------------------------- */

static bool tls_open(struct hostile_way *way)
{
	struct hostile_tls *tls = (struct hostile_tls *)way;

	tls->fd = hostile_tcp_connect(tls->port, tls->from);
	if (tls->fd < 0)
		return false;
	tls->ssl = SSL_new(tls->context);
	SSL_set_fd(tls->ssl, tls->fd);
	if (SSL_connect(tls->ssl) == 1)
		return true;
	way->close(way);
	return false;
}

static ssize_t tls_say(struct hostile_way *way, const void *bytes, size_t len)
{
	return SSL_write(((struct hostile_tls *)way)->ssl, bytes, (int)len);
}

static ssize_t tls_hear(struct hostile_way *way, void *bytes, size_t len)
{
	return SSL_read(((struct hostile_tls *)way)->ssl, bytes, (int)len);
}

/* Without a word. */
static void tls_close(struct hostile_way *way)
{
	struct hostile_tls *tls = (struct hostile_tls *)way;

	ERR_clear_error();
	SSL_free(tls->ssl);
	close(tls->fd);
	tls->ssl = NULL;
	tls->fd = -1;
}

struct hostile_tls hostile_tls(int port, SSL_CTX *context)
{
	return (struct hostile_tls){
		.way = { tls_open, tls_say, tls_hear, tls_close },
		.port = port,
		.fd = -1,
		.context = context,
	};
}

SSL_CTX *hostile_tls_context(const char *keys, const char *role)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char cert[256], key[256];

	snprintf(cert, sizeof(cert), "%s/%s.crt", keys, role);
	snprintf(key, sizeof(key), "%s/%s.key", keys, role);
	if (SSL_CTX_use_certificate_file(context, cert, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1)
		return context;
	SSL_CTX_free(context);
	return NULL;
}
