#pragma once
/*
 * To an agent whose socket this host does not have: the engine runs `berthd relay` in the node, one for each
 * of nng's connections, and its stdin and stdout are the pipe.
 */
#include "controller/client/bridge.h"
#include "shared/base/text.h"

/* 'argv' starts one relay ("podman exec --interactive NODE berthd relay"); copied. Nothing is started yet.
 * Errors come by bridge_failed() and so from the calls: ERR_UNAVAILABLE, reason AGENT_NOT_ANSWERING, with
 * the program's last words, or that there is no such program. */
int channel_relay_open(const struct strv *argv, struct bridge **ret_bridge, struct err *err);
