#pragma once
/*
 * Making node images: images/node/build, as it lies beside the program, with what the user wants in them
 * (DESIGN.md section 6). The script is the one that `make image` runs.
 */
#include "controller/exec/exec.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

/* Strings are borrowed; NULL: not wanted. */
struct image_build {
	const char *tag;
	const char *engine;  /* "podman" or "docker" takes it in */
	const char *base;    /* an image to build upon, instead of Debian's packages */
	const char *kubelet; /* directory with kubelet, and kubeadm and kubectl if they are there */
	const struct strv *packages; /* more Debian packages; may be NULL */
	const struct strv *preloads; /* image archives that nodes begin with; may be NULL */
};

/* Where the script and the agent's program are: below $BERTH_SHARE, else the share/berth beside the
 * directory of this program, else the source tree it was built in. ERR_NOT_FOUND, reason
 * IMAGE_PARTS_MISSING. Caller frees both. */
int image_find_parts(char **ret_script, char **ret_berthd, struct err *err);

/* Pure: the script's words. Caller releases; ERR_RESOURCE_EXHAUSTED only. */
int image_build_argv(const struct image_build *build, const char *script, const char *berthd,
		     struct strv *ret_argv, struct err *err);

/* Runs it; the last line of what it complains about becomes the error, reason IMAGE_BUILD_FAILED. */
int image_build_run(const struct strv *argv, const struct interrupt *interrupt, struct deadline by,
		    struct err *err);
