#include "tests/support/door.h"

#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINKS_MAX  16
#define READ_BYTES ((size_t)64 * 1024)

struct door_link {
	int fds[2];     /* the client's, the agent's; -1: none */
	size_t matched; /* bytes of 'word' that have passed last */
};

struct door {
	char path[108], aside[108];
	const char *word;
	int listen_fd;
	struct door_link links[LINKS_MAX];
	atomic_uint changes;
	atomic_bool stop;
	pthread_t thread;
};

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	assert_true(snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) <
		    (int)sizeof(address.sun_path));
	return address;
}

static void link_close(struct door_link *link)
{
	for (int i = 0; i < 2; i++) {
		if (link->fds[i] >= 0)
			close(link->fds[i]);
		link->fds[i] = -1;
	}
	link->matched = 0;
}

static void accept_link(struct door *door)
{
	struct sockaddr_un address = address_of(door->aside);
	int fd = accept4(door->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct door_link *link = door->links;

	while (link < door->links + LINKS_MAX && link->fds[0] >= 0)
		link++;
	if (fd < 0)
		return;
	if (link == door->links + LINKS_MAX) {
		close(fd);
		return;
	}
	link->fds[0] = fd;
	link->fds[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(link->fds[1], (struct sockaddr *)&address, sizeof(address)) < 0)
		link_close(link);
}

/* Nothing is held back, so a word that comes in parts is found as well. */
static void change(struct door *door, struct door_link *link, char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != door->word[link->matched]) {
			link->matched = bytes[i] == door->word[0];
		} else if (!door->word[++link->matched]) {
			bytes[i] ^= 1;
			link->matched = 0;
			atomic_fetch_add(&door->changes, 1);
		}
	}
}

/* False when one of the two has gone. */
static bool hand_on(struct door *door, struct door_link *link, int from)
{
	static char bytes[READ_BYTES];
	ssize_t n = recv(link->fds[from], bytes, sizeof(bytes), 0);

	if (n <= 0)
		return false;
	if (from == 0)
		change(door, link, bytes, (size_t)n);
	for (ssize_t sent = 0; sent < n;) {
		ssize_t part =
			send(link->fds[!from], bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);

		if (part < 0)
			return false;
		sent += part;
	}
	return true;
}

static void serve_link(struct door *door, struct door_link *link, const struct pollfd p[2])
{
	for (int from = 0; from < 2 && link->fds[0] >= 0; from++) {
		if (p[from].revents && !hand_on(door, link, from))
			link_close(link);
	}
}

static void *run(void *arg)
{
	struct door *door = arg;

	while (!atomic_load(&door->stop)) {
		struct pollfd p[1 + 2 * LINKS_MAX] = { { .fd = door->listen_fd,
							 .events = POLLIN } };

		for (size_t i = 0; i < 2 * LINKS_MAX; i++)
			p[1 + i] = (struct pollfd){ .fd = door->links[i / 2].fds[i % 2],
						    .events = POLLIN };
		if (poll(p, ARRAY_LEN(p), 50) <= 0)
			continue;
		for (size_t i = 0; i < LINKS_MAX; i++)
			serve_link(door, &door->links[i], &p[1 + 2 * i]);
		if (p[0].revents)
			accept_link(door);
	}
	return NULL;
}

struct door *door_open(const char *path, const char *word)
{
	struct door *door = calloc(1, sizeof(*door));
	struct sockaddr_un address = address_of(path);

	assert_non_null(door);
	snprintf(door->path, sizeof(door->path), "%s", path);
	assert_true(snprintf(door->aside, sizeof(door->aside), "%s-", path) <
		    (int)sizeof(door->aside));
	door->word = word;
	for (size_t i = 0; i < LINKS_MAX; i++)
		door->links[i].fds[0] = door->links[i].fds[1] = -1;
	assert_int_equal(rename(path, door->aside), 0);
	door->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(door->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(door->listen_fd, LINKS_MAX), 0);
	assert_int_equal(pthread_create(&door->thread, NULL, run, door), 0);
	return door;
}

unsigned door_changes(const struct door *door)
{
	return atomic_load(&door->changes);
}

void door_close(struct door *door)
{
	atomic_store(&door->stop, true);
	pthread_join(door->thread, NULL);
	close(door->listen_fd);
	for (size_t i = 0; i < LINKS_MAX; i++)
		link_close(&door->links[i]);
	assert_int_equal(rename(door->aside, door->path), 0);
	free(door);
}
