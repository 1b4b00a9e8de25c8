#include "agent/service/opened.h"

#include "agent/agent.h"
#include "agent/service/call.h"
#include "shared/base/cleanup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define HELPERS   "berthd-"
#define WORDS_MAX 8

void opened_reply(const struct stream *s, Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	Berth__Node__V1__StreamOpened rep = BERTH__NODE__V1__STREAM_OPENED__INIT;

	rep.stream_id.data = (uint8_t *)stream_id(s);
	rep.stream_id.len = STREAM_ID_BYTES;
	reply(&rep, call);
}

/* Ours stand beside the agent's own program. */
static const char *find_program(const char *name, char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *slash;

	if (n <= 0 || strncmp(name, HELPERS, strlen(HELPERS)) != 0)
		return name;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash ||
	    snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - self), self, name) >= PATH_MAX)
		return name;
	return access(path, X_OK) == 0 ? path : name;
}

int opened_helper(void *call, const char *kind, const char *const *argv, bool input,
		  struct stream **ret_stream, struct err *err)
{
	const char *words[WORDS_MAX + 1] = { NULL };
	struct child_spec spec = { .kind = kind, .argv = words, .input = input, .helper = true };
	char path[PATH_MAX];

	for (size_t i = 0; i < WORDS_MAX && argv[i]; i++)
		words[i] = argv[i];
	words[0] = find_program(argv[0], path);
	spec.directory = "/";
	if (child_stream_open(call_agent(call)->streams, &spec, ROLE_ADMIN, ret_stream, err) == 0)
		return 0;
	if (strcmp(err->reason, "PROGRAM_NOT_FOUND") != 0)
		return -1;
	err_set(err, ERR_FAILED_PRECONDITION, 0, "the node has no program '%s'", argv[0]);
	return err_explain(err, "HELPER_MISSING", "make the node from an image of this version");
}
