#pragma once
/* Where connections come from: a unix socket of our own making. */
#include "shared/base/err.h"

#include <sys/types.h>
#include <sys/un.h>

/* Fills the address of 'path'. ERR_INVALID_ARGUMENT when it does not fit in sun_path. */
int unix_address(const char *path, struct sockaddr_un *ret, struct err *err);

/* Makes a listening socket at 'path', mode 0600, in place of a stale one; there is no moment at
 * which 'path' is absent if it was there before. The parent is made with mode 0700 if absent. With a
 * 'gid' that is not 0 its members may connect too: 0660 and, for a parent made here, 0710. '*ret_fd' is the caller's: non-blocking, close-on-exec. */
int listener_open(const char *path, gid_t gid, int *ret_fd, struct err *err);
