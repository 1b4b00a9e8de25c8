#include "shared/base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_level current = LOG_LEVEL_NORMAL;

void log_set_level(enum log_level level)
{
	current = level;
}

enum log_level log_get_level(void)
{
	return current;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	if (level > current)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s\n", line); /* one call: lines of several threads do not mix */
}
