#pragma once
/* The image's health command: asks the node's own /healthz. */

/* Prints what it says. 0 when the node is healthy, else 1; never longer than 'timeout_ms'. */
int check_health(unsigned port, int timeout_ms);
