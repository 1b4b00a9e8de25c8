#pragma once
/*
 * Calls on disk, for the one case that memory cannot answer: the agent was killed, and its caller asks
 * again (DESIGN.md D4b, F1, F20). A file of records that is only appended to, and rewritten as a whole
 * when it has grown:
 *
 *	"BCJ1"  length u32  CRC-32C of length and body u32  body: id[16] digest u64 at u64 kind u8 [reply]
 *
 * in little-endian order; 'length' is the body's. A record is whole or it is not there: what a torn write
 * or a bad disk has left is stepped over to the next good one. Records are written without fsync(2): what
 * write(2) has taken survives the process, and a machine that loses power forgets its callers as well.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal;

/* Longer replies are not kept: then it is known that the call began, and no more. */
#define JOURNAL_REPLY_MAX (64 * 1024)

struct journal_record {
	uint8_t id[WIRE_CALL_ID_BYTES];
	uint64_t digest;
	int64_t at_ms;        /* monotonic; of another boot it says nothing */
	const uint8_t *reply; /* NULL: the call began. Borrowed */
	size_t reply_len;
};

/* Borrowed while it runs. */
typedef void journal_each_fn(void *arg, const struct journal_record *r);

/* Adds the bytes of a record to 't'. */
void journal_put(struct text *t, const struct journal_record *r);

/* Tells every good record in order; returns how many bytes belonged to none. Pure. */
size_t journal_scan(const uint8_t *bytes, size_t len, journal_each_fn *each, void *arg);

/* Opens 'path' (mode 0600, made when absent) and tells what is in it. Bytes that are no record are counted
 * in '*ret_damaged'. ERR_FAILED_PRECONDITION when it cannot be opened or read. */
int journal_open(const char *path, journal_each_fn *each, void *arg, struct journal **ret_journal,
		 size_t *ret_damaged, struct err *err);
/* NULL is fine. */
void journal_close(struct journal *journal);

/* Appends in one small write to the page cache. ERR_RESOURCE_EXHAUSTED when the disk does not take it;
 * then the file is as it was. */
int journal_add(struct journal *journal, const struct journal_record *r, struct err *err);

/* Whether the file has grown so much that it should be rewritten. */
bool journal_is_long(const struct journal *journal);

/* Puts 'records', made with journal_put(), in the place of all that is in it: a new file, renamed over the
 * old one. After a failure the old one goes on, and journal_is_long() waits until it has grown again. */
int journal_rewrite(struct journal *journal, const struct text *records, struct err *err);
