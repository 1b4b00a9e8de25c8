#pragma once
/*
 * The pods room on a loop with the fake runtime and fake units, in a directory of its own. Waiting is
 * always for something to be so; time passes by the loop's timers alone.
 */
#include "agent/pods/pods.h"
#include "agent/units/unit.h"
#include "tests/support/pods.h"
#include "tests/support/runtime.h"

struct podrig_answer {
	unsigned calls;
	struct err err;
	char uid[64];
	char result[16];
	/* Of the first pod in a list, and of its first container. */
	size_t count;
	char name[64];
	char phase[32];
	char message[512];
	char state[32];
	char reason[64];
	bool ready;
	uint32_t restarts;
	enum pod_source source;
};

struct podrig {
	struct rt_rig *rt;
	struct units *units;
	struct pods *pods;
	char state_dir[64];
	struct podrig_answer answer;
};

/* kubelet is stopped; timing is short: back-off 40 ms doubling to 160, relist every 20 to 200 ms. */
struct podrig *podrig_open(void);
void podrig_close(struct podrig *rig);
/* As if the agent had been killed and started again. */
void podrig_restart(struct podrig *rig);

/* Calls, waited for. Pods are given as text (pods.h). The code is the answer's. */
enum err_code podrig_apply(struct podrig *rig, const char *pod);
enum err_code podrig_apply_pod(struct podrig *rig, const K8s__Core__V1__Pod *pod);
enum err_code podrig_delete(struct podrig *rig, int64_t grace_s);
enum err_code podrig_list(struct podrig *rig);
enum err_code podrig_wait(struct podrig *rig, bool gone, int64_t by_ms);
void podrig_kubelet(struct podrig *rig, enum unit_action action);

/* Lists until the first pod's phase (or its first container's reason) is that. */
void podrig_until_phase(struct podrig *rig, const char *phase);
void podrig_until_reason(struct podrig *rig, const char *reason);
/* Runs until the effects have that many lines with this beginning. */
void podrig_until_effects(struct podrig *rig, const char *beginning, unsigned count);
/* Runs the loop for some turns, no matter what. */
void podrig_turns(struct podrig *rig, unsigned turns);
/* Runs the loop until no effect has come for 'ms'. */
void podrig_until_quiet(struct podrig *rig, int64_t ms);

unsigned podrig_count(struct podrig *rig, const char *beginning);
/* The verbs of all effects with the container's name where there is one: "run-sandbox create:c1
 * start:c1 stop:c1". Caller frees. */
char *podrig_story(struct podrig *rig);
