/* exec, attach: a command in nodes or in a container, and a container's own. What it prints and how it ends
 * is the command's. */
#include "controller/cli/exit_code.h"
#include "controller/cli/nodes.h"
#include "controller/cli/session.h"
#include "controller/cli/terminal.h"

#include "node/v1/exec.pb-c.h"

#include <string.h>

/* Until a command has started. */
#define START_MS 30000

struct exec_run {
	struct invocation *inv;
	const struct node_list *list;
	struct session_set *set;
	Berth__Node__V1__ExecStartRequest req; /* the same for all; its lists are borrowed */
	Berth__Node__V1__ContainerTarget target;
	bool attach; /* to the target's main process */
	int *codes;  /* one a node */
};

static int start(struct exec_run *run, struct client *client, struct client_stream **ret_stream,
		 struct err *err)
{
	struct deadline by = deadline_min(run->inv->by, deadline_in_ms(START_MS));
	struct rpc rpc = rpc_to(client, &berth__node__v1__exec__descriptor, by, err);
	struct client_stream_id id = { .len = 0 };
	Berth__Node__V1__ExecAttachRequest attach = BERTH__NODE__V1__EXEC_ATTACH_REQUEST__INIT;

	attach.target = run->req.target;
	attach.input = run->req.input;
	attach.tty = run->req.tty;
	if (run->attach)
		berth__node__v1__exec__attach(&rpc.base, &attach, client_stream_take_id, &id);
	else
		berth__node__v1__exec__start(&rpc.base, &run->req, client_stream_take_id, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, ret_stream, err);
}

static int code_of(const struct err *err)
{
	if (strcmp(err->reason, "PROGRAM_NOT_FOUND") == 0)
		return EXIT_CODE_EXEC_NO_PROGRAM;
	if (strcmp(err->reason, "PROGRAM_NOT_EXECUTABLE") == 0)
		return EXIT_CODE_EXEC_REFUSED;
	if (err->code == ERR_CANCELLED)
		return EXIT_CODE_INTERRUPTED;
	return EXIT_CODE_EXEC_FAILED;
}

static int run_on_node(struct exec_run *run, struct node *node, int *ret_code, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *s = NULL;
	struct client_stream_end end;
	struct client *client;

	if (nodes_client(node, &client, err) < 0 || start(run, client, &s, err) < 0)
		return -1;
	if (session_run(run->set, s, node->name, &end, err) < 0) {
		/* `| head` has seen enough: what a shell says of a command that SIGPIPE ended. */
		if (strcmp(err->reason, "OUTPUT_CLOSED") != 0)
			return -1;
		memset(err, 0, sizeof(*err));
		*ret_code = 128 + 13;
		return 0;
	}
	if (end.err.code != ERR_OK) {
		*err = end.err;
		return -1;
	}
	*ret_code = end.exit_code;
	return 0;
}

/* node_fn */
static int exec_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct exec_run *run = arg;
	int code = 0, rc = run_on_node(run, node, &code, err);

	(void)rows;
	for (size_t i = 0; i < run->list->count; i++) {
		if (strcmp(run->list->items[i]->name, node->name) == 0)
			run->codes[i] = rc < 0 ? code_of(err) : code;
	}
	return rc;
}

/* --- the request ----------------------------------------------------------------------------------- */

/* Where: "NODE" or "NODE/POD", the first word unless -N says it. */
struct place {
	struct strv node; /* the word's node; empty: -N */
	char *pod;        /* NULL: the node itself */
	size_t skip;      /* words that are not the command's */
};

static void cleanup_place(struct place *place)
{
	strv_release(&place->node);
	free(place->pod);
}

/* "NAME=VALUE", or "NAME" for the value it has here. */
static int add_variable(Berth__Node__V1__ExecVariable *v, char *word, struct err *err)
{
	char *equals = strchr(word, '=');
	const char *here = equals ? NULL : getenv(word);

	if (equals == word || !*word) {
		usage_error(err, "--env: '%s' has no name", word);
		return err_explain(err, "BAD_VALUE", NULL);
	}
	if (equals)
		*equals = '\0';
	berth__node__v1__exec_variable__init(v);
	v->name = word;
	v->value = equals ? equals + 1 : (char *)(here ? here : "");
	return 0;
}

/* The variables, and pointers to them, in one piece of memory. */
struct variables {
	Berth__Node__V1__ExecVariable *items;
	Berth__Node__V1__ExecVariable **list;
	size_t count;
};

static void cleanup_variables(struct variables *v)
{
	free(v->items);
	free(v->list);
}

static int fill_variables(const struct strv *words, struct variables *ret, struct err *err)
{
	ret->items = calloc(words->count + 1, sizeof(*ret->items));
	ret->list = calloc(words->count + 1, sizeof(struct Berth__Node__V1__ExecVariable *));
	if (!ret->items || !ret->list)
		return err_oom(err);
	for (size_t i = 0; i < words->count; i++) {
		if (add_variable(&ret->items[i], words->items[i], err) < 0)
			return -1;
		ret->list[i] = &ret->items[i];
	}
	ret->count = words->count;
	return 0;
}

