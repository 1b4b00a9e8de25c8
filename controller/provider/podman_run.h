#pragma once
/* Carrying out podman's steps: what counts as success, what is tried again. */
#include "controller/provider/provider_impl.h"

/* See provider_run(). */
int podman_run(struct provider *p, const struct step *step, struct deadline by, struct err *err);
