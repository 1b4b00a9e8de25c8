#include "agent/journal/journal.h"

#include "shared/base/cleanup.h"
#include "shared/base/err.h"
#include "shared/base/parse.h"
#include "shared/base/stamp.h"
#include "shared/base/text.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-journal.h>

/* What goes out in one piece when much comes at once. */
#define OUT_BYTES ((size_t)64 * 1024)

struct query {
	struct strv units;
	const char *directory;
	int64_t tail;
	int64_t since_ns;
	bool follow;
};

static int failed(int rc, const char *what)
{
	fprintf(stderr, "cannot %s: %s\n", what, strerror(-rc));
	return 1;
}

/* --- which entries -------------------------------------------------------------------------------------- */

static int match(sd_journal *journal, const char *field, const char *value)
{
	cleanup_free char *text = text_format("%s=%s", field, value);

	return text ? sd_journal_add_match(journal, text, 0) : -ENOMEM;
}

/* What `journalctl --unit` takes: what the unit itself says, what PID 1 says of it, and what the
 * system's programs say of it. */
static int match_unit(sd_journal *journal, const char *unit)
{
	int rc = match(journal, "_SYSTEMD_UNIT", unit);

	if (rc >= 0)
		rc = sd_journal_add_disjunction(journal);
	if (rc >= 0)
		rc = match(journal, "_PID", "1");
	if (rc >= 0)
		rc = match(journal, "UNIT", unit);
	if (rc >= 0)
		rc = sd_journal_add_disjunction(journal);
	if (rc >= 0)
		rc = match(journal, "_UID", "0");
	if (rc >= 0)
		rc = match(journal, "OBJECT_SYSTEMD_UNIT", unit);
	if (rc >= 0)
		rc = sd_journal_add_disjunction(journal);
	return rc;
}

/* --- where to begin ------------------------------------------------------------------------------------- */

static bool is_older(sd_journal *journal, int64_t since_ns)
{
	uint64_t us;

	return sd_journal_get_realtime_usec(journal, &us) >= 0 && (int64_t)us * 1000 < since_ns;
}

static int seek_since(sd_journal *journal, int64_t since_ns)
{
	return since_ns ? sd_journal_seek_realtime_usec(journal, (uint64_t)since_ns / 1000)
			: sd_journal_seek_head(journal);
}

/* After it, sd_journal_next() gives the first entry that is wanted. */
static int seek_tail(sd_journal *journal, const struct query *query)
{
	int rc = sd_journal_seek_tail(journal);

	/* One more than wanted: the first step forward then gives the first of them. */
	if (rc >= 0)
		rc = sd_journal_previous_skip(journal, (uint64_t)query->tail + 1);
	if (rc < 0)
		return rc;
	/* Fewer than that: we stand on the very first, and it is wanted too. */
	if (rc <= query->tail || (query->since_ns && is_older(journal, query->since_ns)))
		return seek_since(journal, query->since_ns);
	return 0;
}

static int seek(sd_journal *journal, const struct query *query)
{
	return query->tail < 0 ? seek_since(journal, query->since_ns) : seek_tail(journal, query);
}

/* --- a line --------------------------------------------------------------------------------------------- */

/* The value of a field, borrowed until the next call; "" and 0 when there is none. */
static const char *field(sd_journal *journal, const char *name, size_t *ret_len)
{
	size_t len, skip = strlen(name) + 1;
	const void *data;

	*ret_len = 0;
	if (sd_journal_get_data(journal, name, &data, &len) < 0 || len < skip)
		return "";
	*ret_len = len - skip;
	return (const char *)data + skip;
}

static void put_first(sd_journal *journal, const char *const *names, const char *before,
		      const char *after)
{
	size_t len = 0;

	for (; *names; names++) {
		const char *value = field(journal, *names, &len);

		if (len) {
			printf("%s%.*s%s", before, (int)len, value, after);
			return;
		}
	}
}

/* Line breaks become blanks: a message is one line. */
static void put_message(sd_journal *journal)
{
	size_t len;
	const char *text = field(journal, "MESSAGE", &len);

	while (len && text[len - 1] == '\n')
		len--;
	for (size_t i = 0; i < len; i++)
		putchar_unlocked(text[i] == '\n' || text[i] == '\r' ? ' ' : text[i]);
	putchar_unlocked('\n');
}

static void put_entry(sd_journal *journal)
{
	static const char *const names[] = { "SYSLOG_IDENTIFIER", "_COMM", "_SYSTEMD_UNIT", NULL };
	static const char *const pids[] = { "_PID", "SYSLOG_PID", NULL };
	char stamp[STAMP_BYTES];
	uint64_t us;

	if (sd_journal_get_realtime_usec(journal, &us) < 0)
		return;
	stamp_format((int64_t)us * 1000, stamp);
	printf("%s journal F ", stamp);
	put_first(journal, names, "", "");
	put_first(journal, pids, "[", "]");
	fputs(": ", stdout);
	put_message(journal);
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static int print(sd_journal *journal, const struct query *query)
{
	int64_t left = query->follow || query->tail < 0 ? INT64_MAX : query->tail;
	int rc;

	while (left > 0) {
		rc = sd_journal_next(journal);
		if (rc < 0)
			return failed(rc, "read the journal");
		if (rc > 0) {
			put_entry(journal);
			left--;
			continue;
		}
		if (fflush(stdout) != 0)
			return 1; /* nobody reads any more */
		if (!query->follow)
			break;
		rc = sd_journal_wait(journal, UINT64_MAX);
		if (rc < 0)
			return failed(rc, "follow the journal");
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

static void cleanup_journal(sd_journal **journal)
{
	sd_journal_close(*journal);
}

static int run(const struct query *query)
{
	cleanup_with(journal) sd_journal *journal = NULL;
	int rc = query->directory ? sd_journal_open_directory(&journal, query->directory, 0)
				  : sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);

	if (rc < 0)
		return failed(rc, "open the journal");
	for (size_t i = 0; i < query->units.count; i++) {
		rc = match_unit(journal, query->units.items[i]);
		if (rc < 0)
			return failed(rc, "choose units");
	}
	/* Before the first look, so that nothing falls in between. */
	if (query->follow)
		sd_journal_get_fd(journal);
	rc = seek(journal, query);
	if (rc < 0)
		return failed(rc, "find the place in the journal");
	setvbuf(stdout, NULL, _IOFBF, OUT_BYTES);
	return print(journal, query);
}

static int parse(int argc, char **argv, struct query *query)
{
	static const struct option options[] = {
		{ "unit", required_argument, NULL, 'u' },
		{ "follow", no_argument, NULL, 'f' },
		{ "tail", required_argument, NULL, 'n' },
		{ "since", required_argument, NULL, 's' },
		{ "directory", required_argument, NULL, 'D' },
		{ 0 },
	};
	bool valid = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'u')
			strv_add(&query->units, optarg);
		else if (option == 'f')
			query->follow = true;
		else if (option == 'n')
			valid &= parse_int(optarg, -1, INT64_MAX / 2, &query->tail);
		else if (option == 's')
			valid &= parse_int(optarg, 0, INT64_MAX, &query->since_ns);
		else if (option == 'D')
			query->directory = optarg;
		else
			return -1;
	}
	return valid && optind == argc && !strv_failed(&query->units) ? 0 : -1;
}

int journal_main(int argc, char **argv)
{
	struct query query = { .tail = -1 };
	int code;

	if (parse(argc, argv, &query) < 0) {
		fprintf(stderr, "journal: wrong options\n");
		code = 2;
	} else {
		code = run(&query);
	}
	strv_release(&query.units);
	return code;
}
