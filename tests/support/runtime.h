#pragma once
/*
 * A runtime on a loop of its own, asked one thing at a time: each rig call makes the runtime's call
 * and runs the loop until its answer is there. What the answer borrowed is copied.
 */
#include "agent/runtime/runtime.h"

#include <systemd/sd-event.h>

#define RT_MAX_ITEMS 256

struct rt_item {
	char id[80];
	char sandbox_id[80];
	char name[64];
	char pod[64];
	char namespace[64];
	char uid[64];
	char image[128];
	char image_ref[128];
	char ip[64];
	char reason[64];
	char label_app[32];
	char annotation_note[32];
	uint32_t attempt;
	bool ready;
	bool host_network;
	enum runtime_state state;
	int64_t created_ns;
	int64_t started_ns;
	int64_t finished_ns;
	int32_t exit_code;
	uint32_t pid;
};

struct rt_answer {
	unsigned count; /* how often 'done' was called */
	struct err err;
	char text[256]; /* id, image reference, or "NAME VERSION READY NETWORK" */
	bool has_text;
	struct rt_item items[RT_MAX_ITEMS];
	size_t item_count;
	int64_t took_ms;
};

struct rt_rig {
	sd_event *loop;
	struct runtime *rt;
	char dir[64]; /* a temporary directory, removed by rt_close() */
	struct rt_answer answer;
};

/* 'address' NULL: the rig's own directory. */
struct rt_rig *rt_open(const char *backend, const char *address);
/* The same directory under a new runtime, as after a restart of the agent. */
void rt_reopen(struct rt_rig *rig, const char *backend);
void rt_close(struct rt_rig *rig);

/* Runs the loop until the answer is there; fails the test after 'limit_ms'. */
void rt_wait(struct rt_rig *rig, struct rt_answer *answer, int64_t limit_ms);
/* Makes or removes an empty file in the directory. */
void rt_flag(struct rt_rig *rig, const char *name, bool on);
/* Appends to, or counts lines with this beginning in, the file 'effects'. */
void rt_append_effect(struct rt_rig *rig, const char *line);
unsigned rt_count_effects(struct rt_rig *rig, const char *beginning);

/* Callbacks that fill a 'struct rt_answer'. */
void rt_done(void *arg, const struct err *err);
void rt_id(void *arg, const char *id, const struct err *err);
void rt_info(void *arg, const struct runtime_info *info, const struct err *err);
void rt_sandboxes(void *arg, const struct runtime_sandbox *list, size_t count,
		  const struct err *err);
void rt_containers(void *arg, const struct runtime_container *list, size_t count,
		   const struct err *err);

/* One call each, 2 s for the answer; the code is the answer's. */
enum err_code rt_get_info(struct rt_rig *rig);
enum err_code rt_run_sandbox(struct rt_rig *rig, const char *uid, uint32_t attempt,
			     char ret_id[80]);
enum err_code rt_stop_sandbox(struct rt_rig *rig, const char *id);
enum err_code rt_remove_sandbox(struct rt_rig *rig, const char *id);
enum err_code rt_sandbox_status(struct rt_rig *rig, const char *id);
enum err_code rt_list_sandboxes(struct rt_rig *rig, const char *id, const char *uid);
enum err_code rt_create(struct rt_rig *rig, const char *sandbox_id, const char *uid,
			const char *name, const char *image, char ret_id[80]);
enum err_code rt_start(struct rt_rig *rig, const char *id);
enum err_code rt_stop(struct rt_rig *rig, const char *id, int64_t grace_s, int64_t limit_ms);
enum err_code rt_remove(struct rt_rig *rig, const char *id);
enum err_code rt_status(struct rt_rig *rig, const char *id);
enum err_code rt_list(struct rt_rig *rig, const char *id, const char *uid);
enum err_code rt_image_status(struct rt_rig *rig, const char *image);
enum err_code rt_pull(struct rt_rig *rig, const char *image);

/* A sandbox and a container request with labels; release them as request.h says. */
void rt_sandbox_request(struct sandbox_request *r, const char *uid, uint32_t attempt);
void rt_container_request(struct container_request *r, const char *uid, const char *name,
			  const char *image);
