#pragma once
/*
 * Host ports, settled before anything is made: those that we pick (hostPort 0), and whether those that
 * were asked for are free. All are held until just before their node is made, so that no two get the
 * same and nobody else takes them in between (CN-094, CN-096, CN-098, CN-294).
 */
#include "controller/config/cluster_config.h"
#include "shared/base/err.h"

struct port_hold;

/* A view of a config in which every port is settled. Strings, labels and mounts are borrowed from the
 * original, which must stay. */
struct ported_config {
	struct cluster_config config;
	struct port_hold *holds;
	size_t hold_count;
};

/* Where a mapping without an address listens: on loopback (CN-092; security-faults.md A4). Static. */
const char *ports_listen_default(enum ip_family family);

/* Settles addresses and ports. Of a remote engine nothing is looked at: 0 becomes -1, its own choice,
 * and where it listens is its provider's to say (CN-091). ERR_ALREADY_EXISTS, reason PORT_IN_USE, names the port that somebody has; ERR_UNAVAILABLE
 * when this host does not have the address. */
int ports_choose(const struct cluster_config *config, bool remote, struct ported_config *ret,
		 struct err *err);

/* Lets go of a node's ports ("": of all): the engine is about to take them. */
void ports_let_go(struct ported_config *ported, const char *node);
void ported_config_release(struct ported_config *ported);
