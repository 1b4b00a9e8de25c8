#pragma once
/*
 * The terminal berth runs on, handed over to a session: raw while it lasts, and as it was before whatever
 * way the process ends by itself.
 */
#include <stdbool.h>

/* Standard input and output are a terminal. */
bool terminal_is_here(void);
/* Rows and columns; false (and both untouched) when there is no terminal. */
bool terminal_size(unsigned *ret_rows, unsigned *ret_columns);
/* Every key goes to who reads, Ctrl-C too. Nothing when there is no terminal. */
void terminal_make_raw(void);
/* As it was before terminal_make_raw(). Safe to call again, also at any exit(). */
void terminal_restore(void);
