#pragma once
/* What every fuzz target is: libFuzzer calls it with bytes, again and again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A promise that does not hold ends the run like a crash. */
#define PROMISE(what)            \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)
