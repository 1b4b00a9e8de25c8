/*
 * A wanted pod as it lies on a node's disk, damaged in any way or made by somebody else: taken or set
 * aside, never half of it; and what was taken can be stored and is taken again. With the first byte's
 * lowest bit the rest is a payload that the frame is made around, for few would guess a checksum.
 */
#include "agent/pods/store.h"
#include "shared/base/crc32c.h"
#include "shared/base/log.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const char uid[] = "u1";

struct found {
	struct store *store;
	unsigned count;
	bool again;
};

static void add_number(struct text *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++, value >>= 8)
		text_add_bytes(to, &(uint8_t){ (uint8_t)value }, 1);
}

static void add_frame(struct text *to, const uint8_t *payload, size_t len)
{
	text_add(to, "BERTHPOD");
	add_number(to, 1);
	add_number(to, (uint32_t)len);
	add_number(to, crc32c(0, payload, len));
	if (len)
		text_add_bytes(to, payload, len);
}

/* store_found_fn */
static void on_found(void *arg, struct store_record *r)
{
	struct found *found = arg;
	struct err err;

	found->count++;
	PROMISE(strcmp(pod_uid(r->pod), uid) == 0 && pod_check(r->pod, &err) == 0);
	if (!found->again)
		PROMISE(store_put(found->store, r, &err) == 0);
	store_record_release(r);
}

static size_t load(struct found *found)
{
	size_t corrupt;
	struct err err;

	found->count = 0;
	PROMISE(store_load(found->store, on_found, found, &corrupt, &err) == 0);
	return corrupt;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct found found = { 0 };
	struct text file = { 0 };
	struct err err;

	if (len == 0)
		return 0;
	log_set_level(LOG_LEVEL_QUIET);
	if (bytes[0] & 1)
		add_frame(&file, bytes + 1, len - 1);
	else
		text_add_bytes(&file, bytes + 1, len - 1);
	fuzz_dir_write("pods/u1", text_str(&file), file.len);
	PROMISE(store_open(fuzz_dir(), &found.store, &err) == 0);
	PROMISE(load(&found) + found.count == 1);
	if (found.count == 1) {
		found.again = true;
		PROMISE(load(&found) == 0 && found.count == 1);
	}
	PROMISE(store_remove(found.store, uid, &err) == 0);
	store_close(found.store);
	text_release(&file);
	fuzz_dir_clear();
	return 0;
}
