#pragma once
/*
 * podman's service on another machine, with containers and networks of its own and this host's images. Its
 * administrator has set limits that the machine can give.
 */
#include "tests/support/machine.h"

struct podman_service;

/* Starts it, waits until it answers, and points $CONTAINER_HOST at it ("tcp://ADDRESS:2376"). NULL when it
 * cannot be had here, and why in '*ret_why' (static storage). */
struct podman_service *podman_service_start(const struct machine *machine, const char **ret_why);

/* "tcp://..." */
const char *podman_service_url(const struct podman_service *service);

/* A containers.conf that names it as the connection 'name'; lent until the service ends. */
const char *podman_service_connection(const struct podman_service *service, const char *name);

/* Ends it, and its containers, and unsets $CONTAINER_HOST. Takes NULL. */
void podman_service_stop(struct podman_service *service);
