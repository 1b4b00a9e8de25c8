#include "agent/server/watchdog.h"

#include "agent/ask/probe.h"
#include "agent/server/notify.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"

#include <stdbool.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

struct watchdog {
	struct watchdog_config config;
	sd_event_source *timer;
	struct probe *probe;
	bool failed;       /* the last ping */
	unsigned pings;    /* since the last one with a connection of its own */
	uint64_t accepted; /* with it */
};

int64_t watchdog_interval_ms(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? (int64_t)(us / 1000) : 0;
}

void watchdog_tell_systemd(void *arg)
{
	(void)arg;
	notify("WATCHDOG=1");
}

/* Half the interval and a bit less, so that one lost ping is made up for in time. */
static int64_t ping_every_ms(const struct watchdog *watchdog)
{
	return watchdog->config.interval_ms * 9 / 20;
}

static uint64_t accepted(const struct watchdog *watchdog)
{
	return watchdog->config.accepted ? watchdog->config.accepted(watchdog->config.arg) : 0;
}

static void on_answer(void *arg, const ProtobufCMessage *reply, const struct err *err)
{
	struct watchdog *watchdog = arg;

	(void)reply;
	watchdog->failed = err != NULL;
	/* Not healthy is an answer all the same: a restart would cure neither disk nor runtime. */
	if (err) {
		log_note("watchdog: %s", err->msg);
		return;
	}
	watchdog->config.alive(watchdog->config.arg);
}

static bool must_be_fresh(const struct watchdog *watchdog)
{
	return !watchdog->config.accepted || watchdog->failed ||
	       watchdog->pings + 1 >= WATCHDOG_FRESH_EVERY ||
	       accepted(watchdog) != watchdog->accepted;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct watchdog *watchdog = arg;
	int64_t every_ms = ping_every_ms(watchdog);
	bool fresh = must_be_fresh(watchdog);
	struct err err;

	(void)usec;
	watchdog->pings = fresh ? 0 : watchdog->pings + 1;
	if (fresh)
		watchdog->accepted = accepted(watchdog) + 1; /* its own */
	watchdog->failed = true;                             /* until it is answered */
	if (probe_ask(watchdog->probe, &berth__node__v1__health__descriptor, "Check",
		      deadline_in_ms(every_ms), fresh, on_answer, watchdog, &err) < 0)
		log_note("watchdog: %s", err.msg);
	sd_event_source_set_time_relative(source, (uint64_t)every_ms * 1000);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

DEFINE_CLEANUP(watchdog, struct watchdog *, watchdog_close)

int watchdog_open(struct sd_event *loop, const struct watchdog_config *config,
		  struct watchdog **ret_watchdog, struct err *err)
{
	cleanup_with(watchdog) struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
	int rc;

	if (!watchdog)
		return err_oom(err);
	watchdog->config = *config;
	watchdog->failed = true;
	if (probe_new(loop, config->socket_path, &watchdog->probe, err) < 0)
		return -1;
	/* A tenth of the period late at most: the pings may share a wake-up with other timers. */
	rc = sd_event_add_time_relative(loop, &watchdog->timer, CLOCK_MONOTONIC, 0,
					(uint64_t)config->interval_ms * 1000 / 20, on_timer,
					watchdog);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "watchdog: serve the loop");
	*ret_watchdog = TAKE(watchdog);
	return 0;
}

void watchdog_close(struct watchdog *watchdog)
{
	if (!watchdog)
		return;
	probe_free(watchdog->probe);
	sd_event_source_disable_unref(watchdog->timer);
	free(watchdog);
}
