/*
 * A container to try pods with, without a network to fetch one from.
 *
 *   demo [ARG...]      says its arguments, waits for SIGTERM, ends with 0
 *   demo sleep N       ends with 0 after N seconds
 *   demo exit N        ends with N at once
 *   demo linger N      takes N seconds to end after SIGTERM
 *   demo ignore-term   says so and waits for ever: only SIGKILL ends it
 *   demo tick          says "tick" ten times a second
 *   demo line          says the first line of its input and ends
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As pid 1 a signal without a handler is not delivered at all, so the default action would not do. */
static volatile unsigned int linger;

static void on_end(int signal_number)
{
	(void)signal_number;
	for (unsigned int left = linger; left > 0;)
		left = sleep(left);
	_exit(EXIT_SUCCESS);
}

static void say(int argc, char **argv)
{
	printf("demo:");
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	putchar('\n');
	fflush(stdout);
}

static int say_line(void)
{
	char line[256];

	if (!fgets(line, sizeof(line), stdin))
		return EXIT_FAILURE;
	printf("line: %s", line);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	const long number = argc > 2 ? strtol(argv[2], NULL, 10) : 0;

	if (strcmp(mode, "exit") == 0)
		return (int)number;
	if (strcmp(mode, "linger") == 0)
		linger = number > 0 ? (unsigned int)number : 0;
	if (strcmp(mode, "line") == 0)
		return say_line();
	signal(SIGTERM, strcmp(mode, "ignore-term") == 0 ? SIG_IGN : on_end);
	say(argc, argv);
	if (strcmp(mode, "sleep") == 0) {
		unsigned int left = number > 0 ? (unsigned int)number : 0;

		while (left > 0)
			left = sleep(left);
		return EXIT_SUCCESS;
	}
	while (strcmp(mode, "tick") == 0) {
		puts("tick");
		fflush(stdout);
		usleep(100 * 1000);
	}
	for (;;)
		pause();
}
