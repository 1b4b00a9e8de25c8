#pragma once
/*
 * One journal record a call: METHOD, CALL_ID, CODE, DURATION_MS, so that `journalctl CALL_ID=...` on
 * the node shows the other half of an error on the host. Mutations and failures are recorded, reads
 * that succeed only at debug level: what is asked often stays cheap.
 *
 * Written by hand in journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL) rather than by
 * sd_journal_send(): that one blocks when journald hangs, and nothing on the loop may.
 */
#include "shared/base/err.h"

struct call;
struct recorder;

/* Records go to journald when it listens at 'journal_path' ("/run/systemd/journal/socket"), else to
 * stderr at debug level. */
int recorder_new(const char *journal_path, struct recorder **ret_recorder, struct err *err);
void recorder_free(struct recorder *recorder);

/* A record in the middle of a call: 'text' for people, METHOD and CALL_ID as in the call's own. */
void recorder_note(struct recorder *recorder, const struct call *call, const char *text);

/* 'err' NULL: the call went well. Never fails, never blocks: a record that journald does not take at
 * once is lost. */
void recorder_add(struct recorder *recorder, const struct call *call, const struct err *err);
