#pragma once
/*
 * Pods, observations and decisions as one line of text each, for tables of tests.
 *
 *   pod:     "Never host a:init s:sidecar c1 c2 e:ephemeral"   policy first, "Always" when left out
 *            "c1=IMAGE" for another image than img:1
 *   sandbox: "ready 0 10.0.0.1; notready 1"                    ids sb0, sb1 ...; "ready 0 -": no IP;
 *                                                              "ready 0 node": host network;
 *                                                              "ready 0": network not known
 *   seen:    "c1 running; c2 exited 1; c1 running changed"     ids c1.0 (newest), c1.1 ...; words:
 *                                                              changed zero live+ live- live? start+
 *                                                              start- start? restart
 *   decision: "kill create sb0 1 init=a app=c1,c2 eph=e stop=c1.0,c2.0"
 */
#include "shared/pod/plan.h"

/* Defaulted. Caller frees with pod_free(). Aborts the test on bad text. */
K8s__Core__V1__Pod *podtest_pod(const char *text);
/* Hashes are those of 'pod'. Caller releases. */
struct pod_observed podtest_observed(const K8s__Core__V1__Pod *pod, const char *sandboxes,
				     const char *containers);
/* Caller frees. */
char *podtest_decision(const struct pod_decision *d);
/* Plans and compares with 'wanted'; 'row' names the case in the failure. */
void podtest_expect(const char *row, const char *pod, const char *sandboxes, const char *containers,
		    const char *wanted);
