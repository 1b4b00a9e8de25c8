#pragma once
/* How a session of the runtime's streaming server begins, as text: its URL, what is asked, what is answered.
 * Pure but for the key, which is random. */
#include "shared/base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct handshake_place {
	struct sockaddr_in v4;
	char host[64];    /* as the request names it */
	const char *path; /* of the URL, borrowed */
};

/* "http://127.0.0.1:1234/exec/x". ERR_UNIMPLEMENTED, reason SESSIONS_UNSUPPORTED, for what is no such. */
int handshake_parse_url(const char *url, struct handshake_place *ret, struct err *err);

/* What to send first. ERR_INTERNAL when it does not fit. */
int handshake_request(const struct handshake_place *place, char *ret, size_t size, size_t *ret_len,
		      struct err *err);

/* 'head' is the answer up to its empty line. ERR_UNAVAILABLE, reason RUNTIME_REFUSED, unless it is taken up;
 * '*ret_tells_eof': the protocol can say that the input has ended. */
int handshake_check(const char *head, bool *ret_tells_eof, struct err *err);
