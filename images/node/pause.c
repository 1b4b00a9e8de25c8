/* The process that holds a pod's namespaces: it waits, reaps what is left to it as pid 1, and ends when told to. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_end(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static void on_child(int signal_number)
{
	(void)signal_number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void)
{
	const struct sigaction end = { .sa_handler = on_end };
	const struct sigaction child = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP };

	if (sigaction(SIGTERM, &end, NULL) < 0 || sigaction(SIGINT, &end, NULL) < 0 ||
	    sigaction(SIGCHLD, &child, NULL) < 0)
		return EXIT_FAILURE;
	for (;;)
		pause();
}
