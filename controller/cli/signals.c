#include "controller/cli/signals.h"

#include "shared/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <strings.h>
#include <unistd.h>

#define EXIT_INTERRUPTED 130

/* What a handler can reach: it has no argument to be handed anything by. */
static volatile sig_atomic_t is_graceful;
static volatile sig_atomic_t count;
static int wake_fd = -1;
static int divert_fd = -1;

bool signal_parse(const char *s, int64_t *ret)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{ "HUP", 1 },   { "INT", 2 },   { "QUIT", 3 },  { "ABRT", 6 },  { "KILL", 9 },
		{ "USR1", 10 }, { "SEGV", 11 }, { "USR2", 12 }, { "PIPE", 13 }, { "ALRM", 14 },
		{ "TERM", 15 }, { "CONT", 18 }, { "STOP", 19 }, { "TSTP", 20 }, { "WINCH", 28 },
	};

	if (parse_int(s, 1, 64, ret))
		return true;
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(s, names[i].name) == 0) {
			*ret = names[i].number;
			return true;
		}
	}
	return false;
}

static void say(const char *text, size_t len)
{
	ssize_t ignored = write(STDERR_FILENO, text, len);

	(void)ignored;
}

#define SAY(text) say(text, sizeof(text) - 1)

static void on_diverted(int number)
{
	unsigned char byte = (unsigned char)number;
	int saved = errno;

	while (write(divert_fd, &byte, 1) < 0 && errno == EINTR)
		;
	errno = saved;
}

static void on_signal(int number)
{
	int saved = errno;

	(void)number;
	count++;
	if (!is_graceful)
		SAY("berth: interrupted\n");
	if (!is_graceful || count > 2)
		_exit(EXIT_INTERRUPTED);
	if (count == 1)
		SAY("berth: interrupted; cleaning up\n");
	else
		SAY("berth: still cleaning up; once more ends berth and leaves things as they "
		    "are\n");
	while (write(wake_fd, "", 1) < 0 && errno == EINTR)
		;
	errno = saved;
}

static int make_pipe(int fds[2], struct err *err)
{
	if (pipe(fds) < 0)
		return err_set(err, ERR_INTERNAL, errno, "cannot make a pipe");
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

int signals_divert(int *ret_fd, struct err *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	struct sigaction action = { .sa_handler = on_diverted, .sa_flags = SA_RESTART };
	int fds[2];

	if (make_pipe(fds, err) < 0)
		return -1;
	divert_fd = fds[1];
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	*ret_fd = fds[0];
	return 0;
}

int signals_install(struct interrupt *ret_interrupt, struct err *err)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int fds[2];

	if (make_pipe(fds, err) < 0)
		return -1;
	wake_fd = fds[1];
	sigemptyset(&action.sa_mask);
	sigemptyset(&ignore.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	ret_interrupt->fd = fds[0];
	return 0;
}

void signals_graceful(bool graceful)
{
	is_graceful = graceful;
}

bool signals_came(void)
{
	return count > 0;
}
