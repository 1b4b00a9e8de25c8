#pragma once
/*
 * What podman and docker share: how they are run, the meaning of their complaints, the labels that are
 * our database (DESIGN.md section 1). The words of their command lines are in oci_create.h and oci_plan.h.
 */
#include "controller/provider/provider_impl.h"

#include <json-c/json.h>

#define OCI_LABEL_CLUSTER    "io.berth.cluster"
#define OCI_LABEL_NODE       "io.berth.node"
#define OCI_LABEL_ROLE       "io.berth.role"
#define OCI_LABEL_INDEX      "io.berth.index"
#define OCI_LABEL_IP         "io.berth.ip"
#define OCI_LABEL_IP6        "io.berth.ip6"
#define OCI_LABEL_RUN_DIR    "io.berth.run-dir"
#define OCI_LABEL_CREATED_BY "io.berth.created-by"
#define OCI_LABEL_VERSION    "io.berth.version"
#define OCI_CREATED_BY       "berth"
/* A Kubernetes label of the node, KEY appended. */
#define OCI_LABEL_OF_NODE "io.berth.node-label/"

/* Where the engines' command lines differ. */
struct oci_flavour {
	const char *any_port; /* stands for a host port of the engine's choice (CN-094) */
	const char *
		var_volume; /* the word that puts a volume on /var: filled from the image, gone with
				  * its container, and never somebody's old one (CN-038) */
	const char *mtu_option; /* of a bridge: "mtu" */
	const char *all_gpus;   /* the word for every GPU of NVIDIA's (CN-019) */
	const char *stop_time;  /* what stands before stop's seconds */
	const char *
		writable_cgroups; /* of v2, for who is not privileged; NULL: it has no word for it */
	bool digest_without_tag;  /* see oci_image_name() */
	bool image_check_is_silent; /* its "no" has no words, only an exit code */

	const char *const *image_check; /* the words before the image */
	const char *const *remove;      /* the words before a node: by force, with its volumes */

	/* "PROGRAM [global options] VERB", for verbs that start something. */
	void (*add_engine)(const struct provider *p, struct strv *argv, const char *verb);
	/* The words of a create that only this engine needs. */
	void (*add_own)(const struct provider *p, struct strv *argv);
};

/* A provider that is one of these programs. */
struct oci_provider {
	struct provider base;
	const struct oci_flavour *flavour;
};

const struct oci_flavour *oci_flavour(const struct provider *p);

/* A directory of this host can be the node's, sockets and all. Elsewhere engines run in a machine of their
 * own. */
#ifdef __linux__
#define OCI_SHARES_KERNEL true
#else
#define OCI_SHARES_KERNEL false
#endif

/* For 'open' and 'close' of the ops. */
int oci_open(const struct provider_ops *ops, const struct oci_flavour *flavour,
	     const struct host_facts *facts, struct provider **ret_provider, struct err *err);
void oci_close(struct provider *p);

/* Runs the engine. A non-zero exit becomes oci_error()'s; a missing program ERR_UNAVAILABLE; no
 * answer in time ERR_DEADLINE_EXCEEDED, reason ENGINE_HUNG. 'ret_result' may be NULL. */
int oci_run(struct provider *p, const struct strv *argv, struct deadline by,
	    struct exec_result *ret_result, struct err *err);

/* The same, with 'env' in the engine's environment (struct exec_options); it may be NULL. */
int oci_run_with(struct provider *p, const struct strv *argv, const struct strv *env,
		 struct deadline by, struct exec_result *ret_result, struct err *err);

/* 'by', at most 19 s from now (CN-172): for what answers at once or not at all. */
struct deadline oci_ask_deadline(struct deadline by);

/* The same as oci_run() for questions: bounded by 19 s (CN-172), and asked again, at most 5 times in all, when what was
 * to be listed went away meanwhile ("no such ..."). */
int oci_ask(struct provider *p, const struct strv *argv, struct deadline by,
	    struct exec_result *ret_result, struct err *err);

/* Waits 'ms', or until 'by'. False when it was interrupted. */
bool oci_wait(struct provider *p, int64_t ms, struct deadline by);

/* Pure. Strict: one value of that type, at most 16 MiB, 64 deep, nothing behind it; else ERR_DATA_LOSS,
 * reason ENGINE_ANSWER_GARBLED. Caller puts it with json_object_put(). */
int oci_json_parse(const char *text, size_t len, enum json_type type, struct json_object **ret_json,
		   struct err *err);

/* Pure: the engine's complaint (its stderr) as code, reason, sentence and advice (CN-057, CN-098,
 * CN-240, CN-241). Returns -1. */
int oci_error(const char *program, const char *complaint, int exit_code, struct err *err);

/* The engine's exec of `berthd relay`. Pure; failures are remembered by 'argv'. */
void oci_relay_argv(const char *program, const char *node, struct strv *argv);

/* Pure: the last 'lines' non-empty lines of a console, without escape sequences and control
 * characters (CN-251). Caller frees; NULL on allocation failure. */
char *oci_console_tail(const char *console, unsigned lines);

/* See provider_dump(); an op. */
int oci_dump(struct provider *p, enum provider_dump what, const char *name, struct deadline by,
	     struct text *ret, struct err *err);

/* See provider_console_tail(); an op. */
char *oci_console(struct provider *p, const char *node, struct deadline by);

/* See provider_console_wait(); an op. */
void oci_console_wait(struct provider *p, const char *node, struct deadline by);

/* The image as the engine wants it named (CN-005). Caller frees; NULL on allocation failure. */
char *oci_image_name(const struct provider *p, const char *image);

/* CN-220. */
enum node_state oci_state(const char *word);
const char *oci_protocol_name(enum port_protocol protocol); /* "tcp" */

/* Appends a NULL-terminated list. */
void oci_add_words(struct strv *argv, const char *const *words);
#define OCI_WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
