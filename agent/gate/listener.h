#pragma once
/* Where connections come from: a unix socket of our own making. */
#include "shared/base/err.h"

#include <sys/un.h>

/* Fills the address of 'path'. ERR_INVALID_ARGUMENT when it does not fit in sun_path. */
int unix_address(const char *path, struct sockaddr_un *ret, struct err *err);

/* Makes a listening socket at 'path', mode 0600, in place of a stale one; there is no moment at
 * which 'path' is absent if it was there before. The parent is made with mode 0700 if absent.
 * '*ret_fd' is the caller's: non-blocking, close-on-exec. */
int listener_open(const char *path, int *ret_fd, struct err *err);
