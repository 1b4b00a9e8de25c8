#include "tests/support/front.h"

#include "controller/client/channel_tls.h"
#include "controller/client/client.h"
#include "controller/trust/trust.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 16

const char *front_binary(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s-front", agent_process_binary());
	return path;
}

const char *front_rig_keys(const struct front_rig *rig)
{
	return rig->keys_dir;
}

static int listen_on_loopback(int *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* The user whom fronts run as here: nobody, or ourselves when we may not choose. */
static const char *front_user(void)
{
	struct passwd *self = getpwuid(geteuid());

	assert_non_null(self);
	return geteuid() == 0 ? "nobody" : self->pw_name;
}

static void make_keys(struct front_rig *rig)
{
	cleanup_with(trust) struct trust *trust = NULL;
	struct err err;

	assert_int_equal(mkdir(rig->run_dir, 0711), 0);
	assert_int_equal(trust_open(rig->state_dir, "c1", true, time(NULL), &trust, &err), 0);
	assert_int_equal(trust_renew(trust, TRUST_AS_NEEDED, &err), 0);
	assert_int_equal(trust_renew_node(trust, "n1", rig->run_dir, TRUST_AS_NEEDED, &err), 0);
	front_rig_share_keys(rig);
}

void front_rig_share_keys(const struct front_rig *rig)
{
	const struct passwd *user = getpwnam(rig->user);
	DIR *dir = opendir(rig->tls_dir);
	struct dirent *entry;

	assert_non_null(user);
	assert_non_null(dir);
	assert_int_equal(chown(rig->tls_dir, user->pw_uid, user->pw_gid), 0);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			assert_int_equal(fchownat(dirfd(dir), entry->d_name, user->pw_uid,
						  user->pw_gid, AT_SYMLINK_NOFOLLOW),
					 0);
	}
	closedir(dir);
}

void front_rig_start(struct front_rig *rig, const char *const *args)
{
	front_rig_start_with(rig, args, NULL);
}

void front_rig_start_with(struct front_rig *rig, const char *const *args,
			  const char *const *agent_args)
{
	const char *words[WORDS_MAX + 5] = { "--front-user", NULL, "--front-dir" };

	memset(rig, 0, sizeof(*rig));
	rig->args = args;
	rig->user = front_user();
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/berth-front-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	assert_int_equal(chmod(rig->dir, 0711), 0);
	snprintf(rig->gate_dir, sizeof(rig->gate_dir), "%s/gates", rig->dir);
	snprintf(rig->state_dir, sizeof(rig->state_dir), "%s/state", rig->dir);
	snprintf(rig->keys_dir, sizeof(rig->keys_dir), "%s/clusters/c1/tls", rig->state_dir);
	snprintf(rig->run_dir, sizeof(rig->run_dir), "%s/run", rig->dir);
	snprintf(rig->tls_dir, sizeof(rig->tls_dir), "%s/tls", rig->run_dir);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
	make_keys(rig);
	rig->tls_fd = listen_on_loopback(&rig->tls_port);
	rig->http_fd = listen_on_loopback(&rig->http_port);
	words[1] = rig->user;
	words[3] = rig->gate_dir;
	for (size_t i = 0; agent_args && agent_args[i] && i < WORDS_MAX; i++)
		words[4 + i] = agent_args[i];
	agent_process_start_with(&rig->agent, words, NULL);
	front_rig_spawn(rig);
}

/* --- the front's process ---------------------------------------------------------------------------- */

/* In the child: no allocation, no assertion. The agent's binary may lie where only we may look. */
static void become_front(const struct front_rig *rig, int binary, const struct passwd *user,
			 char **argv, char **env, char *pid_text, size_t pid_size)
{
	struct rlimit files = { rig->files, rig->files };
	int log = open(rig->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0))
		_exit(99);
	if (dup2(log, 2) < 0 || dup2(rig->tls_fd, 100) < 0 || dup2(rig->http_fd, 101) < 0 ||
	    dup2(100, 3) < 0 || dup2(101, 4) < 0)
		_exit(98);
	close(100);
	close(101);
	if (rig->files && setrlimit(RLIMIT_NOFILE, &files) < 0)
		_exit(96);
	snprintf(pid_text, pid_size, "LISTEN_PID=%d", (int)getpid());
	fexecve(binary, argv, env);
	_exit(97);
}

