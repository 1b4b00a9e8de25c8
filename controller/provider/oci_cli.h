#pragma once
/*
 * What podman and docker share: words of the command line, the meaning of their complaints, the
 * labels that are our database (DESIGN.md section 1).
 */
#include "controller/provider/provider_impl.h"

#include <json-c/json.h>

#define OCI_LABEL_CLUSTER    "io.berth.cluster"
#define OCI_LABEL_NODE       "io.berth.node"
#define OCI_LABEL_ROLE       "io.berth.role"
#define OCI_LABEL_INDEX      "io.berth.index"
#define OCI_LABEL_IP         "io.berth.ip"
#define OCI_LABEL_RUN_DIR    "io.berth.run-dir"
#define OCI_LABEL_CREATED_BY "io.berth.created-by"
#define OCI_LABEL_VERSION    "io.berth.version"
#define OCI_CREATED_BY       "berth"
/* A Kubernetes label of the node, KEY appended. */
#define OCI_LABEL_OF_NODE "io.berth.node-label/"

/* Runs the engine. A non-zero exit becomes oci_error()'s; a missing program ERR_UNAVAILABLE; no
 * answer in time ERR_DEADLINE_EXCEEDED, reason ENGINE_HUNG. 'ret_result' may be NULL. */
int oci_run(struct provider *p, const struct strv *argv, struct deadline by,
	    struct exec_result *ret_result, struct err *err);

/* The same for commands that print JSON: the parsed answer, caller puts it with json_object_put().
 * ERR_DATA_LOSS, reason ENGINE_ANSWER_GARBLED, for anything but one JSON value of the given type. */
int oci_run_json(struct provider *p, const struct strv *argv, enum json_type type,
		 struct deadline by, struct json_object **ret_json, struct err *err);

/* Pure. Strict: one value of that type, at most 16 MiB, 64 deep, nothing behind it. */
int oci_json_parse(const char *text, size_t len, enum json_type type, struct json_object **ret_json,
		   struct err *err);

/* Pure: the engine's complaint (its stderr) as code, reason, sentence and advice (CN-057, CN-098,
 * CN-240, CN-241). Returns -1. */
int oci_error(const char *program, const char *complaint, int exit_code, struct err *err);

/* Words of a create. Pure; failures are remembered by 'argv'. */
void oci_add_labels(struct strv *argv, const struct node_spec *spec);
/* CN-024: container=ENGINE, BERTH_CLUSTER, BERTH_NODE and the spec's own, sorted by key. */
void oci_add_env(struct strv *argv, const char *engine, const struct node_spec *spec);
/* CN-091, CN-093 to CN-095. 'any_port' stands for a port of the engine's choice. */
void oci_add_ports(struct strv *argv, const char *any_port, const struct node_spec *spec);
/* CN-100. */
void oci_add_mounts(struct strv *argv, const struct node_spec *spec);

/* Pure: the last 'lines' non-empty lines of a console, without escape sequences and control
 * characters (CN-251). Caller frees; NULL on allocation failure. */
char *oci_console_tail(const char *console, unsigned lines);

/* The slot 'dump' of both. */
int oci_dump(struct provider *p, enum provider_dump what, const char *name, struct deadline by,
	     struct text *ret, struct err *err);

/* CN-220. */
enum node_state oci_state(const char *word);
const char *oci_protocol_name(enum port_protocol protocol); /* "tcp" */

/* A string member of a JSON object, "" when it is absent or something else. Borrowed. */
const char *oci_json_text(struct json_object *object, const char *key);