static int fill_words(const struct invocation *inv, const struct place *place, bool tty,
		      struct strv *ret, struct err *err)
{
	/* First, so that a TERM of the user's own takes its place. A container has its own. */
	if (tty && !place->pod && getenv("TERM"))
		strv_addf(ret, "TERM=%s", getenv("TERM"));
	strv_add_all(ret, &inv->opt->env);
	return strv_failed(ret) ? err_oom(err) : 0;
}

static void fill_target(struct exec_run *run, const struct place *place)
{
	const struct options *opt = run->inv->opt;

	if (!place->pod)
		return;
	berth__node__v1__container_target__init(&run->target);
	run->target.namespace_ = (char *)(opt->namespace ? opt->namespace : "default");
	run->target.pod = place->pod;
	run->target.container = (char *)(opt->container ? opt->container : "");
	run->req.target = &run->target;
}

static void fill_request(struct exec_run *run, const struct session_how *how,
			 const struct variables *variables, const struct strv *command,
			 const struct place *place)
{
	const struct options *opt = run->inv->opt;
	Berth__Node__V1__ExecStartRequest *req = &run->req;

	berth__node__v1__exec_start_request__init(req);
	req->argv = command->items + place->skip;
	req->n_argv = command->count - place->skip;
	req->env = variables->list;
	req->n_env = variables->count;
	req->directory = (char *)(opt->directory ? opt->directory : "");
	req->user = (char *)(opt->user ? opt->user : "");
	req->tty = how->tty;
	req->input = how->input || how->tty;
	if (how->tty)
		terminal_size(&req->rows, &req->columns);
	fill_target(run, place);
}

/* --- the command ----------------------------------------------------------------------------------- */

static int find_place(const struct invocation *inv, struct place *ret, struct err *err)
{
	const char *word = inv->args->items[0];
	const char *slash = strchr(word, '/');

	if (inv->opt->nodes.count > 0)
		return 0;
	/* "node/x", as -o name prints it, means x. */
	if (slash && slash - word == 4 && strncmp(word, "node", 4) == 0) {
		word = slash + 1;
		slash = strchr(word, '/');
	}
	ret->skip = 1;
	strv_addf(&ret->node, "%.*s", (int)(slash ? slash - word : (int)strlen(word)), word);
	if (slash)
		ret->pod = strdup(slash + 1);
	if (strv_failed(&ret->node) || (slash && !ret->pod))
		return err_oom(err);
	if (slash && !slash[1])
		return usage_error(err, "which pod? NODE/POD");
	return 0;
}

static int select_nodes(struct invocation *inv, const struct place *place,
			struct node_list *ret_list, struct err *err)
{
	if (place->node.count == 0)
		return nodes_select(inv, NODES_ALL, ret_list, err);
	return nodes_select_words(inv, &place->node, NODES_ALL, ret_list, err);
}

static int choose_how(const struct invocation *inv, const struct node_list *list,
		      struct session_how *ret, struct err *err)
{
	*ret = (struct session_how){
		.input = inv->opt->input,
		.tty = inv->opt->tty,
		.name_lines = list->count > 1,
	};
	if (list->count > 1 && (ret->input || ret->tty))
		return usage_error(err, "--stdin and --tty go with one node, not with %zu",
				   list->count);
	if (ret->tty && ret->input && !terminal_is_here()) {
		invocation_note(inv, "there is no terminal here: --tty is left out");
		ret->tty = false;
	}
	return 0;
}

static int highest(const int *codes, size_t count)
{
	int highest = 0;

	for (size_t i = 0; i < count; i++) {
		if (codes[i] > highest)
			highest = codes[i];
	}
	return highest;
}

static int run_all(struct exec_run *run, struct err *err)
{
	struct json_object *rows = NULL;

	if (nodes_ask(run->inv, run->list, exec_on_node, run, &rows, err) < 0)
		return -1;
	json_object_put(rows);
	run->inv->exit_code = highest(run->codes, run->list->count);
	return 0;
}

static int exec_selected(struct invocation *inv, const struct node_list *list,
			 const struct place *place, bool attach, struct err *err)
{
	cleanup_with(session_set) struct session_set *set = NULL;
	cleanup_free int *codes = calloc(list->count + 1, sizeof(*codes));
	__attribute__((cleanup(cleanup_variables))) struct variables variables = { 0 };
	cleanup_with(strv) struct strv words = { 0 };
	struct exec_run run = { .inv = inv, .list = list, .codes = codes, .attach = attach };
	struct session_how how;

	if (!codes)
		return err_oom(err);
	if (choose_how(inv, list, &how, err) < 0 ||
	    fill_words(inv, place, how.tty, &words, err) < 0 ||
	    fill_variables(&words, &variables, err) < 0 ||
	    session_set_open(inv, &how, &set, err) < 0)
		return -1;
	fill_request(&run, &how, &variables, inv->args, place);
	run.set = set;
	return run_all(&run, err);
}

