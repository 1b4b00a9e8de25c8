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

	/* Allocates the state ('struct provider' first in it). No spawn, no I/O. */
	int (*open)(const struct host_facts *facts, struct provider **ret_provider,
		    struct err *err);
	/* Frees the state. */
	void (*close)(struct provider *p);

	/* See provider_list(). Any order. */
	int (*list)(struct provider *p, const char *cluster, struct deadline by,
		    struct node_list *ret_list, struct err *err);
	/* See provider_is_foreign(). */
	int (*is_foreign)(struct provider *p, const char *name, struct deadline by,
			  bool *ret_foreign, struct err *err);

	/* Pure. See provider_plan_network(). */
	int (*plan_network)(struct provider *p, const char *cluster, const char *network,
			    const char *subnet, struct plan *plan, struct err *err);
	/* Pure. See provider_plan_image(). */
	int (*plan_image)(struct provider *p, const char *image, struct plan *plan,
			  struct err *err);
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
	/* See provider_subnets(). */
	int (*subnets)(struct provider *p, struct deadline by, struct strv *ret_subnets,
		       struct err *err);
	/* See provider_version(). */
	int (*version)(struct provider *p, struct deadline by, char ret[32], struct err *err);
	/* See provider_console_tail(). */
	char *(*console_tail)(struct provider *p, const char *node, struct deadline by);
};

/* Every provider's state begins with this. */
struct provider {
	const struct provider_ops *ops;
	struct host_facts facts;
	const struct interrupt *interrupt; /* may be NULL */
};

extern const struct provider_ops podman_ops;
extern const struct provider_ops fake_ops;
