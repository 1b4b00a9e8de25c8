#include "tests/support/hostile_relay.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000

extern char **environ;

static bool start(struct hostile_relay *relay, int in[2], int out[2])
{
	char *argv[] = { (char *)"berthd", (char *)"relay", (char *)"--socket",
			 (char *)relay->socket, NULL };
	posix_spawn_file_actions_t actions;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	rc = posix_spawn(&relay->pid, relay->binary, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc == 0;
}

static bool relay_open(struct hostile_way *way)
{
	struct hostile_relay *relay = (struct hostile_relay *)way;
	int in[2], out[2];
	bool started;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return false;
	started = start(relay, in, out);
	close(in[0]);
	close(out[1]);
	relay->in = in[1];
	relay->out = out[0];
	return started;
}

static ssize_t relay_say(struct hostile_way *way, const void *bytes, size_t len)
{
	return write(((struct hostile_relay *)way)->in, bytes, len);
}

static ssize_t relay_hear(struct hostile_way *way, void *bytes, size_t len)
{
	struct pollfd p = { .fd = ((struct hostile_relay *)way)->out, .events = POLLIN };

	return poll(&p, 1, PATIENCE_MS) == 1 ? read(p.fd, bytes, len) : -1;
}

/* Until the relay has said all it has to say. */
static void hear_out(struct hostile_relay *relay)
{
	char bytes[4096];

	while (relay_hear(&relay->way, bytes, sizeof(bytes)) > 0)
		;
}

static void relay_close(struct hostile_way *way)
{
	struct hostile_relay *relay = (struct hostile_relay *)way;
	int status = 0;

	if (relay->murder)
		kill(relay->pid, SIGKILL);
	close(relay->in);
	if (!relay->murder)
		hear_out(relay);
	close(relay->out);
	waitpid(relay->pid, &status, 0);
	if (relay->murder || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return;
	fprintf(stderr, "a relay ended with %#x\n", (unsigned)status);
	_exit(90);
}

struct hostile_relay hostile_relay(const char *binary, const char *socket)
{
	return (struct hostile_relay){
		.way = { relay_open, relay_say, relay_hear, relay_close },
		.binary = binary,
		.socket = socket,
	};
}
