/*
 * Eight kinds of bad certificate in both directions (G14): the front refuses the client's before a byte
 * reaches the agent, and the host refuses the node's before a byte leaves it. Everyone is told why.
 */
#include "controller/client/bridge.h"
#include "controller/client/channel_tls.h"
#include "controller/client/client.h"
#include "controller/trust/x509.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/file.h"
#include "shared/base/text.h"
#include "tests/support/frames.h"
#include "tests/support/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRANGERS 100
#else
#define STRANGERS 1000
#endif
#define DAY 86400

static const char *const fast[] = { "--handshakes", "1000000", NULL };

enum fault {
	FAULT_NONE_SHOWN,
	FAULT_SELF_SIGNED,
	FAULT_OTHER_AUTHORITY,
	FAULT_EXPIRED,
	FAULT_NOT_YET_VALID,
	FAULT_WRONG_USE,
	FAULT_WRONG_NAME, /* of a client: a role that nobody knows */
	FAULT_AUTHORITY_ITSELF,
	FAULT_COUNT,
};

struct rig {
	struct front_rig front;
	X509 *authority, *stranger;
	EVP_PKEY *authority_key, *stranger_key;
};

static void read_authority(struct rig *rig)
{
	cleanup_free char *cert = text_format("%s/ca.crt", front_rig_keys(&rig->front));
	cleanup_free char *key = text_format("%s/ca.key", front_rig_keys(&rig->front));
	char *pem;
	struct err err;
	size_t len;

	assert_int_equal(file_read(cert, 65536, &pem, &len, &err), 0);
	assert_int_equal(x509_cert_from_pem(pem, len, &rig->authority, &err), 0);
	free(pem);
	assert_int_equal(file_read(key, 65536, &pem, &len, &err), 0);
	assert_int_equal(x509_key_from_pem(pem, len, &rig->authority_key, &err), 0);
	free(pem);
}

/* Of another cluster, and of the same name: the name alone must not do. */
static void make_stranger(struct rig *rig)
{
	struct x509_spec spec = { .kind = X509_AUTHORITY, .until_s = time(NULL) + 10 * DAY };
	char name[128];
	struct err err;

	x509_name(rig->authority, name, sizeof(name));
	spec.name = name;
	spec.from_s = time(NULL) - DAY;
	assert_int_equal(x509_make_key(&rig->stranger_key, &err), 0);
	assert_int_equal(x509_make(&spec, rig->stranger_key, NULL, NULL, &rig->stranger, &err), 0);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	front_rig_start(&rig->front, fast);
	read_authority(rig);
	make_stranger(rig);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	front_rig_stop(&rig->front);
	X509_free(rig->authority);
	X509_free(rig->stranger);
	EVP_PKEY_free(rig->authority_key);
	EVP_PKEY_free(rig->stranger_key);
	free(rig);
	return 0;
}

/* A leaf with one thing wrong. FAULT_COUNT: nothing is. */
static void make_leaf(struct rig *rig, enum x509_kind kind, enum fault fault, X509 **ret_cert,
		      EVP_PKEY **ret_key)
{
	bool server = kind == X509_SERVER;
	struct x509_spec spec = {
		.kind = kind,
		.name = "somebody",
		.role = server ? NULL : "admin",
		.dns = server ? "n1.c1.agent" : NULL,
		.from_s = time(NULL) - DAY,
		.until_s = time(NULL) + DAY,
	};
	bool self = fault == FAULT_SELF_SIGNED, other = fault == FAULT_OTHER_AUTHORITY;
	struct err err;

	if (fault == FAULT_EXPIRED)
		spec.until_s = time(NULL) - 60;
	if (fault == FAULT_NOT_YET_VALID)
		spec.from_s = time(NULL) + 3600;
	if (fault == FAULT_WRONG_USE)
		spec.kind = server ? X509_CLIENT : X509_SERVER;
	if (fault == FAULT_WRONG_NAME && server)
		spec.dns = "n2.c1.agent";
	if (fault == FAULT_WRONG_NAME && !server)
		spec.role = "operator";
	if (fault == FAULT_AUTHORITY_ITSELF) {
		X509_up_ref(rig->authority);
		EVP_PKEY_up_ref(rig->authority_key);
		*ret_cert = rig->authority;
		*ret_key = rig->authority_key;
		return;
	}
	assert_int_equal(x509_make_key(ret_key, &err), 0);
	assert_int_equal(x509_make(&spec, *ret_key,
				   self    ? NULL
				   : other ? rig->stranger
					   : rig->authority,
				   other ? rig->stranger_key : rig->authority_key, ret_cert, &err),
			 0);
}

