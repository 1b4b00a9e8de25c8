/*~ The front is the part of the agent that strangers reach: TLS and HTTP, in a process without rights.
 * Walk on to front.c, or follow a connection through session.c to the agent's gate (agent/gate). */
#include "agent/front/check.h"
#include "agent/front/front.h"
#include "shared/base/cleanup.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/parse.h"
#include "shared/base/version.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#define HTTP_PORT        9250
#define CHECK_TIMEOUT_MS 4000

static const char usage[] =
	"Usage: berthd-front [OPTION]...   serves the sockets that systemd hands over:\n"
	"                                  'tls' and 'http' (FileDescriptorName=)\n"
	"       berthd-front --check       asks the node's /healthz; exits with 0 when it is "
	"healthy\n"
	"       berthd-front --version | --help\n"
	"\n"
	"  --gate-dir D      the agent's sockets for the front (/run/berthd-front)\n"
	"  --tls-dir D       node.key, node.crt and ca.crt (/run/berthd-front/tls)\n"
	"  --handshakes N    TLS handshakes a second and address (100)\n"
	"  --exit-ms N       ends after so long without a connection; 0: never (60000)\n"
	"  --port N          of --check (9250)\n"
	"  -v                a line on stderr for what is debugged\n"
	"\n"
	"SIGHUP takes up new keys; connections go on.\n";

static int usage_error(const char *what, const char *word)
{
	fprintf(stderr, "berthd-front: %s '%s' (see berthd-front --help)\n", what, word);
	return 2;
}

struct command {
	struct front_config config;
	bool check;
	unsigned port;
};

static int parse_number(const char *value, int64_t min, int64_t max, int64_t *ret)
{
	return parse_int(value, min, max, ret) ? 0 : usage_error("not a number in range:", value);
}

static int parse_option(int option, char *value, struct command *command)
{
	int64_t number = 0;
	int rc = 0;

	switch (option) {
	case 'g':
		command->config.gate_dir = value;
		return 0;
	case 't':
		command->config.tls_dir = value;
		return 0;
	case 'n':
		rc = parse_number(value, 1, 1000000, &number);
		command->config.handshakes_per_second = (unsigned)number;
		return rc;
	case 'e':
		rc = parse_number(value, 0, INT32_MAX, &number);
		command->config.exit_ms = number;
		return rc;
	case 'p':
		rc = parse_number(value, 1, 65535, &number);
		command->port = (unsigned)number;
		return rc;
	case 'c':
		command->check = true;
		return 0;
	case 'v':
		log_set_level(log_get_level() + 1);
		return 0;
	default:
		return 2; /* getopt_long has said why */
	}
}

static int parse_options(int argc, char **argv, struct command *command)
{
	static const struct option options[] = {
		{ "gate-dir", required_argument, NULL, 'g' },
		{ "tls-dir", required_argument, NULL, 't' },
		{ "handshakes", required_argument, NULL, 'n' },
		{ "exit-ms", required_argument, NULL, 'e' },
		{ "port", required_argument, NULL, 'p' },
		{ "check", no_argument, NULL, 'c' },
		{ 0 },
	};
	int option, rc;

	while ((option = getopt_long(argc, argv, "v", options, NULL)) != -1) {
		rc = parse_option(option, optarg, command);
		if (rc != 0)
			return rc;
	}
	return optind < argc ? usage_error("unexpected word", argv[optind]) : 0;
}

/* systemd's names for what it hands over. */
static void take_sockets(struct front_config *config)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (strcmp(names[i], "tls") == 0 && config->tls_fd < 0)
			config->tls_fd = fd;
		else if (strcmp(names[i], "http") == 0 && config->http_fd < 0)
			config->http_fd = fd;
		else
			close(fd);
		free(names[i]);
	}
	free(names);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
	struct err err;

	(void)source;
	(void)info;
	if (front_reload(arg, &err) < 0)
		log_note("the keys stay as they are: %s", err.msg);
	return 0;
}

static int run(struct front_config *config, sd_event *loop, struct err *err)
{
	cleanup_with(front) struct front *front = NULL;
	int rc;

	take_sockets(config);
	if (config->tls_fd < 0 && config->http_fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, 0,
			       "there is no socket to serve: systemd starts this by its sockets");
	if (front_open(config, loop, &front, err) < 0)
		return -1;
	rc = sd_event_add_signal(loop, NULL, SIGHUP, on_hangup, front);
	if (rc >= 0)
		rc = sd_event_add_signal(loop, NULL, SIGTERM, NULL, NULL);
	if (rc >= 0)
		rc = sd_event_loop(loop);
	return rc < 0 ? err_set(err, ERR_INTERNAL, -rc, "run the event loop") : 0;
}

static int serve(struct front_config *config)
{
	sigset_t mask;
	sd_event *loop = NULL;
	struct err err;
	int rc;

	prctl(PR_SET_DUMPABLE, 0); /* a key is in here (S12) */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	rc = sd_event_new(&loop);
	if (rc < 0)
		rc = err_set(&err, ERR_INTERNAL, -rc, "make the event loop");
	else
		rc = run(config, loop, &err);
	sd_event_unref(loop);
	if (rc < 0)
		fprintf(stderr, "berthd-front: %s\n", err.msg);
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct command command = { .port = HTTP_PORT };
	int rc;

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("berthd-front %s (%s)\n", version_number(), version_commit());
		return 0;
	}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return 0;
	}
	front_config_init(&command.config);
	rc = parse_options(argc, argv, &command);
	if (rc != 0)
		return rc;
	return command.check ? check_health(command.port, CHECK_TIMEOUT_MS)
			     : serve(&command.config);
}
