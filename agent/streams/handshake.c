#include "agent/streams/handshake.h"

#include "shared/base/parse.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

int handshake_parse_url(const char *url, struct handshake_place *ret, struct err *err)
{
	const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : "";
	size_t len = strcspn(host, "/");
	char address[64], *colon;
	int64_t port;

	*ret = (struct handshake_place){ .path = host[len] ? host + len : "/" };
	ret->v4.sin_family = AF_INET;
	if (len > 0 && len < sizeof(ret->host) && is_plain(url)) {
		snprintf(ret->host, sizeof(ret->host), "%.*s", (int)len, host);
		snprintf(address, sizeof(address), "%s", ret->host);
		colon = strrchr(address, ':');
		if (colon && parse_int(colon + 1, 1, UINT16_MAX, &port)) {
			*colon = '\0';
			ret->v4.sin_port = htons((uint16_t)port);
			if (inet_pton(AF_INET, address, &ret->v4.sin_addr) == 1)
				return 0;
		}
	}
	err_set(err, ERR_UNIMPLEMENTED, 0,
		"the runtime's streaming server is at '%.80s'; only http:// and an IPv4 address "
		"are understood",
		url);
	return err_explain(err, "SESSIONS_UNSUPPORTED", NULL);
}

/* 16 random bytes in base64: 21 free digits and one of which the last four bits are 0. */
static void make_key(char key[25])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t random[22] = { 0 };

	if (getrandom(random, sizeof(random), GRND_NONBLOCK) < 0)
		random[0] = 1;
	for (size_t i = 0; i < 21; i++)
		key[i] = digits[random[i] % 64];
	key[21] = "AQgw"[random[21] % 4];
	key[22] = key[23] = '=';
	key[24] = '\0';
}

int handshake_request(const struct handshake_place *place, char *ret, size_t size, size_t *ret_len,
		      struct err *err)
{
	char key[25];
	int len;

	make_key(key);
	len = snprintf(ret, size,
		       "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
		       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Key: %s\r\n"
		       "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n\r\n",
		       place->path, place->host, key);
	if (len < 0 || (size_t)len >= size)
		return err_set(err, ERR_INTERNAL, 0, "the runtime's URL is too long");
	*ret_len = (size_t)len;
	return 0;
}

static bool has_header(const char *head, const char *name, const char *value)
{
	const char *at = strcasestr(head, name);
	const char *end = at ? strchr(at + 2, '\r') : NULL; /* a name begins with a line's end */
	const char *found = at ? strcasestr(at, value) : NULL;

	return found && end && found < end;
}

/* What proves that no cache answered (Sec-WebSocket-Accept) is not looked at: this is the runtime, which
 * named the address itself, on the loopback. */
int handshake_check(const char *head, bool *ret_tells_eof, struct err *err)
{
	bool tells_eof = has_header(head, "\r\nSec-WebSocket-Protocol:", "v5.channel.k8s.io");

	if (strncmp(head, "HTTP/1.1 101", 12) == 0 &&
	    (tells_eof || has_header(head, "\r\nSec-WebSocket-Protocol:", "v4.channel.k8s.io"))) {
		*ret_tells_eof = tells_eof;
		return 0;
	}
	err_set(err, ERR_UNAVAILABLE, 0, "the runtime's streaming server answered '%.*s'",
		(int)strcspn(head, "\r\n"), head);
	return err_explain(err, "RUNTIME_REFUSED", NULL);
}
