#pragma once
/*
 * For tests of the controller's rooms: scratch directories, the fake podman program, hosts as tables,
 * argvs as text.
 */
#include "controller/cluster/cluster.h"
#include "controller/provider/provider.h"

/* A fresh directory; control_scratch_remove() takes it and all in it away again, and frees it. */
char *control_scratch(void);
void control_scratch_remove(char *dir);

/* Writes dir/name; asserts. */
void control_write(const char *dir, const char *name, const char *text);
/* The text of dir/name, "" when there is none. Caller frees. */
char *control_read(const char *dir, const char *name);
bool control_exists(const char *dir, const char *name);

/* Puts tests/fake/podman first in PATH, its files in 'dir'; back with NULL. */
void control_fake_podman(const char *dir);

/* "a | b | c". Caller frees. */
char *control_argv(const struct strv *argv);
/* Asserts that the step's argv is exactly this text. */
void control_assert_argv(const struct step *step, const char *expected);
/* Ids of a plan's steps, each with "<-" and what it waits for, one a line. Caller frees. */
char *control_plan_text(const struct plan *plan);

/* This project's ordinary host, and the one of test-hosts.md. */
extern const struct host_facts control_plain_host;
extern const struct host_facts control_hybrid_host;

/* Ten seconds: long enough for anything that does not hang. */
struct deadline control_soon(void);
