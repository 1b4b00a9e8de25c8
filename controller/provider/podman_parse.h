#pragma once
/*
 * podman's JSON answers into our own data. Pure; whatever the text is, the answer is data or an
 * error (ERR_DATA_LOSS, reason ENGINE_ANSWER_GARBLED).
 */
#include "controller/provider/provider.h"

/* `podman ps --all --format=json`: ours of 'cluster' (NULL: of any) into 'list', names of all that are
 * not ours into 'foreign'. */
int podman_parse_nodes(const char *text, size_t len, const char *cluster, struct node_list *list,
		       struct strv *foreign, struct err *err);

/* `podman network ls --format=json`, podman 4's and later (CN-059). */
int podman_parse_networks(const char *text, size_t len, struct network_list *list, struct err *err);

/* `podman info --format=json` (CN-238). Whether swap and CPU time can be limited on this host is for the
 * host's facts to say. */
int podman_parse_info(const char *text, size_t len, struct engine_info *ret, struct err *err);

/* `podman inspect --type=container NAME...`: fills in the addresses that the nodes of 'list' lack
 * (CN-230). */
int podman_parse_addresses(const char *text, size_t len, struct node_list *list, struct err *err);

/* `podman system connection list --format=json`: the URL of the connection 'name', of the default one
 * when it is "". "" when there is none. */
int podman_parse_connection(const char *text, size_t len, const char *name, char *ret_url,
			    size_t size, struct err *err);
