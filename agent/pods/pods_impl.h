#pragma once
/*
 * Between the files of this room.
 *
 *   pods.c      open, close, what is known of kubelet
 *   apply.c     apply and delete
 *   query.c     list and wait
 *   worker.c    one worker a pod: observe, plan, act, again; when to look again
 *   observe.c   what the runtime has of one pod
 *   act.c       from a decision to the one next action
 *   job_*.c     the actions: kill, remove, sandbox, start, clean
 *   relist.c    one list for all pods, to notice what changed by itself
 */
#include "agent/events/events.h"
#include "agent/pods/pods.h"
#include "agent/pods/store.h"
#include "agent/runtime/runtime.h"
#include "agent/units/unit.h"
#include "shared/pod/backoff.h"
#include "shared/pod/plan.h"
#include "shared/pod/render.h"

#include <systemd/sd-event.h>

struct job;
struct query;

/* How long things take; tests make it shorter. */
struct pods_timing {
	int64_t relist_min_ms; /* just after something happened */
	int64_t relist_max_ms; /* when nothing happens */
	int64_t kubelet_ms;    /* how long an answer about kubelet counts */
	struct backoff_limits crash;
	struct backoff_limits pull;
	struct backoff_limits retry; /* after errors */
};

extern const struct pods_timing pods_timing_default;

struct pods {
	struct sd_event *loop;
	struct units *units;
	struct runtime *runtime;
	struct events *events; /* NULL: nobody wants to know */
	struct store *store;
	struct pods_timing timing;
	char *volumes_dir;
	char *logs_dir;
	struct worker *workers;
	bool paused;   /* no steps are taken */
	bool quiesced; /* ... until the agent starts again */

	bool kubelet_active;
	int64_t kubelet_checked_ms; /* monotonic; 0: never */
	struct kubelet_call *kubelet_call;

	sd_event_source *relist_timer;
	struct relist_call *relist_call;
	int64_t active_ms; /* monotonic: when something last happened */

	struct query *queries;
	struct apply_call *applies;
};

/* --- observe.c ------------------------------------------------------------------------------------ */

/* Beside seen.containers[i]. */
struct seen_extra {
	uint32_t attempt;
	char *sandbox_id;
	int64_t created_ns;
	int64_t finished_ns;
	char *reason;
	char *message;
	bool has_status; /* exit code, reason and message are known */
};

struct observation {
	struct pod_observed seen;
	struct seen_extra *extra;
	uint64_t signature; /* of ids and states, as relist.c computes it */
};

void observation_release(struct observation *o);

/* --- worker --------------------------------------------------------------------------------------- */

/* What the worker remembers of one container between syncs. */
struct start_state {
	struct start_state *next;
	char *name;
	uint32_t hash;
	struct backoff crash;  /* PS-175: goes with the hash */
	struct backoff pull;   /* PS-182 */
	struct backoff failed; /* other errors */
	int64_t retry_at_ms;   /* monotonic; 0: now */
	int64_t refused_ms;    /* since when its name is reserved for somebody else; 0: it is not */
	uint32_t min_attempt;  /* lower ones are taken by what cannot be seen */
	const char *reason;    /* static; "" when nothing is wrong */
	char *message;
};

struct worker {
	struct worker *next;
	struct pods *pods;
	struct store_record record;
	struct observation obs;
	bool observed; /* obs is of this agent's life */
	bool stale;    /* relist.c saw something else than obs */
	struct job *job;
	bool again;             /* asked to sync while a job was under way */
	bool waits_for_kubelet; /* has looked; goes on when it is known whether kubelet is active */
	bool acted;             /* the last job went well; this was the signature before it */
	uint64_t acted_signature;
	unsigned spins;
	sd_event_source *timer;
	struct start_state *starts;
	struct backoff retry;
	uint32_t min_attempt; /* as in start_state, for the sandbox */
	int64_t refused_ms;
	int64_t no_prune_before_ms;
	char *message; /* what it last ran into, or NULL */
};

struct worker *worker_new(struct pods *pods, struct store_record *take_record);
/* A job under way goes on without it. */
void worker_free(struct worker *w);
/* Syncs soon, or right after the job under way. */
void worker_kick(struct worker *w);
/* Syncs at 'at_ms' (monotonic), or earlier when that is due already. */
void worker_kick_at(struct worker *w, int64_t at_ms);
/* Called by observe.c. */
void worker_observed(struct worker *w, const struct err *err);
/* What comes after a look: the next action. 'w' may be gone afterwards. */
void worker_go_on(struct worker *w);
/* Called by a job that has ended. 'err' NULL: all went well. 'waits' as in struct job. */
void worker_acted(struct worker *w, const struct err *err, bool waits);
/* Keeps "msg" (NULL: nothing) as what it last ran into. */
void worker_say(struct worker *w, const char *msg);
struct start_state *worker_start_state(struct worker *w, const char *name);
/* Waiting with this reason and message, tried again after 'delay_ms'. */
void start_state_wait(struct start_state *st, const char *reason, const char *message,
		      int64_t delay_ms);
