#pragma once
/*
 * Text from people and programs into values, strictly: the whole string counts, ranges are checked,
 * nothing is guessed. No locale, no clock.
 */
#include <stdbool.h>
#include <stdint.h>

/* Decimal, optional '-', within [min, max]. False leaves '*ret' alone. */
bool parse_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* Go's time.ParseDuration: "90s", "1m30s", "1.5h", "300ms", "0". Milliseconds, rounded up, at least
 * 0. False on anything else. */
bool parse_duration_ms(const char *s, int64_t *ret_ms);

/* kind's cluster names: ^[a-z0-9.-]+$ and, unlike kind, first and last not '.' or '-'
 * (security-faults.md I7: a leading dash is an option to some programs). At most 'max' bytes. */
bool name_is_valid(const char *s, unsigned max);

/* A DNS-1123 label: [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most 63 bytes. */
bool name_is_label(const char *s);

/* A DNS-1123 subdomain: labels joined by '.', at most 253 bytes. */
bool name_is_subdomain(const char *s);

/* fnmatch(3)-like '*' and '?' globbing, nothing else. */
bool name_matches(const char *glob, const char *name);

/* RFC 3339 with 'Z', as nanoseconds of the wall clock; 0 for anything else, also for a year that 64 bits do
 * not hold, such as the engines' 0001 for "never". */
int64_t time_parse_ns(const char *s);