static int run_in_place(struct invocation *inv, bool attach, struct err *err)
{
	__attribute__((cleanup(cleanup_place))) struct place place = { 0 };
	cleanup_with(node_list) struct node_list list = { 0 };

	if (find_place(inv, &place, err) < 0)
		return -1;
	if (!attach && inv->args->count == place.skip)
		return usage_error(err, "which command? berth exec NODE -- COMMAND");
	if (attach && !place.pod)
		return usage_error(err, "which pod? berth attach NODE/POD");
	if (inv->opt->container && !place.pod)
		return usage_error(err, "--container goes with NODE/POD");
	if (select_nodes(inv, &place, &list, err) < 0)
		return -1;
	return exec_selected(inv, &list, &place, attach, err);
}

/* The codes below 125 are the command's. */
static int run_or_tell(struct invocation *inv, bool attach, struct err *err)
{
	if (run_in_place(inv, attach, err) == 0)
		return 0;
	invocation_fail(inv, err);
	inv->exit_code = code_of(err);
	return 0;
}

static int exec(struct invocation *inv, struct err *err)
{
	return run_or_tell(inv, false, err);
}

static int attach(struct invocation *inv, struct err *err)
{
	return run_or_tell(inv, true, err);
}

#define OPTION_ROW_CONTAINER                                                                 \
	{                                                                                    \
		.name = "container", .letter = 'c', .value = "NAME", .type = OPTION_TEXT,    \
		OPTION_AT(container), .help = "container of the pod (default: its only one)" \
	}
#define OPTION_ROW_STDIN                                                                 \
	{                                                                                \
		.name = "stdin", .letter = 'i', .type = OPTION_SWITCH, OPTION_AT(input), \
		.help = "pass on standard input"                                         \
	}

static const struct option_spec exec_options[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_STDIN,
	{ .name = "tty",
	  .letter = 't',
	  .type = OPTION_SWITCH,
	  OPTION_AT(tty),
	  .help = "give the command a terminal" },
	{ .name = "env",
	  .letter = 'e',
	  .value = "K=V",
	  .type = OPTION_REPEAT,
	  OPTION_AT(env),
	  .help = "variable for the command; K alone: as it is here; repeatable" },
	{ .name = "workdir",
	  .letter = 'w',
	  .value = "DIR",
	  .type = OPTION_TEXT,
	  OPTION_AT(directory),
	  .help = "where it runs (default: the user's home)" },
	{ .name = "user",
	  .letter = 'u',
	  .value = "USER",
	  .type = OPTION_TEXT,
	  OPTION_AT(user),
	  .help = "as whom: name or uid, and :group (default: root)" },
	OPTION_ROW_CONTAINER,
	OPTION_ROW_NAMESPACE,
	{ 0 },
};

static const struct option_spec attach_options[] = {
	OPTION_ROW_STDIN,
	{ .name = "tty",
	  .letter = 't',
	  .type = OPTION_SWITCH,
	  OPTION_AT(tty),
	  .help = "the container has a terminal" },
	OPTION_ROW_CONTAINER,
	OPTION_ROW_NAMESPACE,
	{ 0 },
};

const struct command cmd_exec = {
	.name = "exec",
	.args = "NODE[/POD] -- COMMAND...",
	.summary = "run a command in nodes, or in a pod's container",
	.details = "The exit code is the command's; 125: berth itself failed, 126: the command "
		   "cannot be\n"
		   "run, 127: there is no such command. A glob, or -N instead of NODE, runs it in "
		   "several\n"
		   "nodes at once: each line then begins with the node's name, and the exit code "
		   "is the\n"
		   "highest. Ctrl-C goes to the command; the third one ends the session. What the "
		   "command\n"
		   "leaves behind ends with it. In a container it has the container's environment, "
		   "directory\n"
		   "and user.",
	.example = "berth exec berth-worker -it -- bash",
	.min_args = 1,
	.max_args = -1,
	.outputs = 1U << OUTPUT_TABLE | 1U << OUTPUT_JSON,
	.options = exec_options,
	.run = exec,
};

const struct command cmd_attach = {
	.name = "attach",
	.args = "NODE/POD",
	.summary = "join a running container: its output from now on, and its input",
	.details = "Ctrl-C leaves the container running, unless keys go to its terminal (-it).",
	.example = "berth attach berth-worker/web -c app",
	.min_args = 1,
	.max_args = 1,
	.outputs = 1U << OUTPUT_TABLE | 1U << OUTPUT_JSON,
	.options = attach_options,
	.run = attach,
};
