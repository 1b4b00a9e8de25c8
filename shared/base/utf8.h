#pragma once
/*
 * UTF-8 as RFC 3629 has it: shortest forms, no surrogates. The wire takes nothing else
 * (security-faults.md I4), so text from outside is checked or cleaned here.
 */
#include <stddef.h>

/* Bytes of the character at 's', of which 'left' may be read; 0 when it is none. NUL is one. */
size_t utf8_length(const void *s, size_t left);

/* Copies as much of 'src' as fits, whole characters, into 'dst' ('size' bytes, at least 1). Control
 * characters become blanks, bytes that are no UTF-8 become '?'. Returns the length. 'dst' may be
 * 'src'. */
size_t utf8_copy(char *dst, size_t size, const char *src);
