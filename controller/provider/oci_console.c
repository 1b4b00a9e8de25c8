/*
 * What a node's systemd writes to its console: how it boots, and the last words of one that did not.
 */
#include "controller/exec/exec_pipe.h"
#include "controller/provider/oci_cli.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Past an escape sequence: ESC [ parameters letter, or ESC and one character. */
static const char *skip_escape(const char *s)
{
	s++;
	if (*s != '[')
		return *s ? s + 1 : s;
	for (s++; *s && (*s < '@' || *s > '~'); s++)
		;
	return *s ? s + 1 : s;
}

static char *plain_text(const char *console)
{
	struct text plain = { 0 };

	for (const char *s = console; *s;) {
		if (*s == '\x1b') {
			s = skip_escape(s);
			continue;
		}
		if (*s == '\n' ? plain.len && plain.data[plain.len - 1] != '\n'
			       : (unsigned char)*s >= ' ' && *s != 0x7f)
			text_add_bytes(&plain, s, 1);
		s++;
	}
	if (plain.len && plain.data[plain.len - 1] == '\n')
		plain.data[--plain.len] = '\0';
	return text_take(&plain);
}

char *oci_console_tail(const char *console, unsigned lines)
{
	cleanup_free char *plain = plain_text(console);
	const char *s;

	if (!plain)
		return NULL;
	for (s = plain + strlen(plain); s > plain; s--) {
		if (s[-1] == '\n' && --lines == 0)
			break;
	}
	return strdup(s);
}

char *oci_console(struct provider *p, const char *node, struct deadline by)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	struct err ignored;

	oci_add_words(&argv, OCI_WORDS(p->ops->program, "logs", "--tail=20", "--", node));
	if (oci_run(p, &argv, by, &result, &ignored) < 0)
		return strdup("");
	return oci_console_tail(text_str(&result.out), 4);
}

/* The first words of a systemd that starts units, behind its cgroups' making. */
static const char started[] = "Reached target ";

/* Whether 'text' has it; of the rest only what may be its beginning is kept. */
static bool has_started(struct text *text)
{
	cleanup_with(text) struct text rest = { 0 };
	size_t keep = sizeof(started) - 2;

	if (strstr(text_str(text), started))
		return true;
	if (text->len > keep) {
		text_add_bytes(&rest, text->data + text->len - keep, keep);
		text_release(text);
		*text = rest;
		rest = (struct text){ 0 };
	}
	return false;
}

static void follow(struct provider *p, int fd, struct deadline by)
{
	cleanup_with(text) struct text text = { 0 };
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = p->interrupt ? p->interrupt->fd : -1, .events = POLLIN },
	};
	char chunk[4096];

	while (poll(fds, ARRAY_LEN(fds), deadline_poll_ms(by)) > 0 && !fds[1].revents) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n <= 0)
			return;
		text_add_bytes(&text, chunk, (size_t)n);
		if (text_failed(&text) || has_started(&text))
			return;
	}
}

void oci_console_wait(struct provider *p, const char *node, struct deadline by)
{
	cleanup_with(exec_pipe) struct exec_pipe *pipe = NULL;
	cleanup_with(strv) struct strv argv = { 0 };
	struct err ignored;

	oci_add_words(&argv, OCI_WORDS(p->ops->program, "logs", "--follow", "--", node));
	if (exec_pipe_open(&argv, &pipe, &ignored) == 0)
		follow(p, exec_pipe_out(pipe), by);
}
