#include "tests/support/cli_rig.h"

#include "controller/cluster/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What `create` leaves behind for a node whose agent serves in 'run_dir'. */
void cli_rig_remember(const struct cli_rig *rig, const char *name, const char *run_dir)
{
	struct node *node = node_new(name, "loop", NODE_WORKER, "fake", run_dir);
	struct err err;

	assert_non_null(node);
	assert_int_equal(store_node_save(rig->state, node, &err), 0);
	node_free(node);
}

/* What the engine says about a node. */
void cli_rig_engine_has(const struct cli_rig *rig, const char *name, const char *run_dir,
			const char *state)
{
	char path[160];
	FILE *file;

	mkdir(rig->fake, 0700);
	snprintf(path, sizeof(path), "%s/%s.node", rig->fake, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"cluster=loop\nrole=worker\nindex=1\nimage=i\nip=10.0.0.2\nrun-dir=%s\n"
		"state=%s\n",
		run_dir, state);
	assert_int_equal(fclose(file), 0);
}

int cli_rig_setup(void **state)
{
	struct cli_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	agent_process_start(&rig->agent);
	rig->dir = cli_temp_dir();
	snprintf(rig->state, sizeof(rig->state), "%s/state", rig->dir);
	snprintf(rig->fake, sizeof(rig->fake), "%s/fake", rig->dir);
	setenv("BERTH_STATE_DIR", rig->state, 1);
	setenv("BERTH_FAKE_DIR", rig->fake, 1);
	rig->path = strdup(getenv("PATH"));
	setenv("PATH", "/nowhere", 1);
	unsetenv("BERTH_PROVIDER");
	unsetenv("BERTH_CLUSTER");
	snprintf(rig->run_dir, sizeof(rig->run_dir), "%s/run", rig->agent.dir);
	cli_rig_remember(rig, "loop-w1", rig->run_dir);
	*state = rig;
	return 0;
}

int cli_rig_teardown(void **state)
{
	struct cli_rig *rig = *state;

	agent_process_discard(&rig->agent);
	cli_remove_dir(rig->dir);
	setenv("PATH", rig->path, 1);
	free(rig->path);
	free(rig);
	return 0;
}

struct json_object *cli_rows(struct cli_output output)
{
	struct json_object *rows = json_tokener_parse(output.out);

	if (output.exit_code != 0 || !json_object_is_type(rows, json_type_array))
		fail_msg("exit %d, stdout: %s, stderr: %s", output.exit_code, output.out,
			 output.errs);
	cli_release(&output);
	return rows;
}

struct json_object *cli_find(struct json_object *rows, const char *key, const char *value)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (strcmp(json_object_get_string(json_object_object_get(row, key)), value) == 0)
			return row;
	}
	fail_msg("no row with %s=%s in %s", key, value, json_object_to_json_string(rows));
	return NULL;
}

const char *cli_text(struct json_object *row, const char *key)
{
	return json_object_get_string(json_object_object_get(row, key));
}

void cli_rig_touch(const struct cli_rig *rig, const char *name)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", rig->agent.runtime_dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}
