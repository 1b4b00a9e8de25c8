#include "tests/support/cli.h"

#include "controller/cli/cli.h"
#include "shared/base/text.h"
#include "tests/support/agent_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define MAX_WORDS 64

static struct cli_output run(const char *word, va_list ap)
{
	struct cli_output output = { 0 };
	char *argv[MAX_WORDS] = { (char *)"berth" };
	size_t out_len, errs_len;
	FILE *out = open_memstream(&output.out, &out_len);
	FILE *errs = open_memstream(&output.errs, &errs_len);
	int argc = 1;

	assert_non_null(out);
	assert_non_null(errs);
	for (; word; word = va_arg(ap, const char *)) {
		assert_true(argc < MAX_WORDS - 1);
		argv[argc++] = (char *)word;
	}
	output.exit_code = cli_main(argc, argv, NULL, out, errs);
	fclose(out);
	fclose(errs);
	return output;
}

struct cli_output cli_run(const char *word, ...)
{
	struct cli_output output;
	va_list ap;

	va_start(ap, word);
	output = run(word, ap);
	va_end(ap);
	return output;
}

void cli_release(struct cli_output *output)
{
	free(output->out);
	free(output->errs);
	*output = (struct cli_output){ 0 };
}

void cli_expect(int exit_code, const char *out, const char *errs, const char *word, ...)
{
	struct cli_output output;
	va_list ap;

	va_start(ap, word);
	output = run(word, ap);
	va_end(ap);
	if (output.exit_code != exit_code || !strstr(output.out, out) || !strstr(output.errs, errs))
		fail_msg("wanted exit %d, \"%s\" and \"%s\", got exit %d\nstdout: %s\nstderr: %s",
			 exit_code, out, errs, output.exit_code, output.out, output.errs);
	cli_release(&output);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static char *read_file(const char *path)
{
	struct text text = { 0 };
	char buffer[4096];
	FILE *file = fopen(path, "r");
	size_t n;

	if (!file)
		fail_msg("no golden file '%s': BERTH_UPDATE_GOLDEN=1 writes it", path);
	while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
		text_add_bytes(&text, buffer, n);
	fclose(file);
	return text_take(&text);
}

static size_t first_difference(const char *a, const char *b)
{
	size_t i = 0;

	while (a[i] && a[i] == b[i])
		i++;
	return i;
}

void cli_golden(const char *path, const char *text)
{
	char *golden;
	size_t at;

	if (getenv("BERTH_UPDATE_GOLDEN")) {
		write_file(path, text);
		return;
	}
	golden = read_file(path);
	at = first_difference(golden, text);
	if (golden[at] != text[at])
		fail_msg("differs from %s at byte %zu: wanted \"%.60s\", got \"%.60s\"; if that is "
			 "meant, run with BERTH_UPDATE_GOLDEN=1",
			 path, at, golden + at, text + at);
	free(golden);
}

char *cli_temp_dir(void)
{
	char *dir = strdup("/tmp/berth-cli-XXXXXX");

	assert_non_null(dir);
	assert_non_null(mkdtemp(dir));
	return dir;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void cli_remove_dir(char *dir)
{
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

/* The terminal buffers little: what is printed must fit, which a few lines do. */
char *cli_on_terminal(const char *term, void (*print)(FILE *out, void *arg), void *arg)
{
	struct text text = { 0 };
	char buffer[1024];
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), side;
	struct pollfd p = { .fd = terminal, .events = POLLIN };
	FILE *out;
	ssize_t n;

	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal), 0);
	assert_int_equal(unlockpt(terminal), 0);
	side = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	out = fdopen(side, "w");
	assert_non_null(out);
	setenv("TERM", term, 1);
	print(out, arg);
	fflush(out);
	tcdrain(side);
	while (poll(&p, 1, 0) == 1 && (n = read(terminal, buffer, sizeof(buffer))) > 0)
		text_add_bytes(&text, buffer, (size_t)n);
	fclose(out);
	close(terminal);
	return text_take(&text);
}

const char *cli_berth_binary(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s", agent_process_binary());
	snprintf(strrchr(path, '/'), 16, "/berth");
	return path;
}

unsigned cli_cut_connections(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	unsigned count = 0;

	assert_true(pidfd >= 0);
	for (int fd = 3; fd < 128; fd++) {
		struct sockaddr_un peer = { 0 };
		socklen_t len = sizeof(peer);
		int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

		if (copy < 0)
			continue;
		if (getpeername(copy, (struct sockaddr *)&peer, &len) == 0 &&
		    peer.sun_family == AF_UNIX && strstr(peer.sun_path, "agent.sock"))
			count += shutdown(copy, SHUT_RDWR) == 0;
		close(copy);
	}
	close(pidfd);
	return count;
}

void cli_leaks_do_not_count(void)
{
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
}

void cli_leaks_count(void)
{
	unsetenv("ASAN_OPTIONS");
}
