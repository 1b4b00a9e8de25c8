#pragma once
/*
 * haproxy's configuration from what the controller says. Pure.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"

#include "node/v1/balancer.pb-c.h"

#define BALANCER_MAX_BACKENDS 64

/* ERR_INVALID_ARGUMENT, reason BALANCER_INVALID, for what could not stand in it safely. 'ret' may have
 * failed for want of memory: ask text_failed(). */
int balancer_config(const Berth__Node__V1__BalancerSetRequest *req, struct text *ret,
		    struct err *err);