void front_rig_spawn(struct front_rig *rig)
{
	char pid_text[32],
		*env[] = { pid_text, (char *)"LISTEN_FDS=2", (char *)"LISTEN_FDNAMES=tls:http",
			   (char *)"ASAN_OPTIONS=detect_leaks=0", NULL };
	char *argv[WORDS_MAX + 8] = { (char *)"berthd-front", (char *)"--gate-dir", rig->gate_dir,
				      (char *)"--tls-dir", rig->tls_dir };
	const struct passwd *user = getpwnam(rig->user);
	int binary = fcntl(open(front_binary(), O_RDONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, 200);
	size_t argc = 5;

	assert_true(binary >= 0);
	assert_non_null(user);
	for (size_t i = 0; rig->args && rig->args[i]; i++)
		argv[argc++] = (char *)rig->args[i];
	argv[argc] = NULL;
	rig->pid = fork();
	if (rig->pid == 0)
		become_front(rig, binary, user, argv, env, pid_text, sizeof(pid_text));
	assert_true(rig->pid > 0);
	close(binary);
}

int front_rig_wait_exit(struct front_rig *rig, int timeout_ms)
{
	int fd = (int)syscall(SYS_pidfd_open, rig->pid, 0), status = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_true(fd >= 0);
	if (poll(&p, 1, timeout_ms) == 1) {
		assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
		rig->pid = 0;
	} else {
		status = -1;
	}
	close(fd);
	return status == -1 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void front_rig_kill(struct front_rig *rig)
{
	assert_true(rig->pid > 0);
	kill(rig->pid, SIGKILL);
	assert_int_equal(front_rig_wait_exit(rig, 10000), 128);
}

static void check_log(const struct front_rig *rig)
{
	FILE *file = fopen(rig->log, "re");
	bool bad = false;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, "Sanitizer") || strstr(line, "runtime error")) {
			print_message("front: %s", line);
			bad = true;
		}
	}
	if (file)
		fclose(file);
	assert_false(bad);
}

void front_rig_stop(struct front_rig *rig)
{
	struct err err;

	if (rig->pid > 0)
		front_rig_kill(rig);
	close(rig->tls_fd);
	close(rig->http_fd);
	agent_process_discard(&rig->agent);
	check_log(rig);
	file_remove_tree(rig->dir, &err);
}

/* --- ways to it ------------------------------------------------------------------------------------- */

struct bridge *front_rig_bridge(const struct front_rig *rig, const char *keys, const char *role)
{
	struct tls_target target = {
		.host = "127.0.0.1",
		.port = rig->tls_port,
		.name = "n1.c1.agent",
		.dir = keys ? keys : front_rig_keys(rig),
		.role = role,
	};
	struct bridge *bridge;
	struct err err;

	assert_int_equal(channel_tls_open(&target, &bridge, &err), 0);
	return bridge;
}

static void take_accepted(const Berth__Node__V1__HealthMetricsReply *reply, void *arg)
{
	const char *at = strstr(reply->text, "\nberth_agent_connections_accepted_total ");

	assert_non_null(at);
	*(uint64_t *)arg = strtoull(strchr(at, ' ') + 1, NULL, 10);
}

uint64_t front_rig_accepted(struct client *client)
{
	Berth__Node__V1__HealthMetricsRequest req = BERTH__NODE__V1__HEALTH_METRICS_REQUEST__INIT;
	uint64_t accepted = 0;
	struct err err;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(5000), &err);

	berth__node__v1__health__metrics(&rpc.base, &req, take_accepted, &accepted);
	assert_int_equal(rpc.result, 0);
	return accepted;
}
