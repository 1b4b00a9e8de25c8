#pragma once
/*
 * For the end-to-end tests: real `berth`, real podman, a cluster of the test's own that is removed
 * whatever happens. Everything asserts by itself (cmocka), so that a test reads as a story.
 */
#include "shared/base/text.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct e2e_output {
	int exit_code;
	char *out;
	char *errs;
	int64_t millis;
};

/* Where the programs under test are: beside this test program's build folder, or $BERTH. */
const char *e2e_berth(void);

/* "e2e-<pid>-<what>": a cluster name nobody else has. Static storage per 'what'. */
const char *e2e_cluster_name(const char *what);

/* The node image under test: $BERTH_TEST_IMAGE, else the default one. */
const char *e2e_image(void);

/* The state directory of this run: a fresh one below /run, removed by e2e_clean(). */
const char *e2e_state_dir(void);

/* Runs `berth WORD...` with --state-dir (words end with NULL), at most 'timeout_s'. Caller releases. */
struct e2e_output e2e_run(int timeout_s, const char *word, ...) __attribute__((sentinel));
void e2e_release(struct e2e_output *output);

/* The same, asserting exit code 0 (both streams are printed otherwise). */
void e2e_ok(const char *word, ...) __attribute__((sentinel));
/* The same with "-o json" added; returns the parsed stdout, json_object_put() it. */
json_object *e2e_json(const char *word, ...) __attribute__((sentinel));

/* Runs any program; asserts that it ran. */
struct e2e_output e2e_program(int timeout_s, const char *word, ...) __attribute__((sentinel));
/* Trimmed stdout of a program that must succeed. Caller frees. */
char *e2e_stdout_of(const char *word, ...) __attribute__((sentinel));

/* Element of an array whose string field 'key' is 'value'; NULL when there is none. Borrowed. */
json_object *e2e_find(json_object *array, const char *key, const char *value);
/* Field by a path such as "agent.state"; "" when absent. Borrowed. */
const char *e2e_text(json_object *object, const char *path);

/* How many containers (any state) carry this cluster's label. */
int e2e_containers(const char *cluster);

/* Asserts that no container, network or volume of the cluster and no directory of a node is left. */
void e2e_assert_nothing_left(const char *cluster);

/* Deletes the cluster (asserting nothing) and the state directory; for teardown. */
void e2e_clean(const char *cluster);

/* Writes 'text' into a temporary file below the state directory and lends its path. */
const char *e2e_file(const char *name, const char *text);

/* Waits until 'check' says true, asking every 50 ms, at most 'timeout_ms'; asserts that it did. */
void e2e_eventually(bool (*check)(void *arg), void *arg, int timeout_ms);
