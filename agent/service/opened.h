#pragma once
/* What the services that open sessions have in common. */
#include "agent/streams/child.h"

#include "node/v1/streams.pb-c.h"

/* Answers with the session's id. */
void opened_reply(const struct stream *s, Berth__Node__V1__StreamOpened_Closure reply, void *call);

/* Starts one of the programs that are installed beside berthd ("berthd-copy"), or, without a slash, some
 * other, as a helper whose session is handed out; the words end with NULL. ERR_FAILED_PRECONDITION,
 * reason HELPER_MISSING, when the node does not have it. */
int opened_helper(void *call, const char *kind, const char *const *argv, bool input,
		  struct stream **ret_stream, struct err *err);
