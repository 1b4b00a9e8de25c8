#include "controller/cli/plan_json.h"

#include "controller/config/report.h"
#include "controller/config/yaml.h"
#include "shared/base/parse.h"
#include "shared/pod/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const sandbox_words[] = { "unknown", "ready", "notready", NULL };
static const char *const network_words[] = { "pod", "node", NULL };
static const char *const state_words[] = { "unknown", "created", "running", "exited", NULL };
static const char *const probe_words[] = { "", "success", "failure", "unknown", NULL };
static const char *const top_keys[] = { "sandboxes", "containers", "deleted", NULL };
static const char *const sandbox_keys[] = { "id", "state", "attempt", "ip", "network", NULL };
static const char *const container_keys[] = { "id",       "name",    "state",
					      "exitCode", "hash",    "finishedAt",
					      "liveness", "startup", NULL };

_Static_assert(SEEN_SANDBOX_READY == 1 && SEEN_SANDBOX_NOT_READY == 2, "sandbox_words");
_Static_assert(SEEN_CREATED == 1 && SEEN_RUNNING == 2 && SEEN_EXITED == 3, "state_words");
_Static_assert(PROBE_SUCCESS == 1 && PROBE_FAILURE == 2 && PROBE_UNKNOWN == 3, "probe_words");

/* --- values ------------------------------------------------------------------------------------ */

static void check_keys(struct report *report, const struct yaml *map, const char *const *keys)
{
	for (const struct yaml *child = map->first; child; child = child->next) {
		size_t i = 0;

		while (keys[i] && strcmp(keys[i], child->key) != 0)
			i++;
		if (!keys[i])
			report_warning(report, child->key_at, child->key,
				       "'%s' means nothing here and is ignored", child->key);
	}
}

/* "" when it is absent. Caller frees; NULL on a fault. */
static char *read_text(struct report *report, const struct yaml *map, const char *key,
		       bool required)
{
	const struct yaml *value = yaml_get(map, key);
	char *copy = NULL;

	if (!value && required)
		report_node_error(report, map, "has no %s", key);
	else if (value && value->type != YAML_STRING)
		report_type_error(report, value, "a string");
	else
		copy = strdup(value ? value->text : "");
	if (!copy)
		copy = strdup("");
	if (!copy)
		report_no_memory(report);
	return copy;
}

static int read_word(struct report *report, const struct yaml *map, const char *key,
		     const char *const *words, int absent)
{
	const struct yaml *value = yaml_get(map, key);

	if (!value)
		return absent;
	for (int i = 0; value->type == YAML_STRING && words[i]; i++) {
		if (words[i][0] && strcmp(words[i], value->text) == 0)
			return i;
	}
	report_node_error(report, value, "must be one of %s%s%s%s%s%s%s", words[0],
			  words[0][0] ? ", " : "", words[1], words[2] ? ", " : "",
			  words[2] ? words[2] : "", words[2] && words[3] ? ", " : "",
			  words[2] && words[3] ? words[3] : "");
	return absent;
}

static int64_t read_number(struct report *report, const struct yaml *map, const char *key,
			   int64_t min, int64_t max)
{
	const struct yaml *value = yaml_get(map, key);
	int64_t number = 0;

	if (value && (value->type != YAML_INT || !yaml_int(value, min, max, &number)))
		report_type_error(report, value, "a whole number in its range");
	return number;
}

static int64_t read_time(struct report *report, const struct yaml *map, const char *key)
{
	const struct yaml *value = yaml_get(map, key);
	int64_t ns = 0;

	if (!value || value->type == YAML_NULL)
		return 0;
	if (value->text)
		ns = time_parse_ns(value->text);
	if (ns == 0)
		report_node_error(report, value, "must be a time such as 2026-11-01T10:00:00Z");
	return ns;
}

/* "match" and "mismatch" are said of the pod's own container. */
static uint32_t read_hash(struct report *report, const struct yaml *map,
			  const K8s__Core__V1__Container *wanted)
{
	const struct yaml *value = yaml_get(map, "hash");
	uint32_t own = wanted ? container_hash(wanted) : 1;
	const char *text = value && value->text ? value->text : "";
	unsigned long hash;
	char *end;

	if (!value || strcmp(text, "zero") == 0)
		return 0;
	if (strcmp(text, "match") == 0)
		return own;
	if (strcmp(text, "mismatch") == 0)
		return own == 1 ? 2 : own - 1;
	errno = 0;
	hash = strtoul(text, &end, 16);
	if (errno || !*text || *end || hash > UINT32_MAX || strpbrk(text, "+- "))
		report_node_error(report, value,
				  "must be match, mismatch, zero or a hexadecimal number");
	return (uint32_t)hash;
}

/* --- sandboxes and containers -------------------------------------------------------------------- */

static void read_sandbox(struct report *report, const struct yaml *map,
			 const K8s__Core__V1__Pod *pod, struct seen_sandbox *ret)
{
	const struct yaml *network = yaml_get(map, "network");

	check_keys(report, map, sandbox_keys);
	ret->id = read_text(report, map, "id", true);
	ret->state = (enum seen_sandbox_state)read_word(report, map, "state", sandbox_words, 0);
	ret->attempt = (uint32_t)read_number(report, map, "attempt", 0, UINT32_MAX);
	ret->ip = read_text(report, map, "ip", false);
	ret->has_network = network || yaml_get(map, "ip");
	ret->host_network = network ? read_word(report, map, "network", network_words, 0) == 1
				    : pod_is_host_network(pod);
}

