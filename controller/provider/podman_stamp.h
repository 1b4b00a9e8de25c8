#pragma once
/*
 * What podman's answers rest on, as text: as long as the text is the same, so are the answers. Only for a
 * podman of root's that runs its containers itself: what a service does on another machine, or what a
 * user's session is granted, leaves no trace here. Elsewhere than on Linux there is no stamp.
 */
#include "controller/provider/provider_impl.h"

/* For what podman says of itself and its host: the program, its configuration, the environment, the boot,
 * processors and memory. False when that cannot be told. */
bool podman_stamp(const struct provider *p, struct text *ret);

/* For what it says of its containers, too: podman writes each change into its database, which lies below
 * 'storage'. False when there is none, or when it changed just now: the clock of files is too coarse to tell one change
 * from the next. */
bool podman_stamp_containers(const char *storage, struct text *ret);

/* Whether this is the database that all these nodes are in. */
bool podman_has_nodes(const char *storage, const struct node_list *nodes);