/* --- the client's certificate is bad ------------------------------------------------------------------ */

static int tcp_connect(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* How a client with this certificate fares: bytes of the agent that it got. */
static int bytes_got(const struct rig *rig, X509 *cert, EVP_PKEY *key, int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int fd = tcp_connect(rig->front.tls_port), got = 0;
	SSL *ssl;
	char bytes[64];

	SSL_CTX_set_security_level(context, 0); /* old versions are to be refused by the node */
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	if (cert)
		assert_int_equal(SSL_CTX_use_certificate(context, cert), 1);
	if (key)
		assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1 && SSL_write(ssl, frames_header_req, 8) > 0) {
		int n = SSL_read(ssl, bytes, sizeof(bytes));

		got = n > 0 ? n : 0;
	}
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	return got;
}

/* G14, S2, S3 */
static void no_bad_certificate_of_a_client_comes_through(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct rig *rig = *state;
	cleanup_with(client) struct client *own = agent_process_client(&rig->front.agent);
	uint64_t before = front_rig_accepted(own);

	before = front_rig_accepted(own);
	for (int fault = 0; fault <= FAULT_COUNT; fault++) {
		for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
			cleanup_with(cert) X509 *cert = NULL;
			cleanup_with(key) EVP_PKEY *key = NULL;
			int got;

			if (fault != FAULT_NONE_SHOWN)
				make_leaf(rig, X509_CLIENT, (enum fault)fault, &cert, &key);
			got = bytes_got(rig, cert, key, versions[v]);
			if (fault == FAULT_COUNT)
				assert_int_equal(got, 8);
			else if (got)
				fail_msg("fault %d came through", fault);
			/* Not one byte of it, not even a connection, has reached the agent. */
			if (fault != FAULT_COUNT)
				assert_int_equal(front_rig_accepted(own), before);
		}
	}
	assert_int_equal(front_rig_accepted(own), before + ARRAY_LEN(versions));
}

/* S3: exactly one role */
static void two_roles_are_none(void **state)
{
	struct rig *rig = *state;
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_with(key) EVP_PKEY *key = NULL;

	make_leaf(rig, X509_CLIENT, FAULT_COUNT, &cert, &key);
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "O", MBSTRING_UTF8,
						    (const unsigned char *)"read", -1, -1, 0),
			 1);
	assert_true(X509_sign(cert, rig->authority_key, EVP_sha256()) > 0);
	assert_int_equal(bytes_got(rig, cert, key, TLS1_3_VERSION), 0);
}

/* S5 */
static void old_tls_is_refused(void **state)
{
	struct rig *rig = *state;
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_with(key) EVP_PKEY *key = NULL;

	make_leaf(rig, X509_CLIENT, FAULT_COUNT, &cert, &key);
	assert_int_equal(bytes_got(rig, cert, key, TLS1_VERSION), 0);
	assert_int_equal(bytes_got(rig, cert, key, TLS1_1_VERSION), 0);
	assert_int_equal(bytes_got(rig, cert, key, TLS1_2_VERSION), 8);
}

/* S1 */
static void another_clusters_certificate_is_never_accepted(void **state)
{
	struct rig *rig = *state;
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_with(key) EVP_PKEY *key = NULL;

	make_leaf(rig, X509_CLIENT, FAULT_OTHER_AUTHORITY, &cert, &key);
	for (int i = 0; i < STRANGERS; i++)
		assert_int_equal(bytes_got(rig, cert, key, TLS1_3_VERSION), 0);
}

/* --- what the user reads ------------------------------------------------------------------------------ */

