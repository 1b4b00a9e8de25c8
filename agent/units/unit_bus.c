#include "agent/units/systemd_impl.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define RETRY_EVERY_MS 50
#define RETRY_FOR_MS   1000 /* F9: PID 1 executes itself anew in less */
#define TRIES_MAX      5

/* --- connection ------------------------------------------------------------------------------- */

static int on_job_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct systemd *s = arg;
	struct removed_job *slot = &s->removed[s->removed_next];
	const char *job, *unit, *result;
	struct bus_user *user, *next;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
		return 0;
	/* The signal may overtake the reply that names the job (NS-023). */
	snprintf(slot->job, sizeof(slot->job), "%s", job);
	utf8_copy(slot->result, sizeof(slot->result), result);
	s->removed_next = (s->removed_next + 1) % REMOVED_MAX;
	DL_FOREACH_SAFE(s->users, user, next)
	{
		if (user->job_removed)
			user->job_removed(user, slot->job, slot->result);
	}
	return 0;
}

const char *bus_removed_job(const struct systemd *s, const char *job)
{
	for (size_t i = 0; i < REMOVED_MAX; i++) {
		if (strcmp(s->removed[i].job, job) == 0)
			return s->removed[i].result;
	}
	return NULL;
}

/* From the loop, not from where the loss is seen: that is inside the connection's own code. */
static void drop_soon(struct systemd *s)
{
	timer_move(s->drop_timer, (struct deadline){ .at_ms = 0 });
}

static int on_lost(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	(void)m;
	(void)error;
	drop_soon(arg);
	return 0;
}

static void disconnect(struct systemd *s)
{
	s->jobs_slot = sd_bus_slot_unref(s->jobs_slot);
	s->lost_slot = sd_bus_slot_unref(s->lost_slot);
	s->bus = sd_bus_close_unref(s->bus);
}

/* Subscribing comes first of all: a job's end must not pass unseen (I14). PID 1's own socket sends
 * signals to everybody and takes the call as well. */
static int subscribe(struct systemd *s, sd_bus *bus, bool is_bus)
{
	const char *sender = is_bus ? SYSTEMD_NAME : NULL; /* PID 1 itself gives no name */
	int r;

	r = sd_bus_match_signal_async(bus, &s->jobs_slot, sender, SYSTEMD_PATH, SYSTEMD_MANAGER,
				      "JobRemoved", on_job_removed, NULL, s);
	if (r < 0)
		return r;
	r = sd_bus_match_signal_async(bus, &s->lost_slot, NULL, "/org/freedesktop/DBus/Local",
				      "org.freedesktop.DBus.Local", "Disconnected", on_lost, NULL,
				      s);
	if (r < 0)
		return r;
	return sd_bus_call_method_async(bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
					"Subscribe", NULL, NULL, NULL);
}

static int set_up_bus(struct systemd *s, sd_bus *bus, const struct bus_address *address)
{
	int r;

	r = sd_bus_set_address(bus, address->address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, address->is_bus);
	/* Every call has its own deadline. */
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, UINT64_MAX);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus, s->base.loop, SD_EVENT_PRIORITY_NORMAL);
	return r < 0 ? r : subscribe(s, bus, address->is_bus);
}

static int connect_to(struct systemd *s, const struct bus_address *address, struct err *err)
{
	sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r >= 0)
		r = set_up_bus(s, bus, address);
	if (r < 0) {
		s->bus = bus;
		disconnect(s);
		return err_set(err, ERR_UNAVAILABLE, -r, "systemd: cannot connect to PID 1 at %s",
			       address->address);
	}
	s->bus = bus;
	s->epoch++;
	s->has_answered = false;
	memset(s->removed, 0, sizeof(s->removed));
	return 0;
}

/* The first address that takes us; the error is the first one's, the rest are only stand-ins. */
static int connect_any(struct systemd *s, struct err *err)
{
	struct err other;

	for (size_t i = 0; i < s->config->address_count; i++) {
		if (connect_to(s, &s->config->addresses[s->address], i ? &other : err) == 0)
			return 0;
		s->address = (s->address + 1) % s->config->address_count;
	}
	return -1;
}

/* --- users ------------------------------------------------------------------------------------ */

static struct bus_user *first_stranded(struct systemd *s)
{
	struct bus_user *user;

	for (user = s->users; user; user = user->next) {
		if (user->epoch != s->epoch || !s->bus)
			return user;
	}
	return NULL;
}

static void fail_stranded(struct systemd *s, const struct err *err)
{
	struct bus_user *user;

	while ((user = s->users)) {
		bus_remove_user(s, user);
		user->fail(user, err);
	}
}

static void resume_stranded(struct systemd *s)
{
	struct bus_user *user;
	struct err err;

	while (s->bus && (user = first_stranded(s))) {
		user->epoch = s->epoch;
		if (++user->tries <= TRIES_MAX) {
			user->resume(user);
			continue;
		}
		err_set(&err, ERR_UNAVAILABLE, 0, "systemd: PID 1 hangs up again and again");
		bus_remove_user(s, user);
		user->fail(user, &err);
	}
}

/* For those who wait: connects, or tries again for a while, or lets them know. */
static void serve_users(struct systemd *s)
{
	struct err err;

	if (!s->users)
		return;
	if (!s->bus && connect_any(s, &err) < 0) {
		if (s->ever_answered && clock_now_ms() - s->lost_at_ms < RETRY_FOR_MS)
			timer_move(s->retry_timer, deadline_in_ms(RETRY_EVERY_MS));
		else
			fail_stranded(s, &err);
		return;
	}
	resume_stranded(s);
}

