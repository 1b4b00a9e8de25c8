#pragma once
/*
 * What the fake units have gone through, in a file: one line "VERB UNIT" a side effect, written with
 * O_APPEND before the answer, so that counting lines tells how often something was done.
 */

/* VERB is "start", "stop", "restart" or "kill". Borrowed. */
typedef void fake_log_each_fn(void *arg, const char *verb, const char *unit);

/* Opens 'path' (made when absent) and tells its lines in order. Returns the fd, -1 when that fails. */
int fake_log_open(const char *path, fake_log_each_fn *each, void *arg);
/* 'fd' -1: nothing. */
void fake_log_add(int fd, const char *verb, const char *unit);
