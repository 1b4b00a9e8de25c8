#pragma once
/*
 * Text from outside for the wire, which takes valid UTF-8 only (security-faults.md I4).
 */
#include <stddef.h>

/* Copies as much of 'src' as fits, whole characters, into 'dst' ('size' bytes, at least 1). Control
 * characters become blanks, bytes that are no UTF-8 become '?'. Returns the length. */
size_t utf8_copy(char *dst, size_t size, const char *src);
