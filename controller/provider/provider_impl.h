#pragma once
/*
 * For those who write a provider. Callers use provider.h.
 *
 * To add one: (1) write controller/provider/<name>.c that ends in one exported
 * 'struct provider_ops', (2) add its row to the array in provider.c. The conformance suite then
 * covers it. NULL in an optional slot means "cannot": callers get ERR_UNIMPLEMENTED.
 */
#include "controller/provider/provider.h"

struct provider_ops {
	/* As in --provider; [a-z]+. */
	const char *name;

	/* Program that must be in PATH for the provider to be chosen by itself; NULL: never chosen
	 * by itself. */
	const char *program;

	/* Allocates the state ('struct provider' first in it). No spawn. */
	int (*open)(const struct host_facts *facts, struct provider **ret_provider,
		    struct err *err);
	/* Frees the state. */
	void (*close)(struct provider *p);

	/* See provider_has_agents(); NULL: they do. */
	bool (*has_agents)(const struct provider *p);

	/* See provider_list() and provider_survey(). Any order. Both are empty before, and the
	 * wrapper releases them after a failure. */
	int (*list)(struct provider *p, const char *cluster, struct deadline by,
		    struct node_list *list, struct strv *foreign, struct err *err);
	/* See provider_networks(). 'list' is empty before; released by the wrapper on failure. */
	int (*networks)(struct provider *p, struct deadline by, struct network_list *list,
			struct err *err);

	/* Pure. See provider_plan_network(). */
	int (*plan_network)(struct provider *p, const struct network_spec *spec, struct plan *plan,
			    struct err *err);
	/* Pure. See provider_plan_image(). */
	int (*plan_image)(struct provider *p, const char *image, struct plan *plan,
			  struct err *err);
	/* Pure. See provider_plan_pull(). Optional. */
	int (*plan_pull)(struct provider *p, const char *image, struct plan *plan, struct err *err);
	/* Pure. See provider_plan_create(); one STEP_CONTAINER_CREATE. */
	int (*plan_create)(struct provider *p, const struct node_spec *spec, struct plan *plan,
			   struct err *err);
	/* Pure. See provider_plan_act(). */
	int (*plan_act)(struct provider *p, enum step_action action, const char *node,
			int64_t grace_s, struct plan *plan, struct err *err);
	/* Pure. See provider_plan_network_delete(). */
	int (*plan_network_delete)(struct provider *p, const char *network, struct plan *plan,
				   struct err *err);

	/* See provider_run(). */
	int (*run)(struct provider *p, const struct step *step, struct deadline by,
		   struct err *err);
	/* See provider_info(). */
	int (*info)(struct provider *p, struct deadline by, struct engine_info *ret,
		    struct err *err);
	/* See provider_dump(). Optional. */
	int (*dump)(struct provider *p, enum provider_dump what, const char *name,
		    struct deadline by, struct text *ret, struct err *err);
	/* See provider_relay_argv(). Pure; failures are remembered by 'argv'. 'program' is the slot's.
	 * Optional. */
	void (*relay_argv)(const char *program, const char *node, struct strv *argv);
	/* See provider_address(). No spawn. Optional: it is here. */
	char *(*address)(void);
	/* See provider_console_tail(). Optional. */
	char *(*console_tail)(struct provider *p, const char *node, struct deadline by);
	/* See provider_console_wait(). Optional. */
	void (*console_wait)(struct provider *p, const char *node, struct deadline by);
};

/* Every provider's state begins with this. */
struct provider {
	const struct provider_ops *ops;
	struct host_facts facts;
	struct engine_info engine;         /* see provider_set_engine() */
	bool absent;                       /* opened to plan only: its program is not there */
	const struct interrupt *interrupt; /* may be NULL */
	const char *memory;                /* see provider_set_memory(); may be NULL */
};

extern const struct provider_ops podman_ops;
extern const struct provider_ops docker_ops;
extern const struct provider_ops fake_ops;
