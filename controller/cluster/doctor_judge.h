#pragma once
/*
 * What a finding means, apart from how it was found. Pure.
 */
#include "controller/cluster/doctor_look.h"

/* The engine's version (CN-042). An engine that is not known here is taken as it is. */
void judge_engine_version(const char *engine, const char *version, struct doctor_check *check);

/* The first line of `runc --version` or `crun --version`; "" when it could not be had. Known holes
 * through which a container reaches its host are told (security-faults.md 1.6). */
void judge_runtime_version(const char *line, struct doctor_check *check);

/* /proc/self/oom_score_adj, which nodes inherit. */
void judge_oom_score(int64_t score, struct doctor_check *check);

/* Seconds since the epoch. */
void judge_clock(int64_t wall_s, struct doctor_check *check);

/* What the engine's networks are made with. */
void judge_firewall(bool has_iptables, bool has_nft, struct doctor_check *check);

/* The ports that are given out when nobody names one, and whether one could be had just now. */
void judge_ports(int64_t lowest, int64_t highest, bool bound, struct doctor_check *check);

/* KiB of swap in all. */
void judge_swap(uint64_t kib, struct doctor_check *check);

/* Where the engine runs, as far as it bears on nodes (CN-025, CN-091). */
void judge_engine_host(const struct engine_info *info, struct doctor_check *check);
