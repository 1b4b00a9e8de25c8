/*~ Welcome to the agent. It is one process with one thread of its own, and one loop (sd-event) on
 * which everything happens: agent.c makes the loop and the parts that hang on it, in order, and takes
 * them down again. A request comes in through agent/gate (which lets nobody near nng whom it has not
 * looked at), agent/server (nng, duplicates, deadlines), agent/service (one file a proto service) and
 * from there to what does the work: agent/pods, agent/units, agent/runtime. No part knows who calls
 * it. Walk on to agent.c, or follow a request from agent/gate/connection.c. */
#include "agent/agent.h"
#include "agent/ask/probe.h"
#include "agent/gate/relay.h"
#include "agent/journal/journal.h"
#include "agent/streams/stream.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/parse.h"
#include "shared/base/version.h"

#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#define CHECK_TIMEOUT_MS 5000

static const char usage[] =
	"Usage: berthd serve [OPTION]...   serves the node until SIGTERM\n"
	"       berthd check [--socket P]  asks a serving agent how the node is\n"
	"       berthd relay [--socket P]  carries one connection to it over stdin and stdout\n"
	"       berthd --version | --help\n"
	"\n"
	"  --socket P        public socket (/run/berth/agent.sock)\n"
	"  --private-dir D   nng's own socket and a lock (/run/berthd)\n"
	"  --state-dir D     wanted pods (/var/lib/berthd)\n"
	"  --units B         systemd or fake (systemd)\n"
	"  --runtime B:ADDR  cri:ADDR or fake:DIR (cri:unix:///run/containerd/containerd.sock)\n"
	"  --cluster C       the cluster's name ($BERTH_CLUSTER)\n"
	"  --front-user U    whose front may connect, if there is such a user (berthd-front)\n"
	"  --front-dir D     the front's sockets, one a role (/run/berthd-front)\n"
	"  -v                a line on stderr for each call; -vv: more\n"
	"\n"
	"check exits with 0 when no part has failed, else with 1; a usage error is 2.\n";

static int usage_error(const char *what, const char *word)
{
	fprintf(stderr, "berthd: %s%s%s%s (see berthd --help)\n", what, word ? " '" : "",
		word ? word : "", word ? "'" : "");
	return 2;
}

static int failed(const struct err *err)
{
	fprintf(stderr, "berthd: %s\n", err->msg);
	return 1;
}

/* "cri:unix:///x" into its two halves. 'spec' is changed and borrowed. */
static int split_runtime(char *spec, struct agent_config *config)
{
	char *colon = strchr(spec, ':');

	if (!colon || colon == spec || !colon[1])
		return -1;
	*colon = '\0';
	config->runtime_backend = spec;
	config->runtime_address = colon + 1;
	return 0;
}

static int parse_option(int option, char *value, struct agent_config *config)
{
	switch (option) {
	case 's':
		config->socket = value;
		return 0;
	case 'p':
		config->private_dir = value;
		return 0;
	case 'd':
		config->state_dir = value;
		return 0;
	case 'u':
		config->units_backend = value;
		return 0;
	case 'r':
		return split_runtime(value, config) < 0 ? usage_error("not BACKEND:ADDRESS:", value)
							: 0;
	case 'l':
		config->pod_logs = value;
		return 0;
	case 'P':
		config->preload_state = value;
		return 0;
	case 'c':
		config->cluster = value;
		return 0;
	case 'f':
		config->front_user = value;
		return 0;
	case 'F':
		config->front_dir = value;
		return 0;
	case 'i':
		if (parse_int(value, 1, STREAM_IDLE_MS, &config->stream_idle_ms))
			return 0;
		return usage_error("not a number of milliseconds:", value);
	case 'v':
		log_set_level(log_get_level() + 1);
		return 0;
	default:
		return 2; /* getopt_long has said why */
	}
}

