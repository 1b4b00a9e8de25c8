#include "agent/units/systemd_impl.h"
#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ListUnitsByNames answers for all units at once, but leaves out what these tell. PID 1 works them
 * off without a round trip in between. */
enum property { PROPERTY_FILE_STATE, PROPERTY_SINCE, PROPERTY_MAIN_PID, PROPERTY_COUNT };

static const struct {
	const char *interface;
	const char *name;
} properties[PROPERTY_COUNT] = {
	[PROPERTY_FILE_STATE] = { "org.freedesktop.systemd1.Unit", "UnitFileState" },
	[PROPERTY_SINCE] = { "org.freedesktop.systemd1.Unit", "ActiveEnterTimestamp" },
	[PROPERTY_MAIN_PID] = { "org.freedesktop.systemd1.Service", "MainPID" },
};

struct query_get {
	struct unit_query *query;
	struct unit_status *status;
	enum property property;
	sd_bus_slot *slot;
};

void query_release(struct unit_query *query)
{
	for (size_t i = 0; i < query->get_count; i++)
		sd_bus_slot_unref(query->gets[i].slot);
	query->list_slot = sd_bus_slot_unref(query->list_slot);
	free(query->gets);
	query->gets = NULL;
	query->get_count = 0;
	query->missing = 0;
}

/*
 * Every question about a unit that does not exist makes PID 1 look for its files again, 70 us each
 * time. So who was absent the last time is listed first, and asked for properties only when it turns
 * out to be there. A slot that two names share costs a round trip, no more.
 */
static uint64_t name_hash(const char *name)
{
	uint64_t hash = 14695981039346656037ULL; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 1099511628211ULL;
	return hash;
}

static bool was_absent(const struct systemd *s, const char *name)
{
	uint64_t hash = name_hash(name);

	return s->absent[hash & (ABSENT_MAX - 1)] == hash;
}

static void remember_presence(struct systemd *s, const struct unit_status *status)
{
	uint64_t hash = name_hash(status->name);
	bool is_absent = strcmp(status->load, "not-found") == 0;
	uint64_t *slot = &s->absent[hash & (ABSENT_MAX - 1)];

	if (is_absent)
		*slot = hash;
	else if (*slot == hash)
		*slot = 0;
}

static void reply_came(struct unit_query *query)
{
	if (--query->missing == 0)
		query->done(query, NULL);
}

static int read_property(sd_bus_message *m, enum property property, struct unit_status *ret)
{
	const char *text;
	int r;

	switch (property) {
	case PROPERTY_SINCE:
		return sd_bus_message_read(m, "v", "t", &ret->since_us);
	case PROPERTY_MAIN_PID:
		return sd_bus_message_read(m, "v", "u", &ret->main_pid);
	default:
		r = sd_bus_message_read(m, "v", "s", &text);
		if (r >= 0)
			utf8_copy(ret->enabled, sizeof(ret->enabled), text);
		return r;
	}
}

/* A unit that went away in between has no properties: what the list said holds. */
static int on_property(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct query_get *get = arg;

	(void)error;
	if (bus_is_lost(get->query->systemd, m))
		return 0;
	if (!sd_bus_message_is_method_error(m, NULL))
		read_property(m, get->property, get->status);
	reply_came(get->query);
	return 0;
}

static int read_list(sd_bus_message *m, struct unit_query *query)
{
	const char *name, *text, *load, *active, *sub;
	uint32_t job;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
	for (size_t i = 0; r >= 0 && i < query->count; i++) {
		struct unit_status *status = &query->list[i];

		r = sd_bus_message_read(m, "(ssssssouso)", &name, &text, &load, &active, &sub, NULL,
					NULL, &job, NULL, NULL);
		if (r == 0)
			return -EBADMSG;
		if (r < 0)
			break;
		utf8_copy(status->description, sizeof(status->description), text);
		utf8_copy(status->load, sizeof(status->load), load);
		utf8_copy(status->active, sizeof(status->active), active);
		utf8_copy(status->sub, sizeof(status->sub), sub);
		query->has_job |= job != 0;
	}
	return r;
}

static bool is_service(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, ".service") == 0;
}

static int send_gets(struct unit_query *query, struct unit_status *status, struct err *err)
{
	cleanup_free char *path = NULL;
	int r;

	r = sd_bus_path_encode(SYSTEMD_PATH "/unit", status->name, &path);
	if (r < 0)
		return err_set(err, ERR_INTERNAL, -r, "systemd: cannot make a path");
	for (enum property p = 0; p < PROPERTY_COUNT; p++) {
		struct query_get *get = &query->gets[query->get_count];

		if (p == PROPERTY_MAIN_PID && !is_service(status->name))
			continue;
		*get = (struct query_get){ .query = query, .status = status, .property = p };
		query->get_count++;
		query->missing++;
		if (bus_get(query->systemd, path, properties[p].interface, properties[p].name,
			    on_property, get, &get->slot, err) < 0)
			return -1;
	}
	return 0;
}

static bool has_gets(const struct unit_query *query, const struct unit_status *status)
{
	for (size_t i = 0; i < query->get_count; i++) {
		if (query->gets[i].status == status)
			return true;
	}
	return false;
}

/* For those that were thought to be absent and are there. */
static int send_late_gets(struct unit_query *query, struct err *err)
{
	for (size_t i = 0; i < query->count; i++) {
		struct unit_status *status = &query->list[i];

		remember_presence(query->systemd, status);
		if (strcmp(status->load, "not-found") != 0 && !has_gets(query, status) &&
		    send_gets(query, status, err) < 0)
			return -1;
	}
	return 0;
}

static int on_list(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct unit_query *query = arg;
	struct err err;
	int r;

	(void)error;
	if (bus_is_lost(query->systemd, m))
		return 0;
	if (sd_bus_message_is_method_error(m, NULL)) {
		bus_error(m, "list units", &err);
		query->done(query, &err);
		return 0;
	}
	r = read_list(m, query);
	if (r < 0) {
		err_set(&err, ERR_INTERNAL, -r, "systemd: unexpected list of units");
		query->done(query, &err);
		return 0;
	}
	if (send_late_gets(query, &err) < 0) {
		if (!bus_will_resume(&err))
			query->done(query, &err);
		return 0;
	}
	reply_came(query);
	return 0;
}

static int send_list(struct unit_query *query, struct err *err)
{
	struct systemd *s = query->systemd;
	__attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(s->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
					   "ListUnitsByNames");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (size_t i = 0; r >= 0 && i < query->count; i++)
		r = sd_bus_message_append(m, "s", query->list[i].name);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r < 0)
		return err_set(err, ERR_INTERNAL, -r, "systemd: cannot make a message");
	query->missing++;
	return bus_send(s, m, on_list, query, &query->list_slot, err);
}

static void forget_answers(struct unit_status *status)
{
	struct unit_status fresh = { 0 };

	memcpy(fresh.name, status->name, sizeof(fresh.name));
	*status = fresh;
}

int query_send(struct unit_query *query, struct err *err)
{
	query_release(query);
	query->has_job = false;
	for (size_t i = 0; i < query->count; i++)
		forget_answers(&query->list[i]);
	query->gets = calloc(query->count * PROPERTY_COUNT + 1, sizeof(*query->gets));
	if (!query->gets)
		return err_oom(err);
	if (send_list(query, err) < 0)
		return -1;
	for (size_t i = 0; i < query->count; i++) {
		struct unit_status *status = &query->list[i];

		if (!was_absent(query->systemd, status->name) && send_gets(query, status, err) < 0)
			return -1;
	}
	return 0;
}