/* Notes what happened to its pod, in Kubernetes' words. 'w' may be NULL: then it is nobody's. */
void worker_note(struct worker *w, enum event_type type, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Takes the worker out and frees it: no trace of the pod is left. */
void worker_forget(struct worker *w);

/* --- jobs ----------------------------------------------------------------------------------------- */

/* One action under way. It outlives its worker if need be: 'w' is NULL then, and all that is left to
 * do is to end. */
struct job {
	struct worker *w;
	unsigned pending; /* answers that are due */
	struct err err;   /* the first that went wrong */
	bool can_wait;    /* pulls an image: may be left to itself when the pod is deleted */
	bool waits;       /* ended with a container that waits: nothing has changed, rightly */
	/* All answers are there; goes on or ends with job_free(). */
	void (*next)(struct job *job);
	/* Gives back the job and all it holds. */
	void (*free)(struct job *job);
	/* Ends and frees it at once when the worker goes; NULL: its answers do that. */
	void (*cancel)(struct job *job);
};

/* For one call of a job: item 'index' of it. */
struct job_call {
	struct job *job;
	size_t index;
};

/* The 'arg' of one more call; NULL (memory): the call must not be made. */
struct job_call *job_call(struct job *job, size_t index);
/* In an answer: gives the call back, returns its job and item; the answer ends with job_answered(). */
struct job *job_answer(struct job_call *call, size_t *ret_index);
void job_answered(struct job *job);
void job_fail(struct job *job, const struct err *err);
/* Makes it the worker's job. 'size' bytes, beginning with a struct job; NULL when memory is short. */
void *job_new(struct worker *w, size_t size, void (*next)(struct job *),
	      void (*free)(struct job *));
/* The job is over: tells the worker (if there is one). */
void job_end(struct job *job);
/* Without worker, or while the node is brought to rest, nothing more is begun. */
bool job_may_go_on(const struct job *job);

/* The runtime refused a name because something has it: a call of an earlier life that is still under
 * way, or what it left behind. containerd says so in its text only. */
bool name_is_reserved(const struct err *err);
/* How long something unseen may hold a name before another attempt is taken. */
#define RESERVED_MS (30 * 1000)

void observe_start(struct worker *w);

struct kill_item {
	char *id;
	char *name;
	unsigned wave; /* stopped one after another (PS-129) */
	bool remove;   /* in unknown state: removed afterwards (PS-272) */
};

/* Takes both lists. Sandboxes are stopped after all containers, also when some did not stop. */
void kill_start(struct worker *w, struct kill_item *take_items, size_t count,
		struct strv *take_sandboxes, int64_t grace_s);
/* Takes both lists; failures are only noted when 'quietly'. */
void remove_start(struct worker *w, struct strv *take_containers, struct strv *take_sandboxes,
		  bool quietly);
void sandbox_start(struct worker *w, uint32_t attempt);
void container_start(struct worker *w, const char *name);
/* The last one: directories, record, worker. 'w' may be gone afterwards. */
void clean_start(struct worker *w);

/* --- the rest ------------------------------------------------------------------------------------- */

/* Takes the next action after 'w->obs'. */
void act(struct worker *w);

/* What render needs to know of the node; strings are borrowed from 'facts'. */
struct node_facts {
	struct render_node node;
	char name[256];
	char host_ip[64];
	char *resolv_conf;
};

void node_facts_get(struct worker *w, struct node_facts *ret);
void node_facts_release(struct node_facts *f);

/* Makes the directories the pod's volumes and logs need; checks what hostPath types promise. */
int volumes_prepare(struct worker *w, const struct render_node *node, struct err *err);

void relist_arm(struct pods *pods);
void relist_close(struct pods *pods);
/* What the runtime has now, against what the workers have observed. New: NULL when memory is short;
 * the additions: false then. */
struct changes;
struct changes *changes_new(void);
void changes_free(struct changes *c);
bool changes_add_sandboxes(struct changes *c, const struct runtime_sandbox *list, size_t count);
bool changes_add_containers(struct changes *c, const struct runtime_container *list, size_t count);
/* Marks and kicks the workers whose pod is not as they know it. */
void changes_kick(const struct changes *c, struct pods *pods);
/* The order of the additions does not matter. */
uint64_t signature_add(uint64_t signature, const char *id, unsigned state);
#define SIGNATURE_START 1

/* Something a query may wait for has changed. */
void queries_look(struct pods *pods);
void queries_close(struct pods *pods);

extern const char *const kubelet_unit[1];
#define KUBELET_MS (5 * 1000)
/* Takes in an answer of units_status() for kubelet_unit. */
void kubelet_note(struct pods *pods, const struct unit_status *list, size_t count,
		  const struct err *err);
/* True when the answer is fresh; else asks, and when it is known the workers that wait go on. */
bool kubelet_known(struct pods *pods);

/* The wanted one of that name; one that is being deleted only when there is no other. */
struct worker *worker_find(struct pods *pods, const char *namespace, const char *name);

/* Answers everything under way with ERR_CANCELLED. */
void applies_close(struct pods *pods);

/* As pods_open(), with other timing. */
int pods_open_with(const char *state_dir, struct sd_event *loop, struct units *units,
		   struct runtime *runtime, const struct pods_timing *timing,
		   struct pods **ret_pods, struct err *err);

/* Moves everything from 'w' that the answer to List needs. Strings are borrowed from the worker;
 * 'ret->containers' is malloc'd. */
bool worker_view(const struct worker *w, struct pod_view *ret);

/* What a call to the runtime may take. */
#define LIST_MS (10 * 1000)
#define CALL_MS (2 * 60 * 1000)
#define PULL_MS (10 * 60 * 1000)
