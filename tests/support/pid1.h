#pragma once
/*
 * A PID 1 that can be told to fail, hang and lie: it answers systemd's D-Bus calls on a socket of
 * its own, on the test's loop. It has one unit, "x.service", inactive at first.
 */
#include <stdbool.h>
#include <systemd/sd-event.h>

struct pid1;

enum pid1_habit {
	PID1_HONEST,
	PID1_SIGNAL_FIRST,  /* JobRemoved comes before the reply that names the job */
	PID1_LOSES_SIGNALS, /* jobs end without JobRemoved */
	PID1_HANGS_UP,      /* closes the connection on StartUnit */
	PID1_HANGS_UP_ONCE, /* closes it on the first ListUnitsByNames */
	PID1_CLOSES,        /* closes every connection on its first call */
	PID1_SILENT,        /* takes connections and says nothing, not even in the login */
	PID1_JOB_NEVER_ENDS,
};

/* Listens on 'path'. */
struct pid1 *pid1_start(struct sd_event *loop, const char *path, enum pid1_habit habit);
void pid1_stop(struct pid1 *pid1);
void pid1_set_habit(struct pid1 *pid1, enum pid1_habit habit);
/* Ends the connections, as re-execution does. */
void pid1_hang_up(struct pid1 *pid1);
/* Ends the job that is running, with its signal. */
void pid1_end_job(struct pid1 *pid1, const char *result);
/* How often a method was called. */
unsigned pid1_calls(const struct pid1 *pid1, const char *method);
