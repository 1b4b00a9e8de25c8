#pragma once
/*
 * How many calls of one kind may be in hand at once (security-faults.md I15, NS-280). Each door counts for
 * itself, so that callers of a lower role never take the places of a higher one.
 *
 *	LIMIT_HEALTH   Health.*: never refused. It answers from memory within its handler.
 *	LIMIT_LOOK     reads: 32. Each may hold a request to the runtime or systemd.
 *	LIMIT_CHANGE   mutations: 64. What makes one long is the unit or the container, not the agent, which
 *	               holds a timer for it: with I15's 8, eight units that stop slowly would keep the other
 *	               pods of a node (64 at once, NS-243) waiting for minutes.
 *	LIMIT_PARKED   calls that only wait (call_park): 1024. Past that they count as what they were.
 */
#include "shared/base/err.h"
#include "shared/wire/methods.h"

enum limit_class { LIMIT_HEALTH, LIMIT_LOOK, LIMIT_CHANGE, LIMIT_PARKED, LIMIT_CLASSES };

#define LIMIT_LOOKS   32
#define LIMIT_CHANGES 64
#define LIMIT_PARKING 1024

/* Calls in hand, by class. Zero-initialise. */
struct limits {
	unsigned count[LIMIT_CLASSES];
};

/* 'service' is the full name. */
enum limit_class limits_class(const char *service, enum method_effect effect);

/* One more of that class, or ERR_RESOURCE_EXHAUSTED, reason AGENT_BUSY. */
int limits_enter(struct limits *limits, enum limit_class class, struct err *err);
void limits_leave(struct limits *limits, enum limit_class class);

/* One of that class does nothing but wait from here on. Returns what it counts as now. */
enum limit_class limits_park(struct limits *limits, enum limit_class class);
