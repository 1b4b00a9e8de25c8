#pragma once
/*
 * Text for a terminal. What comes from nodes is not trusted: it may not move the cursor, change
 * colours or reorder a line (security-faults.md I19).
 */
#include "shared/base/text.h"

#include <stddef.h>
#include <stdint.h>

/* Appends 's' with everything that is not printable written as \n, \t, \xNN or \u{N}: controls (C0,
 * C1, DEL), bidirectional and zero-width formatting, and bytes that are no UTF-8. */
void cell_escape(struct text *text, const char *s);

/* Columns that escaped text takes on a terminal. */
size_t cell_width(const char *s);

/* "12s", "5m", "3h", "2d": how long ago, as kubectl says it; "" when 'then_ns' is 0. */
void cell_age(int64_t then_ns, int64_t now_ns, char *ret, size_t size);

/* 1.2s, 350ms, 2m5s. */
void cell_millis(int64_t millis, char *ret, size_t size);
