#include "controller/client/channel_relay.h"

#include "controller/client/bridge_impl.h"
#include "controller/exec/exec_pipe.h"

#include <stdlib.h>

struct relay {
	struct strv argv;
};

static int relay_open(void *arg, int stop_fd, struct deadline by, struct bridge_pipe *ret_pipe,
		      struct err *err)
{
	const struct relay *relay = arg;
	struct exec_pipe *pipe;

	(void)stop_fd;
	(void)by;
	if (exec_pipe_open(&relay->argv, &pipe, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err->code = ERR_UNAVAILABLE; /* as with a socket that is not there */
		err_wrap(err, "relay to the agent");
		return err_explain(err, "AGENT_NOT_ANSWERING", NULL);
	}
	*ret_pipe = (struct bridge_pipe){
		.arg = pipe,
		.read_fd = exec_pipe_out(pipe),
		.write_fd = exec_pipe_in(pipe),
	};
	return 0;
}

static int relay_explain(struct bridge_pipe *pipe, struct err *err)
{
	char line[256];

	exec_pipe_complaint(pipe->arg, line, sizeof(line));
	err_set(err, ERR_UNAVAILABLE, 0, "relay to the agent: %s",
		line[0] ? line : "it ended without a word");
	return err_explain(err, "AGENT_NOT_ANSWERING",
			   "see with 'berth get nodes' whether the node runs; start it if not");
}

static void relay_close(struct bridge_pipe *pipe)
{
	exec_pipe_close(pipe->arg);
}

static void relay_release(void *arg)
{
	struct relay *relay = arg;

	strv_release(&relay->argv);
	free(relay);
}

static const struct bridge_ops relay_ops = {
	.name = "relay",
	.open = relay_open,
	.explain = relay_explain,
	.close = relay_close,
	.release = relay_release,
};

int channel_relay_open(const struct strv *argv, struct bridge **ret_bridge, struct err *err)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return err_oom(err);
	strv_add_all(&relay->argv, argv);
	if (strv_failed(&relay->argv)) {
		relay_release(relay);
		return err_oom(err);
	}
	return bridge_open(&relay_ops, relay, ret_bridge, err);
}