static void write_pem(const char *dir, const char *name, char *pem)
{
	cleanup_free char *path = text_format("%s/%s", dir, name);
	struct err err;

	assert_int_equal(file_replace(path, pem, strlen(pem), &err), 0);
	free(pem);
}

/* A directory of certificates as this host has them, with a bad one of ours in it. */
static char *keys_with(struct rig *rig, enum fault fault)
{
	char *dir = text_format("%s/keys-%d", rig->front.dir, (int)fault), *pem;
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_with(key) EVP_PKEY *key = NULL;
	struct err err;

	assert_int_equal(mkdir(dir, 0700), 0);
	make_leaf(rig, X509_CLIENT, fault, &cert, &key);
	assert_int_equal(x509_cert_to_pem(rig->authority, &pem, &err), 0);
	write_pem(dir, "ca.crt", pem);
	assert_int_equal(x509_cert_to_pem(cert, &pem, &err), 0);
	write_pem(dir, "admin.crt", pem);
	assert_int_equal(x509_key_to_pem(key, &pem, &err), 0);
	write_pem(dir, "admin.key", pem);
	return dir;
}

/* The call's own error. Takes 'bridge'. */
static void call_fails(struct bridge *bridge, struct err *err)
{
	Berth__Node__V1__HealthVersionRequest req = BERTH__NODE__V1__HEALTH_VERSION_REQUEST__INIT;
	cleanup_with(client) struct client *client = NULL;
	struct rpc rpc;

	*err = (struct err){ 0 };
	assert_int_equal(client_open_bridge(bridge, "n1", &client, err), 0);
	client_set_patient(client, true); /* patience does not help here */
	rpc = rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(10000), err);
	berth__node__v1__health__version(&rpc.base, &req, NULL, NULL);
	assert_int_equal(rpc.result, -1);
}

static void a_refused_client_is_told_why(void **state)
{
	static const struct {
		enum fault fault;
		const char *says;
	} rows[] = {
		{ FAULT_SELF_SIGNED, "it is of another cluster's authority" },
		{ FAULT_OTHER_AUTHORITY, "" },
		{ FAULT_EXPIRED, "it has expired" },
		{ FAULT_NOT_YET_VALID, "it is not good yet" },
		{ FAULT_WRONG_USE, "it is not a client's" },
		{ FAULT_WRONG_NAME, "names no role" },
	};
	struct rig *rig = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *keys = keys_with(rig, rows[i].fault);

		call_fails(front_rig_bridge(&rig->front, keys, "admin"), &err);
		if (err.code != ERR_PERMISSION_DENIED || !strstr(err.msg, rows[i].says))
			fail_msg("fault %d: %s: %s", (int)rows[i].fault, err.reason, err.msg);
		assert_string_equal(err.reason, "TLS_REFUSED_BY_NODE");
	}
}

/* --- the node's certificate is bad -------------------------------------------------------------------- */

/* A node of the test's own: serves one connection at a time and counts what it can read. */
struct fake_node {
	int fd, port;
	SSL_CTX *context; /* NULL: answers in plain text */
	size_t bytes;     /* of the application */
	pthread_t thread;
};

static void serve_one(struct fake_node *node, int fd)
{
	struct timeval patience = { .tv_sec = 2 };
	char bytes[64];
	SSL *ssl;
	int n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!node->context) {
		(void)!send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
		while (recv(fd, bytes, sizeof(bytes), 0) > 0)
			;
		return;
	}
	ssl = SSL_new(node->context);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		n = SSL_read(ssl, bytes, sizeof(bytes));
		node->bytes += n > 0 ? (size_t)n : 0;
	}
	ERR_clear_error();
	SSL_free(ssl);
}

static void *run_node(void *arg)
{
	struct fake_node *node = arg;
	int fd;

	while ((fd = accept(node->fd, NULL, NULL)) >= 0) {
		serve_one(node, fd);
		close(fd);
	}
	return NULL;
}

static void node_start(struct fake_node *node, X509 *cert, EVP_PKEY *key)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	node->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(node->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(node->fd, 8), 0);
	assert_int_equal(getsockname(node->fd, (struct sockaddr *)&address, &len), 0);
	node->port = ntohs(address.sin_port);
	if (cert) {
		node->context = SSL_CTX_new(TLS_server_method());
		assert_int_equal(SSL_CTX_use_certificate(node->context, cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(node->context, key), 1);
	}
	assert_int_equal(pthread_create(&node->thread, NULL, run_node, node), 0);
}

