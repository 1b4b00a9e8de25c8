#pragma once
/* For the command line's tests: berth's main function within the test, and golden files. */
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct cli_output {
	int exit_code;
	char *out;
	char *errs;
};

/* cli_main() with the words (NULL ends them) after "berth". Release the result. */
struct cli_output cli_run(const char *word, ...) __attribute__((sentinel));
void cli_release(struct cli_output *output);

/* The same, asserting the exit code and that each stream holds the words ("" for any). */
void cli_expect(int exit_code, const char *out, const char *errs, const char *word, ...)
	__attribute__((sentinel));

/* Asserts that 'text' is the file's content; BERTH_UPDATE_GOLDEN=1 writes it instead. 'path' is
 * relative to the root of the tree, where tests are run. */
void cli_golden(const char *path, const char *text);

/* A fresh directory, and removing it with all that is in it. */
char *cli_temp_dir(void);
void cli_remove_dir(char *dir);

/* What 'print' writes on a pseudo-terminal whose TERM is 'term'. Caller frees. */
char *cli_on_terminal(const char *term, void (*print)(FILE *out, void *arg), void *arg);

/* Path of the berth built beside this test program. */
const char *cli_berth_binary(void);
/* Shuts all connections of a process to an agent; how many there were. */
unsigned cli_cut_connections(pid_t pid);

/* For programs whose connections are cut, until cli_leaks_count(): nng 1.5.2 forgets a message that it hands to a
 * connection in the moment it closes (its ipc_pipe_send() returns without a result then), and that is not ours
 * to free. Programs started meanwhile do not look for leaks at their end. */
void cli_leaks_do_not_count(void);
void cli_leaks_count(void);
