#pragma once
/*
 * One run of one command: what was asked for, where results go, and the rooms below, each opened when
 * first needed, so that a command that only talks to an agent starts no engine.
 */
#include "controller/cli/command.h"
#include "controller/cluster/cluster.h"
#include "controller/provider/provider.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stdio.h>

struct progress_view;

struct invocation {
	const struct command *command;
	const struct options *opt;
	const struct strv *args;
	FILE *out;           /* results */
	FILE *errs;          /* everything else */
	const char *cluster; /* --name, or the NAME of a cluster command; NULL: nobody said */
	const struct interrupt *interrupt;
	struct deadline by;
	const char *provider_name; /* see invocation_use_provider(); NULL: as was said */
	int exit_code;             /* of the first failure told by invocation_fail() */

	/* Opened when needed; ask for them by the functions below. */
	char *state_dir;
	char *address; /* of the engine whose state that is; known with it */
	struct provider *provider;
	struct progress_view *view;
	struct progress progress;
};

/* 'line' is borrowed. */
void invocation_init(struct invocation *inv, const struct command_line *line,
		     const struct interrupt *interrupt, FILE *out, FILE *errs);
void invocation_release(struct invocation *inv);

enum output_format invocation_format(const struct invocation *inv);

/* What was said, else $BERTH_CLUSTER, else "berth". Borrowed. */
const char *invocation_cluster(const struct invocation *inv);
/* Whether somebody said which cluster. */
bool invocation_has_cluster(const struct invocation *inv);

/* The part of the state that is of the chosen provider's engine: --state-dir and the like, and below it where
 * the engine is on another machine (store_engine_dir()). Borrowed; NULL with err on allocation failure. */
const char *invocation_state_dir(struct invocation *inv, struct err *err);

/* --provider, else $BERTH_PROVIDER, else the first that is installed. Borrowed. No spawn. */
int invocation_provider(struct invocation *inv, struct provider **ret_provider, struct err *err);

/* Whether somebody said which. */
bool invocation_has_provider(const struct invocation *inv);
/* From here on everything goes to the provider 'name' (static storage): that one, and its part of the state. */
int invocation_use_provider(struct invocation *inv, const char *name, struct err *err);

/* All that an operation of the cluster room needs, for the cluster 'name'. Borrowed from 'inv'. */
int invocation_cluster_ctx(struct invocation *inv, const char *name, struct cluster_ctx *ret_ctx,
			   struct err *err);

/* --timeout, else the command's default but at least 'least_ms'. Sets inv->by. */
void invocation_set_deadline(struct invocation *inv, int64_t least_ms);

/* Tells a failure that does not end the command (one of several nodes). Not thread-safe. */
void invocation_fail(struct invocation *inv, const struct err *err);

/* A remark on stderr, unless --quiet. */
void invocation_note(const struct invocation *inv, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ERR_INVALID_ARGUMENT with reason USAGE: what was asked for makes no sense. Returns -1. */
int usage_error(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
