#include "agent/streams/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_FLAGS (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* In the child: system calls and nothing else. The byte is the errno; the socket comes with 0. */
static void __attribute__((noreturn)) run_child(const char *path, int family, int to)
{
	union control control = { 0 };
	unsigned char sys = 0;
	struct iovec iov = { &sys, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int ns = open(path, O_RDONLY | O_CLOEXEC);
	int fd = -1;

	if (ns >= 0 && setns(ns, CLONE_NEWNET) == 0)
		fd = socket(family, SOCKET_FLAGS, 0);
	if (fd < 0) {
		sys = (unsigned char)errno;
	} else {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	_exit(sendmsg(to, &msg, MSG_NOSIGNAL) == 1 ? 0 : 1);
}

/* -1 with errno. */
static int receive(int from)
{
	union control control = { 0 };
	unsigned char sys = 0;
	struct iovec iov = { &sys, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	const struct cmsghdr *header;
	int fd;

	ssize_t n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n != 1) {
		errno = n < 0 ? errno : EPIPE;
		return -1;
	}
	header = CMSG_FIRSTHDR(&msg);
	if (sys || !header || header->cmsg_type != SCM_RIGHTS) {
		errno = sys ? sys : EBADMSG;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int netns_ask(uint32_t pid, int family, struct netns_ask *ret_ask, struct err *err)
{
	char path[64];
	pid_t child;
	int pair[2];

	snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "make a socket");
	child = _Fork();
	if (child == 0)
		run_child(path, family, pair[1]);
	close(pair[1]);
	if (child < 0) {
		err_set(err, ERR_UNAVAILABLE, errno, "make a process");
		close(pair[0]);
		return -1;
	}
	*ret_ask = (struct netns_ask){ .child = child, .from = pair[0] };
	return 0;
}

void netns_cancel(struct netns_ask *ask)
{
	if (!ask->child)
		return;
	close(ask->from);
	kill(ask->child, SIGKILL);
	waitpid(ask->child, NULL, 0);
	ask->child = 0;
}

int netns_answer(struct netns_ask *ask, uint32_t pid, int *ret_fd, struct err *err)
{
	int fd = receive(ask->from);
	int sys = errno;

	netns_cancel(ask);
	if (fd < 0 && (sys == ENOENT || sys == ESRCH))
		return err_set(err, ERR_NOT_FOUND, 0, "process %u, whose network it is, is gone",
			       pid);
	if (fd < 0)
		return err_set(err, ERR_UNAVAILABLE, sys, "make a socket");
	*ret_fd = fd;
	return 0;
}
