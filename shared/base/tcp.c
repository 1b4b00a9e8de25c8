#include "shared/base/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Probes of an idle connection; the first comes after half of the time. */
#define PROBES 2

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

void tcp_limit_silence(int fd, int silence_ms)
{
	int idle_s = silence_ms / 2000, probe_s = silence_ms / 2000 / PROBES;

	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef __APPLE__
	set(fd, IPPROTO_TCP, TCP_KEEPALIVE, idle_s);
	set(fd, IPPROTO_TCP, TCP_RXT_CONNDROPTIME, silence_ms / 1000);
#else
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, silence_ms);
#endif
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_s);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
}
