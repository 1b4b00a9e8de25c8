#pragma once
/*
 * A node for the command line's tests: a real agent with fake backends, known to a state directory of
 * the test's own as "loop-w1" of cluster "loop", and a PATH without any engine.
 */
#include "tests/support/agent_process.h"
#include "tests/support/cli.h"

#include <json-c/json.h>

struct cli_rig {
	struct agent_process agent;
	char *dir;
	char *path; /* PATH as it was */
	char run_dir[96];
	char state[64];
	char fake[64];
};

/* cmocka's: '*state' becomes the rig. */
int cli_rig_setup(void **state);
int cli_rig_teardown(void **state);

/* What `create` leaves behind for a node whose agent serves in 'run_dir'. */
void cli_rig_remember(const struct cli_rig *rig, const char *name, const char *run_dir);
/* What the fake engine says about a node: 'state' is "running" or "stopped". */
void cli_rig_engine_has(const struct cli_rig *rig, const char *name, const char *run_dir,
			const char *state);
/* Makes a file in the fake runtime's directory: "down", say. */
void cli_rig_touch(const struct cli_rig *rig, const char *name);

/* The JSON array that a successful command printed; releases 'output'. Caller puts it. */
struct json_object *cli_rows(struct cli_output output);
/* The row whose field 'key' is 'value'; fails the test when there is none. Borrowed. */
struct json_object *cli_find(struct json_object *rows, const char *key, const char *value);
const char *cli_text(struct json_object *row, const char *key);
