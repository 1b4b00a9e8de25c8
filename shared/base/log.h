#pragma once
/*
 * Chatter for those who ask for it (-v), on stderr. A function either logs or returns an error,
 * never both: only controller/main.c and agent/server speak above debug.
 */

enum log_level {
	LOG_LEVEL_QUIET = -1,
	LOG_LEVEL_NORMAL = 0,
	LOG_LEVEL_DEBUG = 1, /* -v: what is done */
	LOG_LEVEL_TRACE = 2, /* -vv: every engine argv, too */
};

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* One line on stderr, newline added, when the level reaches it. Safe from any thread. */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_note(...)  log_at(LOG_LEVEL_NORMAL, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...) log_at(LOG_LEVEL_TRACE, __VA_ARGS__)
