#pragma once
/*
 * A dockerd of the test's own: private socket, data, containerd, no bridge of its own and no firewall
 * rules. Its nodes run where the host may not hand out every capability, too (a wrapper around runc
 * takes CAP_SYS_RESOURCE away). All of it, containers included, goes with dockerd_stop().
 */
#include <stdbool.h>

struct dockerd;
struct machine;

/* Starts it, waits until it answers, and points $DOCKER_HOST at it. NULL when it cannot be had here, and
 * why in '*ret_why' (static storage). */
struct dockerd *dockerd_start(const char **ret_why);

/* The same on another machine, which outlives it, at "tcp://ADDRESS:2375". */
struct dockerd *dockerd_start_on(const struct machine *machine, const char **ret_why);

/* Pipes `podman save IMAGE` into `docker load`; false when podman has no such image. Asserts the rest. */
bool dockerd_load(struct dockerd *d, const char *image);

/* "unix:///...", "tcp://..." */
const char *dockerd_host(const struct dockerd *d);

/* Stops it from answering and lets it answer again. */
void dockerd_freeze(struct dockerd *d);
void dockerd_thaw(struct dockerd *d);

/* Ends it, and whatever its containers left, and unsets $DOCKER_HOST. Takes NULL. */
void dockerd_stop(struct dockerd *d);
