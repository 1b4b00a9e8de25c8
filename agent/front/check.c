#include "agent/front/check.h"

#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX 8192

static int complain(const char *what)
{
	fprintf(stderr, "berthd-front: %s: %s\n", what, errno ? strerror(errno) : "no answer");
	return 1;
}

/* The whole answer: the other side closes at its end. */
static ssize_t receive(int fd, char *answer, size_t size, struct deadline by)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size - 1) {
		errno = 0;
		if (poll(&p, 1, deadline_poll_ms(by)) <= 0)
			return -1;
		n = recv(fd, answer + len, size - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	answer[len] = '\0';
	return n < 0 ? -1 : (ssize_t)len;
}

static int judge(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");
	bool good = strncmp(answer, "HTTP/1.1 200 ", 13) == 0;

	if (!body) {
		errno = 0;
		return complain("/healthz");
	}
	fputs(body + 4, stdout);
	return good ? 0 : 1;
}

int check_health(unsigned port, int timeout_ms)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
				      "Connection: close\r\n\r\n";
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[ANSWER_MAX];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return complain("cannot connect to the node's front");
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1 ||
	    receive(fd, answer, sizeof(answer), deadline_in_ms(timeout_ms)) < 0)
		return complain("/healthz");
	return judge(answer);
}
