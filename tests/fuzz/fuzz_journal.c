/* The file that remembers calls, damaged in any way: what is told can be written and told again. */
#include "agent/server/journal.h"
#include "shared/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

struct told {
	struct text again;
	size_t count;
};

static void tell(void *arg, const struct journal_record *r)
{
	struct told *told = arg;

	PROMISE(r->reply_len <= JOURNAL_REPLY_MAX);
	PROMISE(r->reply || r->reply_len == 0);
	journal_put(&told->again, r);
	told->count++;
}

static void count(void *arg, const struct journal_record *r)
{
	(void)r;
	++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct told told = { 0 };
	size_t again = 0, damaged = journal_scan(bytes, len, tell, &told);

	PROMISE(damaged + told.again.len == len);
	PROMISE(journal_scan((const uint8_t *)told.again.data, told.again.len, count, &again) == 0);
	PROMISE(again == told.count);
	text_release(&told.again);
	return 0;
}
