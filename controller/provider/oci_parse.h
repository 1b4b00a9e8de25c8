#pragma once
/*
 * What the engines' JSON answers have in common. Pure; whatever the text is, the answer is data or an
 * error (ERR_DATA_LOSS, reason ENGINE_ANSWER_GARBLED).
 */
#include "controller/provider/oci_cli.h"

/* Members of a JSON object; NULL, "", 0 and false when absent or something else. Borrowed. */
struct json_object *oci_json_member(struct json_object *object, const char *key);
const char *oci_json_text(struct json_object *object, const char *key);
int64_t oci_json_number(struct json_object *object, const char *key);
bool oci_json_bool(struct json_object *object, const char *key);
/* 0 for anything but an array. */
size_t oci_json_count(struct json_object *array);

/* "cannot make sense of the engine's answer: WHAT". Returns -1. */
int oci_garbled(const char *what, struct err *err);

/* Ours is what carries both marks: another's cluster label alone makes no node (CN-143). */
bool oci_is_ours(struct json_object *labels);

/* A node from the labels of its container: name, cluster, role, index, addresses, run directory. Caller
 * frees. */
int oci_node_new(const char *provider, const char *name, struct json_object *labels,
		 struct node **ret_node, struct err *err);

/* From NetworkSettings.Networks: the first address of each family that the node lacks (CN-230). */
int oci_fill_addresses(struct node *node, struct json_object *networks, struct err *err);

/* Appends 'range' published ports in a row, "" as host is 0.0.0.0. 'protocol' is "tcp", "udp" or "sctp". */
int oci_add_node_ports(struct node *node, const char *host, int64_t host_port,
		       int64_t container_port, int64_t range, const char *protocol,
		       struct err *err);

/* A URL's host ("tcp://HOST:2376", "ssh://user@[HOST]:22/x") into 'ret', "" when it has none, as unix://
 * has (CN-232). True when it has one. */
bool oci_url_host(const char *url, char *ret, size_t size);