static void node_stop(struct fake_node *node)
{
	shutdown(node->fd, SHUT_RDWR);
	pthread_join(node->thread, NULL);
	close(node->fd);
	SSL_CTX_free(node->context);
}

static struct bridge *bridge_to(const struct rig *rig, int port)
{
	struct tls_target target = {
		.host = "127.0.0.1",
		.port = port,
		.name = "n1.c1.agent",
		.dir = front_rig_keys(&rig->front),
		.role = "admin",
	};
	struct bridge *bridge;
	struct err err;

	assert_int_equal(channel_tls_open(&target, &bridge, &err), 0);
	return bridge;
}

/* G14, S2 */
static void no_bad_certificate_of_a_node_is_believed(void **state)
{
	static const struct {
		enum fault fault;
		const char *reason, *says;
	} rows[] = {
		{ FAULT_NONE_SHOWN, "TLS_NOT_SPOKEN", "does not speak TLS" },
		{ FAULT_SELF_SIGNED, "TLS_WRONG_AUTHORITY", "another cluster's authority" },
		{ FAULT_OTHER_AUTHORITY, "TLS_WRONG_AUTHORITY", "another cluster's authority" },
		{ FAULT_EXPIRED, "TLS_EXPIRED", "the node's certificate has expired on 20" },
		{ FAULT_NOT_YET_VALID, "TLS_NOT_YET_VALID", "is good only from 20" },
		{ FAULT_WRONG_USE, "TLS_WRONG_PURPOSE", "not a node's" },
		{ FAULT_WRONG_NAME, "TLS_WRONG_NODE", "'n2.c1.agent' answers" },
		{ FAULT_AUTHORITY_ITSELF, "TLS_WRONG_PURPOSE", "not a node's" },
	};
	struct rig *rig = *state;
	struct err err;

	_Static_assert(ARRAY_LEN(rows) == FAULT_COUNT, "every kind");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fake_node node = { 0 };
		cleanup_with(cert) X509 *cert = NULL;
		cleanup_with(key) EVP_PKEY *key = NULL;

		if (rows[i].fault != FAULT_NONE_SHOWN)
			make_leaf(rig, X509_SERVER, rows[i].fault, &cert, &key);
		node_start(&node, cert, key);
		call_fails(bridge_to(rig, node.port), &err);
		node_stop(&node);
		if (strcmp(err.reason, rows[i].reason) != 0 || !strstr(err.msg, rows[i].says))
			fail_msg("fault %d: %s: %s", (int)rows[i].fault, err.reason, err.msg);
		assert_int_equal(node.bytes, 0);
	}
}

/* Every fault above is one fault: without it the same node is spoken to. */
static void a_good_certificate_of_a_node_is_believed(void **state)
{
	struct rig *rig = *state;
	struct fake_node node = { 0 };
	cleanup_with(cert) X509 *cert = NULL;
	cleanup_with(key) EVP_PKEY *key = NULL;
	cleanup_with(bridge) struct bridge *bridge = NULL;
	struct pollfd p = { .events = POLLIN };

	make_leaf(rig, X509_SERVER, FAULT_COUNT, &cert, &key);
	node_start(&node, cert, key);
	bridge = bridge_to(rig, node.port);
	p.fd = frames_connect(bridge_path(bridge));
	assert_int_equal(send(p.fd, frames_header_req, 8, MSG_NOSIGNAL), 8);
	assert_int_equal(poll(&p, 1, 10000), 1);
	close(p.fd);
	node_stop(&node);
	assert_int_equal(node.bytes, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_bad_certificate_of_a_client_comes_through),
		TEST(two_roles_are_none),
		TEST(old_tls_is_refused),
		TEST(another_clusters_certificate_is_never_accepted),
		TEST(a_refused_client_is_told_why),
		TEST(no_bad_certificate_of_a_node_is_believed),
		TEST(a_good_certificate_of_a_node_is_believed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
