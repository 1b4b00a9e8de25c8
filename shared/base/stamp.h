#pragma once
/*
 * RFC 3339 times as log lines carry them, fast: no locale, no time zone file.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "2026-01-31T12:00:00.123456789Z" and its end. */
#define STAMP_BYTES 31

/* The time that 's' ('len' bytes) begins with: seconds, an optional fraction, 'Z' or an offset. Nanoseconds
 * since the epoch and how many bytes it took (may be NULL); false leaves both alone, also for a time that
 * 64 bits do not hold: before 1677 or after 2262. */
bool stamp_parse(const char *s, size_t len, int64_t *ret_ns, size_t *ret_used);

/* In UTC, always with nine digits. Returns STAMP_BYTES - 1. Years 0 to 9999. */
size_t stamp_format(int64_t ns, char ret[STAMP_BYTES]);
