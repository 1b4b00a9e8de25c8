#pragma once
/*
 * What Containers.Stop, Kill, Delete, Pause and Unpause have in common: ids or their beginnings are looked up once,
 * then carried out in parallel, and every id gets its own result (NS-062).
 */
#include "shared/base/deadline.h"

#include "node/v1/containers.pb-c.h"

/* How many containers are worked on at a time (NS-062), and how many are stopped: a stop is mostly
 * waiting, and a hundred that use up their grace must not queue for it (NS-243). */
#define CONTAINERS_AT_ONCE 16
#define STOPS_AT_ONCE      128

enum container_action {
	CONTAINER_STOP,
	CONTAINER_KILL,
	CONTAINER_DELETE,
	CONTAINER_PAUSE,
	CONTAINER_UNPAUSE,
};

/* Answers 'call', later, from the loop. */
void container_actions_run(enum container_action action,
			   const Berth__Node__V1__ContainerActionRequest *req,
			   Berth__Node__V1__ContainerActionReply_Closure reply, void *call);

/* A little before the call's own: one hanging container must not take the others' results with it
 * (security-faults.md F5). */
struct deadline container_deadline(void *call);