static void read_container(struct report *report, const struct yaml *map,
			   const K8s__Core__V1__Pod *pod, struct seen_container *ret)
{
	check_keys(report, map, container_keys);
	ret->id = read_text(report, map, "id", true);
	ret->name = read_text(report, map, "name", true);
	ret->state = (enum seen_state)read_word(report, map, "state", state_words, 0);
	ret->exit_code = (int32_t)read_number(report, map, "exitCode", INT32_MIN, INT32_MAX);
	ret->hash = read_hash(report, map, ret->name ? pod_container(pod, ret->name, NULL) : NULL);
	ret->liveness = (enum probe_result)read_word(report, map, "liveness", probe_words, 0);
	ret->startup = (enum probe_result)read_word(report, map, "startup", probe_words, 0);
	ret->finished_ns = read_time(report, map, "finishedAt");
}

/* The list of that key when it is one of maps; NULL when it is absent, empty or wrong. */
static const struct yaml *read_list(struct report *report, const struct yaml *top, const char *key)
{
	const struct yaml *list = yaml_get(top, key);

	if (!list || list->type == YAML_NULL)
		return NULL;
	if (list->type != YAML_LIST) {
		report_type_error(report, list, "a list");
		return NULL;
	}
	for (const struct yaml *item = list->first; item; item = item->next) {
		if (item->type != YAML_MAP) {
			report_type_error(report, item, "a map");
			return NULL;
		}
	}
	return list->count ? list : NULL;
}

static void read_sandboxes(struct report *report, const struct yaml *top,
			   const K8s__Core__V1__Pod *pod, struct pod_observed *ret)
{
	const struct yaml *list = read_list(report, top, "sandboxes");

	if (!list)
		return;
	ret->sandboxes = calloc(list->count, sizeof(*ret->sandboxes));
	if (!ret->sandboxes) {
		report_no_memory(report);
		return;
	}
	for (const struct yaml *item = list->first; item; item = item->next)
		read_sandbox(report, item, pod, &ret->sandboxes[ret->sandbox_count++]);
}

static void read_containers(struct report *report, const struct yaml *top,
			    const K8s__Core__V1__Pod *pod, struct pod_observed *ret)
{
	const struct yaml *list = read_list(report, top, "containers");

	if (!list)
		return;
	ret->containers = calloc(list->count, sizeof(*ret->containers));
	if (!ret->containers) {
		report_no_memory(report);
		return;
	}
	for (const struct yaml *item = list->first; item; item = item->next)
		read_container(report, item, pod, &ret->containers[ret->container_count++]);
}

static void read_top(struct report *report, const struct yaml *top, const K8s__Core__V1__Pod *pod,
		     struct pod_observed *ret)
{
	const struct yaml *deleted = yaml_get(top, "deleted");

	if (top->type != YAML_MAP) {
		report_type_error(report, top, "a map");
		return;
	}
	check_keys(report, top, top_keys);
	read_sandboxes(report, top, pod, ret);
	read_containers(report, top, pod, ret);
	if (deleted && deleted->type != YAML_BOOL)
		report_type_error(report, deleted, "true or false");
	else if (deleted)
		ret->deleted = yaml_bool(deleted);
}

static int read_document(const char *source, const char *text, size_t len, struct yaml **ret_doc,
			 struct err *err)
{
	cleanup_with(yaml_reader) struct yaml_reader *reader = NULL;
	struct yaml *doc = NULL;

	if (yaml_open(source, text, len, &reader, err) < 0 || yaml_next(reader, &doc, err) < 0)
		return -1;
	if (!doc)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "%s:1:1: there is nothing in it",
			       source);
	*ret_doc = doc;
	return 0;
}

int plan_json_read(const char *source, const char *text, size_t len, const K8s__Core__V1__Pod *pod,
		   struct pod_observed *ret, struct strv *warnings, struct err *err)
{
	struct report report = { .source = source, .err = err, .warnings = warnings };
	cleanup_with(pod_observed) struct pod_observed seen = { 0 };
	cleanup_with(yaml) struct yaml *doc = NULL;

	if (read_document(source, text, len, &doc, err) < 0)
		return -1;
	read_top(&report, doc, pod, &seen);
	if (report_end(&report) < 0)
		return -1;
	*ret = seen;
	seen = (struct pod_observed){ 0 };
	return 0;
}

/* --- the decision ---------------------------------------------------------------------------------- */

static void add_names(struct json_object *object, const char *key, const struct strv *names)
{
	struct json_object *array = field_array(object, key);

	for (size_t i = 0; i < names->count; i++)
		json_object_array_add(array, json_object_new_string(names->items[i]));
}

struct json_object *plan_json_decision(const struct pod_decision *decision)
{
	struct json_object *object = json_object_new_object(), *part;

	field_bool(object, "killPod", decision->kill_pod);
	field_bool(object, "createSandbox", decision->create_sandbox);
	field_text(object, "sandboxId", decision->sandbox_id);
	field_int(object, "attempt", decision->attempt);
	add_names(object, "initContainersToStart", &decision->init_starts);
	add_names(object, "containersToStart", &decision->starts);
	part = field_array(object, "containersToKill");
	for (size_t i = 0; i < decision->kill_count; i++)
		json_object_array_add(part, json_object_new_string(decision->kills[i].id));
	add_names(object, "ephemeralContainersToStart", &decision->ephemeral_starts);
	part = field_object(object, "reasons");
	for (size_t i = 0; i < decision->reasons.count; i++)
		field_text(part, decision->reasons.items[i].key, decision->reasons.items[i].value);
	return object;
}
