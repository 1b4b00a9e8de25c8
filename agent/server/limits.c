#include "agent/server/limits.h"

#include <limits.h>
#include <string.h>

static const struct {
	unsigned most;
	const char *name;
} classes[LIMIT_CLASSES] = {
	[LIMIT_HEALTH] = { UINT_MAX, "health checks" },
	[LIMIT_LOOK] = { LIMIT_LOOKS, "look-ups" },
	[LIMIT_CHANGE] = { LIMIT_CHANGES, "changes" },
	[LIMIT_PARKED] = { LIMIT_PARKING, "waiting calls" },
};

enum limit_class limits_class(const char *service, enum method_effect effect)
{
	if (strcmp(service, "berth.node.v1.Health") == 0)
		return LIMIT_HEALTH;
	return effect == METHOD_READS ? LIMIT_LOOK : LIMIT_CHANGE;
}

int limits_enter(struct limits *limits, enum limit_class class, struct err *err)
{
	if (limits->count[class] >= classes[class].most) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "the agent is busy with %u %s",
			limits->count[class], classes[class].name);
		return err_explain(err, "AGENT_BUSY", "try again in a moment");
	}
	limits->count[class]++;
	return 0;
}

void limits_leave(struct limits *limits, enum limit_class class)
{
	limits->count[class]--;
}

enum limit_class limits_park(struct limits *limits, enum limit_class class)
{
	struct err err;

	if (class == LIMIT_PARKED || limits_enter(limits, LIMIT_PARKED, &err) < 0)
		return class;
	limits_leave(limits, class);
	return LIMIT_PARKED;
}
