#pragma once
/*
 * "Another machine" for engines: a network of its own, reached over one link, and a /run of its own, so that
 * nothing this host keeps there (state directories, sockets) is there, too. The kernel, /var and the
 * images are shared. Its first process holds it.
 */
#include "shared/base/text.h"

#include <stdbool.h>

struct machine;

/* NULL when it cannot be had here, and why in '*ret_why' (static storage). */
struct machine *machine_start(const char **ret_why);

/* Its IPv4 address as this host sees it. Borrowed. */
const char *machine_address(const struct machine *m);

/* Appends the words behind which a program runs on the machine. */
void machine_add_words(const struct machine *m, struct strv *argv);

/* Whether a program ended well there. At most 'timeout_ms'. Words end with NULL. */
bool machine_run(const struct machine *m, int timeout_ms, const char *const *words);

/* Whatever still runs there ends with it. Takes NULL. */
void machine_stop(struct machine *m);
