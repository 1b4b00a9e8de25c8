#pragma once
/*
 * What agents have, as rows: for the lists of `get`, for `describe` and for the support bundle.
 */
#include "controller/cli/invocation.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"

#include <json-c/json.h>

/* What is asked for. Borrowed. */
struct rows_request {
	struct invocation *inv;
	const struct strv *names; /* only these; NULL or empty: all */
	const char *namespace;    /* of pods; NULL: all */
	bool sandboxes;
	bool details; /* of containers: what costs a call each */
};

/* Each is a node_fn for nodes_ask(), with a 'struct rows_request' as its argument; the fields are those
 * of cli.md section 3. */
int container_rows(struct node *node, void *request, struct json_object *rows, struct err *err);
int pod_rows(struct node *node, void *request, struct json_object *rows, struct err *err);
int unit_rows(struct node *node, void *request, struct json_object *rows, struct err *err);
int image_rows(struct node *node, void *request, struct json_object *rows, struct err *err);
int health_rows(struct node *node, void *request, struct json_object *rows, struct err *err);

/*
 * print_rows() for a list of `get`: when it is empty, and no node has failed, people are told so. With
 * 'must_exist', names (globs aside) of which nothing is there are ERR_NOT_FOUND. 'namespace': of pods, NULL for
 * all or none.
 */
int rows_print(struct invocation *inv, struct json_object *rows, const struct listing *listing,
	       const char *namespace, bool must_exist, struct err *err);

/* ERR_NOT_FOUND, reason "<NOUN>_NOT_FOUND": nothing is called what the command line says. Returns -1. */
int rows_not_found(const struct invocation *inv, const char *noun, const char *namespace,
		   struct err *err);
