#include "controller/cli/cli.h"
#include "controller/cli/failure.h"
#include "controller/cli/signals.h"

#include <locale.h>

int main(int argc, char **argv)
{
	struct interrupt interrupt = { .fd = -1 };
	struct err err;

	if (signals_install(&interrupt, &err) < 0) {
		failure_print(stderr, &err, false);
		return 1;
	}
	setlocale(LC_CTYPE, ""); /* for the width of characters, nothing else */
	return cli_main(argc, argv, &interrupt, stdout, stderr);
}
