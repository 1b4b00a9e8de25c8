#pragma once
/*
 * Between our words (runtime.h, request.h) and CRI's messages. Pure. What is made lives in the arena
 * and borrows its strings from what it was made of.
 */
#include "agent/runtime/cri/arena.h"
#include "agent/runtime/runtime.h"

#include "cri/v1/runtime.pb-c.h"

/* NULL when the arena failed. */
Runtime__V1__PodSandboxConfig *message_sandbox_config(struct arena *a,
						      const struct sandbox_request *req);
Runtime__V1__ContainerConfig *message_container_config(struct arena *a,
						       const struct container_request *req);

/* Lists of '*ret_count' items; NULL when the arena failed. An answer may leave out anything. */
struct runtime_sandbox *message_to_sandboxes(struct arena *a,
					     const Runtime__V1__ListPodSandboxResponse *from,
					     size_t *ret_count);
struct runtime_container *message_to_containers(struct arena *a,
						const Runtime__V1__ListContainersResponse *from,
						size_t *ret_count);

/* Fill one; false when the arena failed. */
bool message_to_sandbox(struct arena *a, const Runtime__V1__PodSandboxStatus *from,
			struct runtime_sandbox *ret);
bool message_to_container(struct arena *a, const Runtime__V1__ContainerStatus *from,
			  struct runtime_container *ret);

/* Readiness and the first reason against it; name and version are left alone. */
void message_to_info(const Runtime__V1__StatusResponse *from, struct runtime_info *ret);

/* The process of a sandbox, from the verbose part of its status; 0 when that does not tell. */
uint32_t message_sandbox_pid(const Runtime__V1__PodSandboxStatusResponse *from);

/* A list of '*ret_count' items; NULL when the arena failed. */
struct runtime_image *
message_to_images(struct arena *a, const Runtime__V1__ListImagesResponse *from, size_t *ret_count);

/* Some runtimes say that 'id' is not there in words only. The words must be about this id: others are
 * not found too, such as programs, networks and cgroups. */
bool message_says_absent(const struct err *err, const char *id);

/* What a container is made from (PS-187), or NULL. */
const char *message_image_ref(const Runtime__V1__Image *image);
