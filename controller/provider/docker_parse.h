#pragma once
/*
 * docker's answers into our own data. Pure; whatever the text is, the answer is data or an error
 * (ERR_DATA_LOSS, reason ENGINE_ANSWER_GARBLED).
 */
#include "controller/provider/provider.h"

/* `docker ps --no-trunc --format={{json .}}`, one object a line: ids of all that say they are ours, names
 * of the others. */
int docker_parse_list(const char *text, struct strv *ids, struct strv *foreign, struct err *err);

/* `docker inspect ID...`: ours of 'cluster' (NULL: of any) into 'list', names of all that are not ours
 * into 'foreign'. */
int docker_parse_nodes(const char *text, size_t len, const char *cluster, struct node_list *list,
		       struct strv *foreign, struct err *err);

/* One id a line. */
void docker_parse_ids(const char *text, struct strv *ids);

/* `docker network inspect ID...`. */
int docker_parse_networks(const char *text, size_t len, struct network_list *list, struct err *err);

/* Of the same, the id of the one called 'name' that is to be kept: what is not ours, else that with the
 * most containers, of those the one with the lowest id (CN-071). "" when none is left. 'ret_count' is how
 * many there are. Caller frees '*ret_keep'. */
int docker_parse_twins(const char *text, size_t len, const char *name, char **ret_keep,
		       size_t *ret_count, struct err *err);

/* `docker info --format={{json .}}` and the context that it went by (CN-238). ERR_UNAVAILABLE and the like
 * for the errors that it tells inside its answer. */
int docker_parse_info(const char *text, size_t len, struct engine_info *ret, char *ret_context,
		      size_t context_size, struct err *err);

/* `docker context inspect NAME`: the URL of its engine, "" when it has none. */
int docker_parse_context(const char *text, size_t len, char *ret_url, size_t size, struct err *err);
