#pragma once
/*
 * What the fake runtime has, kept as the log of its side effects: DIR/effects, one line each,
 * written with O_APPEND. The log is the only store. One write is both the effect and its record, so
 * that killing the agent at any instant leaves neither without the other, and counting lines tells
 * how often something was done.
 *
 *	run-sandbox POD-UID ATTEMPT ID AT NAME NAMESPACE HOST-NETWORK [l:KEY=VALUE]... [a:KEY=VALUE]...
 *	stop-sandbox ID AT
 *	remove-sandbox ID AT
 *	create-container POD-UID NAME ATTEMPT ID AT SANDBOX IMAGE [l:KEY=VALUE]... [a:KEY=VALUE]...
 *	start ID AT
 *	stop ID GRACE AT
 *	exit ID CODE AT
 *	remove ID AT
 *	pause ID AT
 *	unpause ID AT
 *	pull IMAGE AT
 *	remove-image IMAGE AT
 *
 * AT is nanoseconds since the epoch; l: is a label, a: an annotation. A byte that is a blank, '%',
 * or not printable is %XX. Others may append lines too: "exit ID 137 0" is a container that dies by
 * itself. A last line without its end is an effect that never happened; opening cuts it off.
 */
#include "agent/runtime/runtime.h"

struct fake_sandbox {
	char *id;
	char *name;
	char *namespace;
	char *uid;
	uint32_t attempt;
	bool ready;
	bool host_network;
	int64_t created_ns;
	char ip[16];
	struct kv_list labels;
	struct kv_list annotations;
};

struct fake_container {
	char *id;
	char *sandbox_id;
	char *name;
	char *image;
	uint32_t attempt;
	enum runtime_state state;
	bool paused; /* and 'state' says running, as CRI does */
	int64_t created_ns;
	int64_t started_ns;
	int64_t finished_ns;
	int32_t exit_code;
	struct kv_list labels;
	struct kv_list annotations;
};

struct fake_state {
	int dir_fd;
	int log_fd;
	int64_t read_bytes; /* how much of the log is in here */
	unsigned made;      /* sandboxes ever, for their addresses */
	struct fake_sandbox *sandboxes;
	size_t sandbox_count;
	struct fake_container *containers;
	size_t container_count;
	struct strv pulled;
};

/* Opens 'dir' (made when absent) and reads its log. Release with fake_state_release(), also after a
 * failure. */
int fake_state_init(struct fake_state *s, const char *dir, struct err *err);
void fake_state_release(struct fake_state *s);

/* Takes in what was appended since the last look. */
int fake_state_refresh(struct fake_state *s, struct err *err);

/* Carries out one effect: appends 'line' (with AT already in it, without its end) and applies it. */
int fake_state_append(struct fake_state *s, struct text *line, struct err *err);

/* Adds " WORD", encoded as above. */
void fake_line_word(struct text *line, const char *word);
/* Adds every pair as " l:KEY=VALUE" or " a:KEY=VALUE". */
void fake_line_pairs(struct text *line, char kind, const struct kv_list *pairs);

/* Adds " AT" of now; "VERB ID AT". */
void fake_line_now(struct text *line);
void fake_line_begin(struct text *line, const char *verb, const char *id);

#define FAKE_ID_LEN 64
/* A fresh id of that many digits. */
void fake_make_id(char ret[FAKE_ID_LEN + 1]);

/* Borrowed until the next refresh or append; NULL when there is none. */
struct fake_sandbox *fake_find_sandbox(struct fake_state *s, const char *id);
struct fake_container *fake_find_container(struct fake_state *s, const char *id);
