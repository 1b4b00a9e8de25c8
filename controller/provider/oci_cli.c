#include "controller/provider/oci_cli.h"

#include "controller/config/cluster_config.h"
#include "shared/base/log.h"
#include "shared/base/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH 64

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

int oci_run(struct provider *p, const struct strv *argv, struct deadline by,
	    struct exec_result *ret_result, struct err *err)
{
	struct exec_options options = { .by = by, .interrupt = p->interrupt };
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

static int garbled(const char *why, struct err *err)
{
	err_set(err, ERR_DATA_LOSS, 0, "cannot make sense of the engine's answer: %s", why);
	return err_explain(err, "ENGINE_ANSWER_GARBLED",
			   "see whether the engine's version is supported with 'berth doctor'");
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
		return garbled("it is longer than 16 MiB", err);
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
		return garbled(why == json_tokener_success    ? "something stands behind the JSON"
			       : why == json_tokener_continue ? "the JSON ends too early"
							      : json_tokener_error_desc(why),
			       err);
	}
	if (!json_object_is_type(json, type)) {
		json_object_put(json);
		return garbled("not the JSON type it should be", err);
	}
	*ret_json = json;
	return 0;
}

int oci_run_json(struct provider *p, const struct strv *argv, enum json_type type,
		 struct deadline by, struct json_object **ret_json, struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };

	if (oci_run(p, argv, by, &result, err) < 0)
		return -1;
	return oci_json_parse(text_str(&result.out), result.out.len, type, ret_json, err);
}

void oci_add_labels(struct strv *argv, const struct node_spec *spec)
{
	strv_addf(argv, "--label=" OCI_LABEL_CLUSTER "=%s", spec->cluster);
	strv_addf(argv, "--label=" OCI_LABEL_NODE "=%s", spec->name);
	strv_addf(argv, "--label=" OCI_LABEL_ROLE "=%s", node_role_name(spec->role));
	strv_addf(argv, "--label=" OCI_LABEL_INDEX "=%d", spec->index);
	if (*spec->ip)
		strv_addf(argv, "--label=" OCI_LABEL_IP "=%s", spec->ip);
	strv_addf(argv, "--label=" OCI_LABEL_RUN_DIR "=%s", spec->run_dir);
	strv_add(argv, "--label=" OCI_LABEL_CREATED_BY "=" OCI_CREATED_BY);
	strv_addf(argv, "--label=" OCI_LABEL_VERSION "=%s", version_number());
	for (size_t i = 0; spec->labels && i < spec->labels->count; i++)
		strv_addf(argv, "--label=" OCI_LABEL_OF_NODE "%s=%s", spec->labels->items[i].key,
			  spec->labels->items[i].value);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct kv *)a)->key, ((const struct kv *)b)->key);
}

void oci_add_env(struct strv *argv, const char *engine, const struct node_spec *spec)
{
	const struct kv own[] = {
		{ (char *)"BERTH_CLUSTER", (char *)spec->cluster },
		{ (char *)"BERTH_NODE", (char *)spec->name },
		{ (char *)"BERTH_ROLE", (char *)node_role_name(spec->role) },
		{ (char *)"container", (char *)engine },
		{ (char *)"KUBECONFIG", (char *)"/etc/kubernetes/admin.conf" },
	};
	size_t own_count = ARRAY_LEN(own) - (spec->role != NODE_CONTROL_PLANE);
	size_t more = spec->env ? spec->env->count : 0;
	cleanup_free struct kv *all = calloc(own_count + more, sizeof(*all));

	if (!all) {
		argv->failed = true;
		return;
	}
	memcpy(all, own, own_count * sizeof(*all));
	if (more)
		memcpy(all + own_count, spec->env->items, more * sizeof(*all));
	qsort(all, own_count + more, sizeof(*all), by_key);
	for (size_t i = 0; i < own_count + more; i++)
		strv_addf(argv, "--env=%s=%s", all[i].key, all[i].value);
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

void oci_add_ports(struct strv *argv, const char *any_port, const struct node_spec *spec)
{
	for (size_t i = 0; i < spec->port_count; i++) {
		const struct port_mapping *m = &spec->ports[i];
		const char *host =
			m->listen_address && *m->listen_address ? m->listen_address : "127.0.0.1";
		bool v6 = strchr(host, ':') != NULL;
		char port[16];

		snprintf(port, sizeof(port), "%d", m->host_port);
		strv_addf(argv, "--publish=%s%s%s:%s:%d/%s", v6 ? "[" : "", host, v6 ? "]" : "",
			  m->host_port > 0 ? port : any_port, m->container_port,
			  oci_protocol_name(m->protocol));
	}
}

static const char *propagation_option(enum mount_propagation propagation)
{
	switch (propagation) {
	case MOUNT_BIDIRECTIONAL:
		return "rshared";
	case MOUNT_HOST_TO_CONTAINER:
		return "rslave";
	default:
		return NULL;
	}
}

void oci_add_mounts(struct strv *argv, const struct node_spec *spec)
{
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct mount_config *m = &spec->mounts[i];
		const char *options[] = { m->readonly ? "ro" : NULL,
					  m->selinux_relabel ? "Z" : NULL,
					  propagation_option(m->propagation) };
		cleanup_with(text) struct text word = { 0 };
		char separator = ':';

		text_addf(&word, "--volume=%s:%s", m->host_path, m->container_path);
		for (size_t k = 0; k < ARRAY_LEN(options); k++) {
			if (!options[k])
				continue;
			text_addf(&word, "%c%s", separator, options[k]);
			separator = ',';
		}
		strv_add(argv, text_str(&word));
		argv->failed |= text_failed(&word);
	}
}

/* Past an escape sequence: ESC [ parameters letter, or ESC and one character. */
static const char *skip_escape(const char *s)
{
	s++;
	if (*s != '[')
		return *s ? s + 1 : s;
	for (s++; *s && (*s < '@' || *s > '~'); s++)
		;
	return *s ? s + 1 : s;
}

static char *plain_text(const char *console)
{
	struct text plain = { 0 };

	for (const char *s = console; *s;) {
		if (*s == '\x1b') {
			s = skip_escape(s);
			continue;
		}
		if (*s == '\n' ? plain.len && plain.data[plain.len - 1] != '\n'
			       : (unsigned char)*s >= ' ' && *s != 0x7f)
			text_add_bytes(&plain, s, 1);
		s++;
	}
	if (plain.len && plain.data[plain.len - 1] == '\n')
		plain.data[--plain.len] = '\0';
	return text_take(&plain);
}

char *oci_console_tail(const char *console, unsigned lines)
{
	cleanup_free char *plain = plain_text(console);
	const char *s;

	if (!plain)
		return NULL;
	for (s = plain + strlen(plain); s > plain; s--) {
		if (s[-1] == '\n' && --lines == 0)
			break;
	}
	return strdup(s);
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

const char *oci_json_text(struct json_object *object, const char *key)
{
	struct json_object *member;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &member) ||
	    !json_object_is_type(member, json_type_string))
		return "";
	return json_object_get_string(member);
}
