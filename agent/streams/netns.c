#include "agent/streams/netns.h"

#include "shared/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
	struct pollfd ready = { .fd = from, .events = POLLIN };
	union control control = { 0 };
	unsigned char sys = 0;
	struct iovec iov = { &sys, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	const struct cmsghdr *header;
	int fd;

	errno = ETIMEDOUT;
	if (poll(&ready, 1, NETNS_WAIT_MS) != 1)
		return -1;
	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
		return -1;
	header = CMSG_FIRSTHDR(&msg);
	if (sys || !header || header->cmsg_type != SCM_RIGHTS) {
		errno = sys ? sys : EBADMSG;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static int socket_there(uint32_t pid, int family)
{
	char path[64];
	pid_t child;
	int pair[2];
	int fd = -1;
	int sys;

	snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	child = _Fork();
	if (child == 0)
		run_child(path, family, pair[1]);
	close(pair[1]);
	if (child > 0)
		fd = receive(pair[0]);
	sys = errno;
	close(pair[0]);
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	errno = sys;
	return fd;
}

int netns_socket(uint32_t pid, int family, int *ret_fd, struct err *err)
{
	int fd = pid ? socket_there(pid, family) : socket(family, SOCKET_FLAGS, 0);

	if (fd < 0 && pid && (errno == ENOENT || errno == ESRCH))
		return err_set(err, ERR_NOT_FOUND, 0, "process %u, whose network it is, is gone",
			       pid);
	if (fd < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "make a socket");
	*ret_fd = fd;
	return 0;
}
