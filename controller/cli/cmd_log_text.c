#include "controller/cli/cmd_log_text.h"

#include "controller/cli/nodes.h"
#include "controller/client/stream.h"

#include "node/v1/logs.pb-c.h"

#include <string.h>

static void ask_container(struct rpc *rpc, const struct log_wanted *wanted,
			  Berth__Node__V1__LogsRange *range, struct client_stream_id *ret)
{
	Berth__Node__V1__LogsContainerRequest req = BERTH__NODE__V1__LOGS_CONTAINER_REQUEST__INIT;
	Berth__Node__V1__ContainerTarget target = BERTH__NODE__V1__CONTAINER_TARGET__INIT;

	target.namespace_ = (char *)wanted->namespace;
	target.pod = (char *)wanted->pod;
	target.container = (char *)wanted->container;
	req.target = &target;
	req.range = range;
	req.previous = wanted->previous;
	berth__node__v1__logs__container(&rpc->base, &req, client_stream_take_id, ret);
}

static void ask_journal(struct rpc *rpc, const struct log_wanted *wanted,
			Berth__Node__V1__LogsRange *range, struct client_stream_id *ret)
{
	Berth__Node__V1__LogsJournalRequest req = BERTH__NODE__V1__LOGS_JOURNAL_REQUEST__INIT;
	char *units[] = { (char *)wanted->unit };

	req.range = range;
	req.units = units;
	req.n_units = wanted->unit != NULL;
	berth__node__v1__logs__journal(&rpc->base, &req, client_stream_take_id, ret);
}

static void ask_dmesg(struct rpc *rpc, Berth__Node__V1__LogsRange *range,
		      struct client_stream_id *ret)
{
	Berth__Node__V1__LogsDmesgRequest req = BERTH__NODE__V1__LOGS_DMESG_REQUEST__INIT;

	req.range = range;
	berth__node__v1__logs__dmesg(&rpc->base, &req, client_stream_take_id, ret);
}

static int open_log(struct client *client, const struct log_wanted *wanted, struct deadline by,
		    struct client_stream **ret_stream, struct err *err)
{
	Berth__Node__V1__LogsRange range = BERTH__NODE__V1__LOGS_RANGE__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__logs__descriptor, by, err);
	struct client_stream_id id = { .len = 0 };

	range.tail_lines = -1;
	if (wanted->kind == LOG_CONTAINER)
		ask_container(&rpc, wanted, &range, &id);
	else if (wanted->kind == LOG_JOURNAL)
		ask_journal(&rpc, wanted, &range, &id);
	else
		ask_dmesg(&rpc, &range, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, ret_stream, err);
}

/* --- what comes ------------------------------------------------------------------------------------- */

struct tail {
	struct text text;
	size_t max;
};

/* Half a line says nothing: it goes with what is dropped before it. */
static void drop_front(struct tail *tail)
{
	struct text *text = &tail->text;
	const char *from, *line;

	if (text->len <= tail->max)
		return;
	from = text->data + (text->len - tail->max);
	line = from[-1] == '\n' ? from : strchr(from, '\n');
	if (line && line != from)
		from = line + 1;
	text->len -= (size_t)(from - text->data);
	memmove(text->data, from, text->len + 1);
}

static int take_bytes(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	struct tail *tail = arg;
	size_t before = tail->text.len;

	(void)channel;
	text_add_bytes(&tail->text, bytes, len);
	if (text_failed(&tail->text))
		return err_oom(err);
	for (size_t i = before; i < tail->text.len; i++) {
		if (!tail->text.data[i])
			tail->text.data[i] = ' ';
	}
	/* Not each time: moving costs as much as what is kept. */
	if (tail->text.len >= 2 * tail->max)
		drop_front(tail);
	return 0;
}

int log_text(struct node *node, const struct log_wanted *wanted, struct deadline by, size_t max,
	     struct text *ret, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *stream = NULL;
	struct client_stream_io io = { .in_fd = -1, .stop_fd = -1, .data = take_bytes };
	struct client_stream_end end;
	struct tail tail = { .max = max };
	struct client *client;
	int rc;

	if (nodes_client(node, &client, err) < 0 || open_log(client, wanted, by, &stream, err) < 0)
		return -1;
	io.arg = &tail;
	rc = client_stream_run(stream, &io, by, &end, err);
	if (rc == 0 && end.err.code != ERR_OK) {
		*err = end.err;
		rc = -1;
	}
	drop_front(&tail);
	text_add(ret, text_str(&tail.text));
	text_release(&tail.text);
	if (rc == 0 && text_failed(ret))
		return err_oom(err);
	return rc;
}
