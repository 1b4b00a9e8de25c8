#pragma once
/*
 * The wanted pods on disk: one file a pod, <state_dir>/pods/<uid>. A file is replaced whole (temporary
 * name, fsync, rename, fsync of the directory), so that a kill at any instant leaves the old or the
 * new one. A file that does not check is moved aside to <uid>.corrupt, told about, and never fatal.
 *
 * File: "BERTHPOD", format (u32), payload length (u32), CRC-32C of the payload (u32), payload; all
 * little-endian. Payload: created_ns (i64), grace_s (i64), deleted (u8), number of restart ids (u32),
 * each id (u32 length, bytes), then the packed Pod up to the end.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/pod/pod.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

struct store_record {
	K8s__Core__V1__Pod *pod; /* with its uid; owned */
	int64_t created_ns;      /* wall clock: when it became wanted */
	bool deleted;            /* unwanted, its remains are being removed */
	int64_t grace_s;         /* of the deletion; -1: the pod's own */
	struct strv restart;     /* instances killed in order to be started again (plan.h) */
};

void store_record_release(struct store_record *r);

/* Makes the directory (0700) when absent. Caller closes with store_close(). */
int store_open(const char *state_dir, struct store **ret_store, struct err *err);
void store_close(struct store *store);

DEFINE_CLEANUP(store, struct store *, store_close)

/* On disk when it returns 0. */
int store_put(struct store *store, const struct store_record *r, struct err *err);
/* Absent is success. */
int store_remove(struct store *store, const char *uid, struct err *err);

/* Takes over the record's content. */
typedef void store_found_fn(void *arg, struct store_record *r);

/* Calls 'found' for every good file, in order of their names. '*ret_corrupt' counts those that were
 * moved aside. Left-over temporary files are removed. */
int store_load(struct store *store, store_found_fn *found, void *arg, size_t *ret_corrupt,
	       struct err *err);
