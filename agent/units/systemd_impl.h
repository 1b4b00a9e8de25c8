#pragma once
/*
 * The inside of the backend "systemd": one connection to PID 1 over sd-bus, shared by all calls.
 * unit_bus.c keeps the connection, unit_query.c reads states, unit_systemd_act.c runs jobs,
 * unit_systemd.c is the ops table.
 */
#include "agent/units/op_impl.h"

#include <stddef.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define SYSTEMD_NAME    "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* A way to PID 1. */
struct bus_address {
	const char *address; /* as in sd_bus_set_address(3) */
	bool is_bus;         /* a message bus; else PID 1 itself is at the other end (NS-020) */
};

struct systemd_config {
	const struct bus_address *addresses; /* tried in this order */
	size_t address_count;
	const char *journalctl; /* path of the program */
};

/* The backend with other ways than the usual ones, for tests. 'config' is borrowed until close. */
int unit_systemd_open(const struct systemd_config *config, struct sd_event *loop,
		      struct units **ret_units, struct err *err);

/* A pending call that needs the connection. */
struct bus_user {
	struct bus_user *prev, *next;
	uint64_t epoch; /* of the connection that it has sent on */
	unsigned tries;

	/* The connection is there, for the first time or again after a loss: send, or go on. What
	 * was sent on the one before will not be answered. */
	void (*resume)(struct bus_user *user);

	/* No way to PID 1. */
	void (*fail)(struct bus_user *user, const struct err *err);

	/* Optional: a job is through. Strings are borrowed for the call. */
	void (*job_removed)(struct bus_user *user, const char *job, const char *result);
};

/* Slots of the memory for absent units; a power of two. */
#define ABSENT_MAX 64

/* How many jobs that ended before their call was answered are remembered. */
#define REMOVED_MAX 16

struct removed_job {
	char job[96];
	char result[24];
};

struct systemd {
	struct units base;
	const struct systemd_config *config;
	sd_bus *bus; /* NULL while there is no connection */
	sd_bus_slot *jobs_slot;
	sd_bus_slot *lost_slot;
	uint64_t epoch;    /* counts connections */
	size_t address;    /* in use, or next to try */
	bool has_answered; /* this connection */
	bool ever_answered;
	int64_t lost_at_ms;
	sd_event_source *drop_timer;
	sd_event_source *retry_timer;
	struct bus_user *users;
	struct removed_job removed[REMOVED_MAX];
	size_t removed_next;
	uint64_t absent[ABSENT_MAX]; /* unit_query.c: hashes of names */
};

/* --- unit_bus.c ------------------------------------------------------------------------------- */

/* Timers of the connection; no I/O yet. */
int bus_init(struct systemd *s, struct err *err);
void bus_release(struct systemd *s);

/* Adds a user; its resume() runs now when there is a connection, else as soon as there is one. When
 * there is no way at all its fail() runs before this returns. */
void bus_add_user(struct systemd *s, struct bus_user *user);
void bus_remove_user(struct systemd *s, struct bus_user *user);

/* A caller gave up: a connection that never answered is given up with it. */
void bus_suspect(struct systemd *s);

/* Sends a method call; 'fn' gets the reply unless '*ret_slot' is given back first. ERR_UNAVAILABLE:
 * the connection does not take it and will be made anew; the user is resumed then. */
int bus_send(struct systemd *s, sd_bus_message *m, sd_bus_message_handler_t fn, void *arg,
	     sd_bus_slot **ret_slot, struct err *err);
/* The same for a call of the manager with arguments as in sd_bus_message_append(3). */
int bus_call(struct systemd *s, const char *method, sd_bus_message_handler_t fn, void *arg,
	     sd_bus_slot **ret_slot, struct err *err, const char *types, ...);
/* The same for one property. */
int bus_get(struct systemd *s, const char *path, const char *interface, const char *property,
	    sd_bus_message_handler_t fn, void *arg, sd_bus_slot **ret_slot, struct err *err);

/* To be asked first by every reply handler: true when 'm' only says that the connection is gone. The
 * user is resumed or failed later, and must not touch anything now. */
bool bus_is_lost(struct systemd *s, sd_bus_message *m);

/* systemd's error reply as ours (NS-024). 'what' as in "start unit 'x'". */
int bus_error(sd_bus_message *m, const char *what, struct err *err);

/* The result of a job that has already ended, or NULL. */
const char *bus_removed_job(const struct systemd *s, const char *job);

/* After a failed send: true when there is nothing to do but to wait for resume(). */
bool bus_will_resume(const struct err *err);

/* --- unit_query.c ----------------------------------------------------------------------------- */

struct query_get;

/* States of some units, asked in one go. Zero-initialise. */
struct unit_query {
	struct systemd *systemd;
	struct unit_status *list; /* the caller's; names are filled in */
	size_t count;
	struct query_get *gets;
	size_t get_count;
	sd_bus_slot *list_slot;
	size_t missing; /* replies still to come */
	bool has_job;   /* one of them has a job queued or running */
	/* All is there, or systemd said no. May release the query. */
	void (*done)(struct unit_query *query, const struct err *err);
};

int query_send(struct unit_query *query, struct err *err);

/* Forgets what was sent; the query may be sent again. */
void query_release(struct unit_query *query);

/* --- unit_systemd_act.c ------------------------------------------------------------------------ */

void systemd_act(struct units *units, enum unit_action action, const char *name, struct deadline by,
		 unit_action_fn *done, void *arg);
void systemd_kill(struct units *units, const char *name, bool main_only, int signal,
		  struct deadline by, unit_action_fn *done, void *arg);
void systemd_reset_failed(struct units *units, const char *name, struct deadline by,
			  unit_action_fn *done, void *arg);
