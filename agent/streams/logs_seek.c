#include "agent/streams/logs_seek.h"

#include "shared/base/stamp.h"

#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)32 * 1024)

/* --- the last lines ------------------------------------------------------------------------------------ */

void tail_scan_init(struct tail_scan *scan, int fd, int64_t floor, int64_t size, int64_t lines)
{
	*scan = (struct tail_scan){
		.fd = fd, .floor = floor, .size = size, .at = size, .left = lines
	};
}

/* Looks through what lies before 'at'. True: enough was found. */
static bool scan_block(struct tail_scan *scan, const char *block, size_t len, int64_t block_at,
		       int64_t *ret_offset)
{
	const char *newline;
	size_t end = len;

	/* The end of the last line begins none. */
	if (block_at + (int64_t)len == scan->size && len && block[len - 1] == '\n')
		end--;
	while ((newline = memrchr(block, '\n', end))) {
		end = (size_t)(newline - block);
		if (--scan->left == 0) {
			*ret_offset = block_at + (int64_t)end + 1;
			return true;
		}
	}
	return false;
}

bool tail_scan_step(struct tail_scan *scan, int64_t *ret_offset)
{
	char block[BLOCK_BYTES];

	for (size_t done = 0; done < SEEK_STEP_BYTES && scan->at > scan->floor;
	     done += BLOCK_BYTES) {
		int64_t from = scan->at - (int64_t)BLOCK_BYTES;
		ssize_t len;

		if (from < scan->floor)
			from = scan->floor;
		len = pread(scan->fd, block, (size_t)(scan->at - from), from);
		if (len != scan->at - from)
			scan->at = scan->size = scan->floor; /* it shrank: nothing to begin with */
		else if (scan_block(scan, block, (size_t)len, from, ret_offset))
			return true;
		else
			scan->at = from;
	}
	if (scan->at > scan->floor)
		return false;
	if (scan->size > scan->floor)
		scan->left--; /* its first line has none before it */
	*ret_offset = scan->floor;
	return true;
}

/* --- since a time -------------------------------------------------------------------------------------- */

/* The first line in [from, to), seen through one block, whose time is 'min_ns' or later. False: '*ret_at'
 * is where to look on. A line counts when the byte before it is in the block too, or it is the first. */
static bool find_stamp(int fd, int64_t from, int64_t to, int64_t min_ns, int64_t *ret_at,
		       int64_t *ret_ns)
{
	char block[BLOCK_BYTES];
	ssize_t len = pread(fd, block, sizeof(block), from);
	const char *at = block, *end = block + (len > 0 ? len : 0);
	const char *newline = at;

	while (newline && at < end && from + (at - block) < to) {
		if ((at > block || from == 0) &&
		    stamp_parse(at, (size_t)(end - at), ret_ns, NULL) && *ret_ns >= min_ns) {
			*ret_at = from + (at - block);
			return true;
		}
		newline = memchr(at, '\n', (size_t)(end - at));
		if (newline)
			at = newline + 1;
	}
	/* One that fills the block is too long to matter: behind it. */
	*ret_at = from + (at > block + 1 ? at - block : end - block);
	return false;
}

int64_t since_seek(int fd, int64_t size, int64_t since_ns)
{
	int64_t low = 0, high = size, at, ns;

	/* The line at 'low' is too old, those from 'high' on are not. */
	while (high - low > (int64_t)BLOCK_BYTES) {
		int64_t middle = low + (high - low) / 2;

		if (find_stamp(fd, middle, high, INT64_MIN, &at, &ns) && ns < since_ns)
			low = at;
		else
			high = middle;
	}
	while (low < size && !find_stamp(fd, low > 0 ? low - 1 : 0, size, since_ns, &at, &ns)) {
		if (at <= low)
			return size;
		low = at;
	}
	return low < size ? at : size;
}
