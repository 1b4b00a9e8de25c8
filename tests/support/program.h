#pragma once
/* Programs and processes, for tests of every room. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The path of a program that was built beside this test, such as "berthd". */
void program_beside(const char *name, char *ret, size_t size);

/* Whether it runs: not when it is gone, nor when only its parent's wait() is missing. */
bool process_is_alive(pid_t pid);