/* 0, or the exit code of a usage error. */
static int parse_options(int argc, char **argv, struct agent_config *config)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "private-dir", required_argument, NULL, 'p' },
		{ "state-dir", required_argument, NULL, 'd' },
		{ "units", required_argument, NULL, 'u' },
		{ "runtime", required_argument, NULL, 'r' },
		{ "pod-logs", required_argument, NULL, 'l' },
		{ "cluster", required_argument, NULL, 'c' },
		{ "front-user", required_argument, NULL, 'f' },
		{ "front-dir", required_argument, NULL, 'F' },
		/* For tests; not in the help: */
		{ "stream-idle", required_argument, NULL, 'i' },
		{ "preload-state", required_argument, NULL, 'P' },
		{ 0 },
	};
	int option, rc;

	while ((option = getopt_long(argc, argv, "v", options, NULL)) != -1) {
		rc = parse_option(option, optarg, config);
		if (rc != 0)
			return rc;
	}
	return optind < argc ? usage_error("unexpected word", argv[optind]) : 0;
}

/* Keys and pod secrets pass through this process: no core dumps, no ptrace by others (S12). Few
 * arenas and an early trim keep it small; nng alone would otherwise get an arena a thread. */
static void settle(void)
{
	int fd;

	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024);
	mallopt(M_MMAP_THRESHOLD, 64 * 1024);

	/* The unit asks for the same; where the host forbids it (no CAP_SYS_RESOURCE) we go without. */
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "-900", 4) < 0)
			log_debug("oom_score_adj stays as it is");
		close(fd);
	}
}

static int serve(const struct agent_config *config)
{
	struct agent agent;
	struct err err;
	int rc;

	settle();
	rc = agent_init(&agent, config, &err);
	if (rc == 0)
		rc = agent_run(&agent, &err);
	agent_release(&agent);
	return rc < 0 ? failed(&err) : 0;
}

struct check {
	bool over;
	int code;
};

static void print_health(void *arg, const ProtobufCMessage *msg, const struct err *err)
{
	const Berth__Node__V1__HealthReply *reply = (const Berth__Node__V1__HealthReply *)msg;
	static const char *const states[] = { "unknown", "ok", "degraded", "failed", "absent" };
	struct check *check = arg;

	check->over = true;
	check->code = err ? failed(err) : !reply->healthy;
	for (size_t i = 0; !err && i < reply->n_parts; i++) {
		const Berth__Node__V1__HealthPart *part = reply->parts[i];
		const char *state = (unsigned)part->state < 5 ? states[part->state] : states[0];

		printf("%-8s %-8s %s\n", part->name, state, part->message);
	}
}

static int check(const struct agent_config *config)
{
	struct check state = { .code = 1 };
	struct probe *probe = NULL;
	sd_event *loop = NULL;
	struct err err;
	int rc = sd_event_new(&loop);

	if (rc < 0) {
		err_set(&err, ERR_INTERNAL, -rc, "make an event loop");
		return failed(&err);
	}
	if (probe_new(loop, config->socket, &probe, &err) < 0 ||
	    probe_ask(probe, &berth__node__v1__health__descriptor, "Check",
		      deadline_in_ms(CHECK_TIMEOUT_MS), true, print_health, &state, &err) < 0)
		state.code = failed(&err);
	else
		while (!state.over && sd_event_run(loop, UINT64_MAX) >= 0)
			;
	probe_free(probe);
	sd_event_unref(loop);
	return state.code;
}

static int relay(const struct agent_config *config)
{
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	return relay_run(config->socket, STDIN_FILENO, STDOUT_FILENO, &err) < 0 ? failed(&err) : 0;
}

static const struct {
	const char *name;
	int (*run)(const struct agent_config *config);
} commands[] = { { "serve", serve }, { "check", check }, { "relay", relay } };

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	struct agent_config config;
	int rc;

	if (strcmp(command, "--version") == 0) {
		printf("berthd %s (%s)\n", version_number(), version_commit());
		return 0;
	}
	if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	/* A helper of the agent's own, which nobody else is told of. */
	if (strcmp(command, "journal") == 0)
		return journal_main(argc - 1, argv + 1);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(command, commands[i].name) != 0)
			continue;
		agent_config_init(&config);
		rc = parse_options(argc - 1, argv + 1, &config);
		return rc != 0 ? rc : commands[i].run(&config);
	}
	return usage_error(*command ? "unknown command" : "no command", *command ? command : NULL);
}
