#include "controller/provider/oci_cli.h"

#include "controller/provider/oci_parse.h"
#include "shared/base/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH 64
#define ASK_MS     19000
#define ASK_TRIES  5

static int not_run(const char *program, struct err *err)
{
	if (strcmp(err->reason, "PROGRAM_NOT_FOUND") == 0) {
		err_set(err, ERR_UNAVAILABLE, 0, "'%s' is not installed", program);
		return err_explain(err, "ENGINE_NOT_INSTALLED",
				   "install it, or put it into PATH, then see 'berth doctor'");
	}
	if (err->code == ERR_DEADLINE_EXCEEDED)
		return err_explain(err, "ENGINE_HUNG",
				   "see whether the engine answers at all, or give more --timeout");
	return -1;
}

static void log_failure(const struct strv *argv, const struct exec_result *result)
{
	cleanup_free char *words = NULL;

	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	words = exec_argv_text(argv);
	log_debug("exit code %d: %s\n%s", result->exit_code, words ? words : argv->items[0],
		  text_str(&result->errs));
}

int oci_run_with(struct provider *p, const struct strv *argv, const struct strv *env,
		 struct deadline by, struct exec_result *ret_result, struct err *err)
{
	struct exec_options options = { .by = by, .interrupt = p->interrupt, .env = env };
	cleanup_with(exec_result) struct exec_result result = { 0 };

	if (exec_run(argv, &options, &result, err) < 0)
		return not_run(p->ops->program, err);
	if (result.exit_code != 0) {
		log_failure(argv, &result);
		return oci_error(p->ops->program, text_str(&result.errs), result.exit_code, err);
	}
	if (ret_result) {
		*ret_result = result;
		result = (struct exec_result){ 0 };
	}
	return 0;
}

int oci_run(struct provider *p, const struct strv *argv, struct deadline by,
	    struct exec_result *ret_result, struct err *err)
{
	return oci_run_with(p, argv, NULL, by, ret_result, err);
}

/* Only blanks may stand behind the value. */
static bool only_blanks(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!s[i] || !strchr(" \t\r\n", s[i]))
			return false;
	}
	return true;
}

int oci_json_parse(const char *text, size_t len, enum json_type type, struct json_object **ret_json,
		   struct err *err)
{
	struct json_tokener *tokener;
	struct json_object *json;
	enum json_tokener_error why;
	size_t end;

	if (len >= EXEC_OUT_MAX)
		return oci_garbled("it is longer than 16 MiB", err);
	tokener = json_tokener_new_ex(JSON_DEPTH);
	if (!tokener)
		return err_oom(err);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	json = json_tokener_parse_ex(tokener, text, (int)len);
	why = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);

	if (why != json_tokener_success || !only_blanks(text + end, len - end)) {
		json_object_put(json);
		return oci_garbled(why == json_tokener_success ? "something stands behind the JSON"
				   : why == json_tokener_continue ? "the JSON ends too early"
								  : json_tokener_error_desc(why),
				   err);
	}
	if (!json_object_is_type(json, type)) {
		json_object_put(json);
		return oci_garbled("not the JSON type it should be", err);
	}
	*ret_json = json;
	return 0;
}

struct deadline oci_ask_deadline(struct deadline by)
{
	return deadline_min(by, deadline_in_ms(ASK_MS));
}

int oci_ask(struct provider *p, const struct strv *argv, struct deadline by,
	    struct exec_result *ret_result, struct err *err)
{
	by = oci_ask_deadline(by);
	for (int tries = 1;; tries++) {
		if (oci_run(p, argv, by, ret_result, err) == 0)
			return 0;
		if (err->code != ERR_NOT_FOUND || tries == ASK_TRIES)
			return -1;
	}
}

bool oci_wait(struct provider *p, int64_t ms, struct deadline by)
{
	struct pollfd pfd = { .fd = p->interrupt ? p->interrupt->fd : -1, .events = POLLIN };

	return poll(&pfd, 1, deadline_poll_ms(deadline_min(by, deadline_in_ms(ms)))) == 0;
}

void oci_add_words(struct strv *argv, const char *const *words)
{
	for (; *words; words++)
		strv_add(argv, *words);
}

const struct oci_flavour *oci_flavour(const struct provider *p)
{
	return ((const struct oci_provider *)p)->flavour;
}

/* What the address says goes for plans until the engine speaks for itself. */
static bool look_where(struct provider *p)
{
	cleanup_free char *address = p->ops->address();

	if (!address)
		return false;
	p->engine.remote |= oci_url_host(address, p->engine.host, sizeof(p->engine.host));
	return true;
}

int oci_open(const struct provider_ops *ops, const struct oci_flavour *flavour,
	     const struct host_facts *facts, struct provider **ret_provider, struct err *err)
{
	struct oci_provider *p = calloc(1, sizeof(*p));

	if (!p)
		return err_oom(err);
	p->flavour = flavour;
	p->base.ops = ops;
	p->base.facts = *facts;
	p->base.engine.memory_limit = true;
	p->base.engine.swap_limit = true;
	p->base.engine.cpu_limit = true;
	p->base.engine.remote = !OCI_SHARES_KERNEL;
	if (ops->address && !look_where(&p->base)) {
		free(p);
		return err_oom(err);
	}
	*ret_provider = &p->base;
	return 0;
}

void oci_close(struct provider *p)
{
	free(p);
}

const char *oci_protocol_name(enum port_protocol protocol)
{
	switch (protocol) {
	case PORT_UDP:
		return "udp";
	case PORT_SCTP:
		return "sctp";
	default:
		return "tcp";
	}
}

void oci_relay_argv(const char *program, const char *node, struct strv *argv)
{
	const char *const words[] = { program, "exec", "--interactive", node, "berthd", "relay" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		strv_add(argv, words[i]);
}

enum node_state oci_state(const char *word)
{
	static const struct {
		const char *word;
		enum node_state state;
	} states[] = {
		{ "running", NODE_RUNNING },     { "paused", NODE_PAUSED },
		{ "restarting", NODE_CREATING }, { "created", NODE_STOPPED },
		{ "configured", NODE_STOPPED },  { "initialized", NODE_STOPPED },
		{ "exited", NODE_STOPPED },      { "stopped", NODE_STOPPED },
		{ "stopping", NODE_STOPPING },   { "removing", NODE_STOPPING },
		{ "dead", NODE_ERROR },
	};

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (strcmp(word, states[i].word) == 0)
			return states[i].state;
	}
	return NODE_UNKNOWN;
}