static int on_retry(sd_event_source *timer, uint64_t usec, void *arg)
{
	(void)timer;
	(void)usec;
	serve_users(arg);
	return 0;
}

static int on_drop(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct systemd *s = arg;

	(void)timer;
	(void)usec;
	if (!s->bus)
		return 0;
	disconnect(s);
	s->lost_at_ms = clock_now_ms();
	s->address = s->has_answered ? 0 : (s->address + 1) % s->config->address_count;
	serve_users(s);
	return 0;
}

int bus_init(struct systemd *s, struct err *err)
{
	int r;

	r = timer_start(s->base.loop, DEADLINE_NEVER, on_drop, s, &s->drop_timer);
	if (r >= 0)
		r = timer_start(s->base.loop, DEADLINE_NEVER, on_retry, s, &s->retry_timer);
	if (r < 0)
		return err_set(err, ERR_INTERNAL, -r, "systemd: cannot make a timer");
	return 0;
}

void bus_release(struct systemd *s)
{
	disconnect(s);
	timer_stop(&s->drop_timer);
	timer_stop(&s->retry_timer);
}

void bus_add_user(struct systemd *s, struct bus_user *user)
{
	DL_APPEND(s->users, user);
	serve_users(s);
}

void bus_remove_user(struct systemd *s, struct bus_user *user)
{
	if (!user->prev)
		return;
	DL_DELETE(s->users, user);
	user->prev = NULL;
}

void bus_suspect(struct systemd *s)
{
	if (s->bus && !s->has_answered)
		drop_soon(s);
}

/* --- messages --------------------------------------------------------------------------------- */

int bus_send(struct systemd *s, sd_bus_message *m, sd_bus_message_handler_t fn, void *arg,
	     sd_bus_slot **ret_slot, struct err *err)
{
	int r = sd_bus_call_async(s->bus, ret_slot, m, fn, arg, 0);

	if (r < 0) {
		drop_soon(s);
		return err_set(err, ERR_UNAVAILABLE, -r, "systemd: cannot send to PID 1");
	}
	return 0;
}

int bus_call(struct systemd *s, const char *method, sd_bus_message_handler_t fn, void *arg,
	     sd_bus_slot **ret_slot, struct err *err, const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = sd_bus_call_method_asyncv(s->bus, ret_slot, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
				      method, fn, arg, types, ap);
	va_end(ap);
	if (r < 0) {
		drop_soon(s);
		return err_set(err, ERR_UNAVAILABLE, -r, "systemd: cannot send to PID 1");
	}
	return 0;
}

int bus_get(struct systemd *s, const char *path, const char *interface, const char *property,
	    sd_bus_message_handler_t fn, void *arg, sd_bus_slot **ret_slot, struct err *err)
{
	int r;

	r = sd_bus_call_method_async(s->bus, ret_slot, SYSTEMD_NAME, path,
				     "org.freedesktop.DBus.Properties", "Get", fn, arg, "ss",
				     interface, property);
	if (r < 0) {
		drop_soon(s);
		return err_set(err, ERR_UNAVAILABLE, -r, "systemd: cannot send to PID 1");
	}
	return 0;
}

bool bus_is_lost(struct systemd *s, sd_bus_message *m)
{
	/* What sd-bus answers in place of a peer that is gone. */
	if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) ||
	    sd_bus_message_is_method_error(m, SD_BUS_ERROR_DISCONNECTED)) {
		drop_soon(s);
		return true;
	}
	s->has_answered = true;
	s->ever_answered = true;
	return false;
}

bool bus_will_resume(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE;
}

static enum err_code error_code(const char *name)
{
	static const struct {
		const char *name;
		enum err_code code;
	} known[] = {
		{ SYSTEMD_NAME ".NoSuchUnit", ERR_NOT_FOUND },
		{ SYSTEMD_NAME ".NoSuchProcess", ERR_NOT_FOUND },
		{ SYSTEMD_NAME ".LoadFailed", ERR_FAILED_PRECONDITION },
		{ SYSTEMD_NAME ".UnitMasked", ERR_FAILED_PRECONDITION },
		{ SYSTEMD_NAME ".BadUnitSetting", ERR_FAILED_PRECONDITION },
		{ SYSTEMD_NAME ".OnlyByDependency", ERR_FAILED_PRECONDITION },
		{ SYSTEMD_NAME ".ShuttingDown", ERR_FAILED_PRECONDITION },
		{ SYSTEMD_NAME ".JobTypeNotApplicable", ERR_UNIMPLEMENTED },
		{ SD_BUS_ERROR_NOT_SUPPORTED, ERR_UNIMPLEMENTED },
		{ SD_BUS_ERROR_ACCESS_DENIED, ERR_PERMISSION_DENIED },
		{ SD_BUS_ERROR_INVALID_ARGS, ERR_INVALID_ARGUMENT },
		{ SD_BUS_ERROR_SERVICE_UNKNOWN, ERR_UNAVAILABLE },
		{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, ERR_UNAVAILABLE },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].code;
	}
	return strstr(name, ".Transaction") ? ERR_FAILED_PRECONDITION : ERR_UNKNOWN;
}

int bus_error(sd_bus_message *m, const char *what, struct err *err)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	char text[256];

	utf8_copy(text, sizeof(text), error->message ? error->message : error->name);
	return err_set(err, error_code(error->name), 0, "systemd: %s: %s", what, text);
}
