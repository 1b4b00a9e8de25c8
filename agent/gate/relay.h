#pragma once
/*
 * `berthd relay`: one connection to the agent's public socket, carried over stdin and stdout. A controller
 * that cannot reach the socket starts it through the engine's exec (DESIGN.md D7). One client is one relay; how
 * many there may be at once is the gate's to say (320, each a peer of its own). The engine is slower than that:
 * an exec takes it some 0.1 s, and a process of its own on the host for as long as the relay runs.
 */
#include "shared/base/err.h"

/* Carries bytes both ways until the agent's side has ended and all of it has left, or 'out_fd' takes no
 * more. An end of 'in_fd' is handed on, and the answers to what came before it still arrive. At most 64 KiB
 * are held in each direction. Blocks; 'in_fd' and 'out_fd' become non-blocking. ERR_UNAVAILABLE when
 * nobody listens on 'socket_path'. */
int relay_run(const char *socket_path, int in_fd, int out_fd, struct err *err);
