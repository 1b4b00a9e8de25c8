#include "tests/support/rough.h"

#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define SEGMENT_BYTES ((size_t)16 * 1024)
/* On their way in one direction, at most. */
#define WINDOW_BYTES ((size_t)1024 * 1024)
#define LINKS_MAX    64

struct segment {
	int64_t due_ms;
	size_t at, len;
	struct segment *prev, *next;
	uint8_t bytes[];
};

/* One direction. */
struct way {
	struct segment *segments;
	size_t bytes;
	bool ended;
};

struct link {
	int fds[2];
	struct way ways[2]; /* [i]: from fds[i] to the other */
	int64_t left_to_cut;
	struct link *prev, *next;
};

struct rough {
	struct rough_profile profile;
	int port;
	int listen_fd;
	unsigned seed;
	struct link *links;
	atomic_uint cuts;
	atomic_bool stop;
	pthread_t thread;
};

static int random_below(struct rough *r, int n)
{
	return n > 0 ? rand_r(&r->seed) % n : 0;
}

static void link_close(struct rough *r, struct link *link, bool cut)
{
	struct linger linger = { .l_onoff = 1 };

	for (int i = 0; i < 2; i++) {
		struct segment *s, *next;

		DL_FOREACH_SAFE(link->ways[i].segments, s, next)
		{
			free(s);
		}
		if (cut)
			setsockopt(link->fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(link->fds[i]);
	}
	DL_DELETE(r->links, link);
	free(link);
}

static int connect_target(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void accept_link(struct rough *r)
{
	int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC), one = 1;
	struct link *link = fd >= 0 ? calloc(1, sizeof(*link)) : NULL;
	int64_t cut = r->profile.bytes_to_cut;

	if (!link)
		return;
	link->fds[0] = fd;
	link->fds[1] = connect_target(r->port);
	link->left_to_cut = cut ? cut / 2 + random_below(r, (int)cut) : INT64_MAX;
	DL_APPEND(r->links, link);
	if (link->fds[1] < 0) {
		link_close(r, link, true);
		return;
	}
	for (int i = 0; i < 2; i++) {
		setsockopt(link->fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		fcntl(link->fds[i], F_SETFL, O_NONBLOCK);
	}
}

/* In order, as TCP hands it on. */
static int64_t due_ms(struct rough *r, const struct way *way)
{
	const struct rough_profile *p = &r->profile;
	int64_t due =
		clock_now_ms() + p->delay_ms - p->jitter_ms + random_below(r, 2 * p->jitter_ms + 1);

	if (random_below(r, 100) < p->stall_percent)
		due += p->stall_ms;
	if (way->segments && way->segments->prev->due_ms > due)
		due = way->segments->prev->due_ms;
	return due;
}

/* False when the link is to be cut. */
static bool take(struct rough *r, struct link *link, int from)
{
	struct segment *s = malloc(sizeof(*s) + SEGMENT_BYTES);
	struct way *way = &link->ways[from];
	ssize_t n = s ? recv(link->fds[from], s->bytes, SEGMENT_BYTES, 0) : -1;

	if (n <= 0) {
		free(s);
		way->ended = n == 0;
		return n == 0 || errno == EAGAIN;
	}
	s->at = 0;
	s->len = (size_t)n;
	s->due_ms = due_ms(r, way);
	DL_APPEND(way->segments, s);
	way->bytes += s->len;
	link->left_to_cut -= n;
	return link->left_to_cut > 0;
}

/* False when the other end has gone. */
static bool hand_on(struct link *link, int from)
{
	struct way *way = &link->ways[from];
	struct segment *s;

	while ((s = way->segments) && s->due_ms <= clock_now_ms()) {
		ssize_t n = send(link->fds[!from], s->bytes + s->at, s->len - s->at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		s->at += (size_t)n;
		way->bytes -= (size_t)n;
		if (s->at < s->len)
			return true;
		DL_DELETE(way->segments, s);
		free(s);
	}
	if (way->ended && !way->segments)
		shutdown(link->fds[!from], SHUT_WR);
	return true;
}

static void serve_link(struct rough *r, struct link *link, const struct pollfd p[2])
{
	bool cut = false, gone = false;

	for (int from = 0; from < 2 && !cut; from++)
		cut = (p[from].revents & (POLLIN | POLLHUP | POLLERR)) && !link->ways[from].ended &&
		      !take(r, link, from);
	for (int from = 0; from < 2 && !gone; from++)
		gone = !hand_on(link, from);
	gone |= link->ways[0].ended && link->ways[1].ended && !link->ways[0].segments &&
		!link->ways[1].segments;
	if (cut)
		atomic_fetch_add(&r->cuts, 1);
	if (cut || gone)
		link_close(r, link, cut);
}

static void *run(void *arg)
{
	struct rough *r = arg;

	while (!atomic_load(&r->stop)) {
		struct pollfd p[1 + 2 * LINKS_MAX] = { { .fd = r->listen_fd, .events = POLLIN } };
		struct link *link, *next, *last = r->links ? r->links->prev : NULL;
		nfds_t count = 1;

		DL_FOREACH (r->links, link) {
			for (int i = 0; i < 2; i++)
				p[count++] = (struct pollfd){
					.fd = link->ways[i].ended ||
							      link->ways[i].bytes > WINDOW_BYTES
						      ? -1
						      : link->fds[i],
					.events = POLLIN,
				};
		}
		poll(p, count, 1); /* the segments' own times are no finer */
		count = 1;
		DL_FOREACH_SAFE(r->links, link, next)
		{
			bool is_last = link == last;

			serve_link(r, link, &p[count]);
			count += 2;
			if (is_last)
				break;
		}
		if (p[0].revents && count < 2 * LINKS_MAX)
			accept_link(r);
	}
	return NULL;
}

struct rough *rough_start(const struct rough_profile *profile, int port, int *ret_port)
{
	struct rough *r = calloc(1, sizeof(*r));
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	assert_non_null(r);
	r->profile = *profile;
	r->port = port;
	r->seed = 23;
	r->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(r->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(r->listen_fd, SOMAXCONN), 0);
	assert_int_equal(getsockname(r->listen_fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
	return r;
}

unsigned rough_cuts(const struct rough *r)
{
	return atomic_load(&((struct rough *)r)->cuts);
}

void rough_stop(struct rough *r)
{
	atomic_store(&r->stop, true);
	pthread_join(r->thread, NULL);
	while (r->links)
		link_close(r, r->links, true);
	close(r->listen_fd);
	free(r);
}
