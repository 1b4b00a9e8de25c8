#pragma once
#include "shared/base/err.h"

/* Names the pod in the message unless the agent has. Returns -1. */
int pod_failed(const char *name, struct err *err);
