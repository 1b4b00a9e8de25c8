#pragma once
/*
 * nng in and out: one REP socket a role on a private ipc listener of its own, contexts opened on
 * demand so that one is always free to receive (DESIGN.md D4, D4b). nng's callbacks only enqueue and ring an eventfd; all
 * else happens on the loop's thread: unpacking, duplicate look-up, dispatch, reply.
 */
#include "shared/base/err.h"
#include "shared/wire/methods.h"

#include <stddef.h>

struct agent;
struct server;

/* Listens on "<private_dir>/admin.sock" and "<private_dir>/read.sock" and serves agent->loop. The agent is borrowed and outlives
 * the server. */
int server_open(struct agent *agent, struct server **ret_server, struct err *err);

/* Answers what is running with ERR_UNAVAILABLE, drains briefly, closes. */
void server_close(struct server *server);

/* Path of the private listener of a role, for the gate: who comes in there has it. Borrowed. */
const char *server_private_path(const struct server *server, enum method_role role);

/* Connections of that role that nng holds; it frees one some time after its end. */
unsigned server_pipes(const struct server *server, enum method_role role);

/* Calls that have been read and not yet answered. */
size_t server_in_flight(const struct server *server);
