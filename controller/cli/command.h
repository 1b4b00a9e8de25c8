#pragma once
/*
 * The commands of berth, as data: usage, help and completion all come from this table.
 *
 * To add a command:
 *   1. write controller/cli/cmd_<noun>_<verb>.c, ending in one exported 'const struct command'; it
 *      checks what it was given, asks the rooms below, builds JSON and hands that to print.h;
 *   2. declare it below and add its row to command_table.c;
 *   3. for a flag nobody has yet, add a field to struct options and a row to the command's array;
 *   4. run build/tests/unit/controller/cli/test_help with BERTH_UPDATE_GOLDEN=1, read the diff of
 *      the golden help and of docs/commands.md, commit both.
 */
#include "controller/cli/options.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stddef.h>
#include <stdint.h>

struct invocation;

enum command_flags {
	/* May change the engine: an interrupt lets it wind up, the plan is undone. */
	CMD_PLANS = 1 << 0,
	/* Not listed by help: another spelling of a command that is. */
	CMD_HIDDEN = 1 << 1,
};

/* Bits of command.outputs. */
#define OUTPUTS_LIST                                                                      \
	(1U << OUTPUT_TABLE | 1U << OUTPUT_WIDE | 1U << OUTPUT_JSON | 1U << OUTPUT_YAML | \
	 1U << OUTPUT_NAME)
#define OUTPUTS_RESULT \
	(1U << OUTPUT_TABLE | 1U << OUTPUT_JSON | 1U << OUTPUT_YAML | 1U << OUTPUT_NAME)
#define OUTPUTS_DATA (1U << OUTPUT_TABLE | 1U << OUTPUT_JSON | 1U << OUTPUT_YAML)

struct command {
	const char *name;    /* "get nodes": verb, and noun if it has one */
	const char *args;    /* "[NAME...]"; "" for none */
	const char *summary; /* one line, no full stop */
	const char *details; /* more lines for its help; may be NULL */
	const char *example; /* one line; may be NULL */
	int min_args;
	int max_args; /* -1: any number */
	unsigned flags;
	unsigned outputs;
	int64_t timeout_ms;                /* default of --timeout; 0: it does not wait */
	const struct option_spec *options; /* ends with an empty row; NULL: only the global ones */

	/* 0, also when single nodes failed and invocation_fail() has told so. */
	int (*run)(struct invocation *inv, struct err *err);
};

/* In the order of help. Ends with NULL. */
extern const struct command *const command_table[];

/* "nodes", "node" → "node"; "po" → "pod". NULL for what is no noun. Static. */
const char *noun_singular(const char *word);

/* The first word of a command's name is 'verb' (len bytes)? */
bool command_has_verb(const struct command *command, const char *verb);
/* Its noun in the singular, NULL when it has none. */
const char *command_noun(const struct command *command);
/* The command of that verb and noun (NULL: none), or NULL. */
const struct command *command_find(const char *verb, const char *noun);

/* What one command line says. Strings are borrowed from argv. */
struct command_line {
	const struct command
		*command; /* NULL: berth without a command, or only a verb with --help */
	const char *verb; /* NULL when there is none */
	struct strv args;
	struct options options;
};

/*
 * Finds the command and parses its flags, which may stand anywhere; "--" ends them. With --help only
 * the command is looked for. 'ret_line' is filled as far as it goes, also on failure, so that
 * '--output json' holds for the error; release it always. ERR_INVALID_ARGUMENT reasons:
 * UNKNOWN_COMMAND, UNKNOWN_FLAG, BAD_VALUE, USAGE.
 */
int command_line_parse(int argc, char **argv, struct command_line *ret_line, struct err *err);
void command_line_release(struct command_line *line);

extern const struct command cmd_cluster_create;
extern const struct command cmd_node_create;
extern const struct command cmd_cluster_delete;
extern const struct command cmd_node_delete;
extern const struct command cmd_pod_delete;
extern const struct command cmd_file_delete;
extern const struct command cmd_container_delete;
extern const struct command cmd_cluster_start;
extern const struct command cmd_cluster_stop;
extern const struct command cmd_cluster_restart;
extern const struct command cmd_cluster_kill;
extern const struct command cmd_node_start;
extern const struct command cmd_node_stop;
extern const struct command cmd_node_restart;
extern const struct command cmd_node_kill;
extern const struct command cmd_unit_start;
extern const struct command cmd_unit_stop;
extern const struct command cmd_unit_restart;
extern const struct command cmd_unit_kill;
extern const struct command cmd_container_stop;
extern const struct command cmd_container_kill;
extern const struct command cmd_cluster_get;
extern const struct command cmd_node_get;
extern const struct command cmd_container_get;
extern const struct command cmd_pod_get;
extern const struct command cmd_unit_get;
extern const struct command cmd_cert_get;
extern const struct command cmd_cert_renew;
extern const struct command cmd_status;
extern const struct command cmd_health;
extern const struct command cmd_quiesce;
extern const struct command cmd_exec;
extern const struct command cmd_attach;
extern const struct command cmd_apply;
extern const struct command cmd_pod_plan;
extern const struct command cmd_cp;
extern const struct command cmd_port_forward;
extern const struct command cmd_image_get;
extern const struct command cmd_image_load;
extern const struct command cmd_archive_load;
extern const struct command cmd_image_build;
extern const struct command cmd_doctor;
extern const struct command cmd_version;
extern const struct command cmd_help;
