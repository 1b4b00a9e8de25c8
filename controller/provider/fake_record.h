#pragma once
/*
 * What the fake provider knows: a file NAME.KIND of "key=value" lines for each node and network, in the
 * directory that $BERTH_FAKE_DIR names.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/pod/request.h"

/* NULL when the variable is unset or empty. */
const char *fake_dir(void);

/* False when there is no such file. Caller releases. */
bool fake_record_read(const char *name, const char *kind, struct kv_list *ret);
/* Borrowed, "" when the key is not there. */
const char *fake_record_value(const struct kv_list *record, const char *key);

/* Writes the "--key=value" words of an argv, and the state. 'mode' is fopen's: "wxe" refuses an existing
 * one, as an engine refuses a name (ERR_ALREADY_EXISTS, NETWORK_EXISTS or NAME_IN_USE). */
int fake_record_write(const char *name, const char *kind, const char *mode, const struct strv *argv,
		      const char *state, struct err *err);
/* ERR_NOT_FOUND, reason NODE_NOT_FOUND, when there is no such node. */
int fake_record_set_state(const char *name, const char *state, struct err *err);
/* Absent is success. */
int fake_record_remove(const char *name, const char *kind, struct err *err);

/* Calls 'fn' with the name of every record of a kind, until one fails. */
int fake_record_each(const char *kind, int (*fn)(const char *name, void *arg, struct err *err),
		     void *arg, struct err *err);
