#pragma once
/*
 * The steps of both engines besides create: making them is pure, oci_run_step() carries one out. Each
 * is an op of provider_impl.h.
 */
#include "controller/provider/oci_cli.h"

int oci_plan_network(struct provider *p, const struct network_spec *spec, struct plan *plan,
		     struct err *err);
int oci_plan_pull(struct provider *p, const char *image, struct plan *plan, struct err *err);
int oci_plan_image(struct provider *p, const char *image, struct plan *plan, struct err *err);
int oci_plan_act(struct provider *p, enum step_action action, const char *node, int64_t grace_s,
		 struct plan *plan, struct err *err);
int oci_plan_network_delete(struct provider *p, const char *network, struct plan *plan,
			    struct err *err);
int oci_run_step(struct provider *p, const struct step *step, struct deadline by, struct err *err);
