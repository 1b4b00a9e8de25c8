/*
 * export logs: a folder to send along with a question. What cannot be had is told in errors.txt and holds
 * up nothing else (CN-250, CN-252).
 */
#include "controller/cli/cmd_log_text.h"
#include "controller/cli/cmd_logs_tree.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "controller/cli/redact.h"
#include "controller/cli/rows.h"
#include "shared/base/file.h"
#include "shared/base/parse.h"
#include "shared/base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)4 * 1024 * 1024)
/* For one log: one that does not end is cut here, and the others come too. */
#define LOG_MS 20000

/* Borrowed by every node's thread; each writes into its own folder. */
struct bundle {
	struct invocation *inv;
	struct provider *provider;
	const char *dir;
};

static void add_failure(struct json_object *rows, const char *path, const char *why)
{
	struct json_object *row = row_add(rows);

	field_text(row, "file", path);
	field_text(row, "error", why);
}

static void write_file(const struct bundle *b, const char *path, const char *text, size_t len,
		       struct json_object *rows)
{
	cleanup_free char *full = text_format("%s/%s", b->dir, path);
	/* Of what is too long the end is kept: that is where things went wrong. */
	size_t skip = len > FILE_MAX ? len - FILE_MAX : 0;
	cleanup_fd int fd = -1;

	if (full)
		fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || file_write_all(fd, text + skip, len - skip) < 0) {
		add_failure(rows, path, strerror(errno));
		return;
	}
	field_text(row_add(rows), "file", path);
}

static void write_json(const struct bundle *b, const char *path, struct json_object *value,
		       struct json_object *rows)
{
	const char *text;

	redact_json(value);
	text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PRETTY |
							     JSON_C_TO_STRING_NOSLASHESCAPE);
	write_file(b, path, text, strlen(text), rows);
}

/* JSON of the engine's without secrets, or nothing: what cannot be read cannot be cleaned. */
static void write_engine_json(const struct bundle *b, const char *path, const struct text *text,
			      struct json_object *rows)
{
	cleanup_json struct json_object *value = json_tokener_parse(text_str(text));

	if (value)
		write_json(b, path, value, rows);
	else
		add_failure(rows, path, "the engine's answer is no JSON");
}

static void dump(const struct bundle *b, enum provider_dump what, const char *name,
		 const char *path, struct json_object *rows)
{
	cleanup_with(text) struct text text = { 0 };
	cleanup_free char *clean = NULL;
	struct err err;

	if (provider_dump(b->provider, what, name, b->inv->by, &text, &err) < 0) {
		add_failure(rows, path, err.msg);
		return;
	}
	if (what != PROVIDER_DUMP_CONSOLE) {
		write_engine_json(b, path, &text, rows);
		return;
	}
	clean = redact_text(text_str(&text));
	if (clean)
		write_file(b, path, clean, strlen(clean), rows);
}

/* --- a node ----------------------------------------------------------------------------------------- */

static const struct {
	const char *file;
	node_fn *rows;
} questions[] = {
	{ "health.json", health_rows },        { "units.json", unit_rows },
	{ "containers.json", container_rows }, { "pods.json", pod_rows },
	{ "images.json", image_rows },
};

/* As far as it came, and why no further. */
static void save_log(const struct bundle *b, struct node *node, const struct log_wanted *wanted,
		     const char *path, struct json_object *rows)
{
	struct deadline by = deadline_min(b->inv->by, deadline_in_ms(LOG_MS));
	cleanup_with(text) struct text text = { 0 };
	cleanup_free char *clean = NULL;
	struct err err;
	int rc = log_text(node, wanted, by, FILE_MAX, &text, &err);

	/* Most containers have run once. */
	if (rc < 0 && strcmp(err.reason, "NO_PREVIOUS_RUN") != 0)
		add_failure(rows, path, err.msg);
	if (rc < 0 && !text.len)
		return;
	clean = redact_text(text_str(&text));
	if (clean)
		write_file(b, path, clean, strlen(clean), rows);
}

static const char *const kubelet[] = { "kubelet", NULL };
static const char *const containerd[] = { "containerd", NULL };

static const struct {
	const char *file;
	struct log_wanted wanted;
} logs[] = {
	{ "journal.log", { .kind = LOG_JOURNAL } },
	{ "kubelet.log", { .kind = LOG_JOURNAL, .units = kubelet } },
	{ "containerd.log", { .kind = LOG_JOURNAL, .units = containerd } },
	{ "dmesg.log", { .kind = LOG_DMESG } },
};

static void save_logs(const struct bundle *b, struct node *node, struct json_object *rows)
{
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		cleanup_free char *path = text_format("%s/%s", node->name, logs[i].file);

		if (path)
			save_log(b, node, &logs[i].wanted, path, rows);
	}
}

/* Names from a node become names of files: they must not lead out of the folder. */
static bool make_pod_dir(const struct bundle *b, const char *dir, const struct log_wanted *wanted,
			 struct json_object *rows)
{
	cleanup_free char *full = text_format("%s/%s", b->dir, dir);

	if (!name_is_valid(wanted->namespace, 253) || !name_is_valid(wanted->pod, 253)) {
		add_failure(rows, "pods", "a pod's name is none");
		return false;
	}
	if (full && (mkdir(full, 0700) == 0 || errno == EEXIST))
		return true;
	add_failure(rows, dir, strerror(errno));
	return false;
}

/* What it says now, and what it said before it was started again. */
static void save_container(const struct bundle *b, struct node *node, struct log_wanted wanted,
			   const char *dir, struct json_object *rows)
{
	static const char *const endings[] = { "log", "previous.log" };

	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		cleanup_free char *path =
			text_format("%s/%s.%s", dir, wanted.container, endings[i]);

		wanted.previous = i > 0;
		if (path)
			save_log(b, node, &wanted, path, rows);
	}
}

static void save_pod(const struct bundle *b, struct node *node, struct json_object *pod,
		     struct json_object *rows)
{
	struct json_object *containers = field_get(pod, "containers");
	struct log_wanted wanted = { .kind = LOG_CONTAINER,
				     .namespace = field_str(pod, "namespace"),
				     .pod = field_str(pod, "name") };
	cleanup_free char *dir =
		text_format("%s/pods/%s_%s", node->name, wanted.namespace, wanted.pod);

	if (!dir || !make_pod_dir(b, dir, &wanted, rows))
		return;
	for (size_t i = 0; i < json_object_array_length(containers); i++) {
		wanted.container = field_str(json_object_array_get_idx(containers, i), "name");
		if (name_is_valid(wanted.container, 253))
			save_container(b, node, wanted, dir, rows);
	}
}

static void save_pods(const struct bundle *b, struct node *node, struct json_object *pods,
		      struct json_object *rows)
{
	cleanup_free char *path = text_format("%s/pods", node->name);
	cleanup_free char *dir = text_format("%s/%s/pods", b->dir, node->name);

	if (!path || !dir)
		return;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		add_failure(rows, path, strerror(errno));
		return;
	}
	for (size_t i = 0; i < json_object_array_length(pods); i++)
		save_pod(b, node, json_object_array_get_idx(pods, i), rows);
}

/* As crictl writes it, which is what such a file holds elsewhere. */
static void save_image_list(const struct bundle *b, struct node *node, struct json_object *images,
			    struct json_object *rows)
{
	cleanup_free char *path = text_format("%s/images.log", node->name);
	cleanup_with(text) struct text text = { 0 };

	text_add(&text, "IMAGE ID SIZE\n");
	for (size_t i = 0; i < json_object_array_length(images); i++) {
		struct json_object *image = json_object_array_get_idx(images, i);

		text_addf(&text, "%s %s %lld\n", field_str(image, "image"), field_str(image, "id"),
			  (long long)json_object_get_int64(field_get(image, "sizeBytes")));
	}
	if (path && !text_failed(&text))
		write_file(b, path, text_str(&text), text.len, rows);
}

static void ask_agent(const struct bundle *b, struct node *node, struct json_object *rows)
{
	struct rows_request request = { .inv = b->inv, .sandboxes = true, .details = true };

	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		cleanup_free char *path = text_format("%s/%s", node->name, questions[i].file);
		cleanup_json struct json_object *answer = json_object_new_array();
		struct err err;

		if (!path)
			continue;
		if (questions[i].rows(node, &request, answer, &err) < 0)
			add_failure(rows, path, err.msg);
		else
			write_json(b, path, answer, rows);
		if (questions[i].rows == pod_rows)
			save_pods(b, node, answer, rows);
		if (questions[i].rows == image_rows)
			save_image_list(b, node, answer, rows);
	}
}

/* --- /var/log ------------------------------------------------------------------------------------- */

/* One node's tree on its way into the bundle. */
struct saving {
	const struct bundle *b;
	const char *under; /* NODE/var/log */
	struct json_object *rows;
};

/* Each directory of 'path' but the last name. Nothing of ours is a link, and what was here before the
 * bundle may be one: it is not followed. */
static bool make_parents(const struct bundle *b, const char *path)
{
	cleanup_free char *full = text_format("%s/%s", b->dir, path);
	struct stat st;

	for (char *s = full ? full + strlen(b->dir) + 1 : NULL; s && (s = strchr(s, '/')); s++) {
		*s = '\0';
		if (mkdir(full, 0700) < 0 &&
		    (errno != EEXIST || lstat(full, &st) < 0 || !S_ISDIR(st.st_mode)))
			return false;
		*s = '/';
	}
	return full != NULL;
}

static void save_tree_file(void *arg, const char *name, const char *text, size_t len,
			   const char *skipped)
{
	const struct saving *s = arg;
	cleanup_free char *path = text_format("%s/%s", s->under, name);
	cleanup_free char *clean = NULL;

	(void)len;
	if (!path)
		return;
	if (skipped || !make_parents(s->b, path)) {
		add_failure(s->rows, path, skipped ? skipped : strerror(errno));
		return;
	}
	clean = redact_text(text);
	if (clean)
		write_file(s->b, path, clean, strlen(clean), s->rows);
}

/* Where the logs of nodes are; tests have nodes that are this host. */
static const char *tree_path(void)
{
	const char *other = getenv("BERTH_TEST_VAR_LOG");

	return other ? other : "/var/log";
}

static void save_tree(const struct bundle *b, struct node *node, struct json_object *rows)
{
	cleanup_free char *under = text_format("%s/var/log", node->name);
	struct saving saving = { b, under, rows };
	const struct log_tree tree = { .inv = b->inv,
				       .path = tree_path(),
				       .max = FILE_MAX,
				       .by = deadline_min(b->inv->by, deadline_in_ms(LOG_MS)),
				       .file = save_tree_file,
				       .arg = &saving };
	struct err err;

	if (under && log_tree_read(&tree, node, &err) < 0)
		add_failure(rows, under, err.msg);
}

static int export_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct bundle *b = arg;
	cleanup_free char *dir = text_format("%s/%s", b->dir, node->name);
	cleanup_free char *inspect = text_format("%s/inspect.json", node->name);
	cleanup_free char *console = text_format("%s/serial.log", node->name);

	if (!dir || !inspect || !console)
		return err_oom(err);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot make '%s'", dir);
	dump(b, PROVIDER_DUMP_INSPECT, node->name, inspect, rows);
	dump(b, PROVIDER_DUMP_CONSOLE, node->name, console, rows);
	if (node->state == NODE_RUNNING && provider_has_agents(b->provider)) {
		ask_agent(b, node, rows);
		save_logs(b, node, rows);
		save_tree(b, node, rows);
	}
	return 0;
}

/* --- the whole -------------------------------------------------------------------------------------- */

static void export_cluster(const struct bundle *b, struct json_object *rows)
{
	cleanup_free char *info = text_format("%s-info.json", provider_name(b->provider));
	cleanup_free char *version =
		text_format("berth %s (%s)\n", version_number(), version_commit());

	if (version)
		write_file(b, "berth-version.txt", version, strlen(version), rows);
	if (info)
		dump(b, PROVIDER_DUMP_INFO, "", info, rows);
	dump(b, PROVIDER_DUMP_NETWORK, invocation_cluster(b->inv), "network.json", rows);
}

static void append(struct json_object *to, struct json_object *from)
{
	for (size_t i = 0; i < json_object_array_length(from); i++)
		json_object_array_add(to, json_object_get(json_object_array_get_idx(from, i)));
}

static void write_errors(const struct bundle *b, struct json_object *rows)
{
	cleanup_json struct json_object *ignored = json_object_new_array();
	cleanup_with(text) struct text text = { 0 };

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (*field_str(row, "error"))
			text_addf(&text, "%s: %s\n", field_str(row, "file"),
				  field_str(row, "error"));
	}
	if (!text.len)
		return;
	write_file(b, "errors.txt", text_str(&text), text.len, ignored);
	invocation_note(b->inv, "not everything could be had: see '%s/errors.txt'", b->dir);
}

static char *default_dir(const struct invocation *inv)
{
	return text_format("berth-logs-%s-%lld", invocation_cluster(inv),
			   (long long)(clock_wall_ns() / 1000000000));
}

static int make_dir(const char *dir, struct err *err)
{
	struct stat st;

	if (mkdir(dir, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot make '%s'", dir);
	if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return err_set(err, ERR_ALREADY_EXISTS, 0, "'%s' is there and no directory", dir);
}

static void line(struct json_object *row, struct text *text)
{
	text_add(text, field_str(row, "dir"));
}

static const struct listing listing = { .noun = "logs", .name_path = "dir", .line = line };

static int print_result(struct invocation *inv, const char *dir, struct json_object *files,
			struct err *err)
{
	cleanup_json struct json_object *rows = json_object_new_array();
	struct json_object *row = row_add(rows);

	field_text(row, "dir", dir);
	json_object_object_add(row, "files", json_object_get(files));
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int export_logs(struct invocation *inv, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 };
	cleanup_json struct json_object *files = json_object_new_array(), *of_nodes = NULL;
	cleanup_free char *dir = inv->args->count ? strdup(inv->args->items[0]) : default_dir(inv);
	struct bundle b = { .inv = inv, .dir = dir };

	if (!dir)
		return err_oom(err);
	if (nodes_list(inv, &inv->opt->nodes, true, &list, err) < 0 ||
	    invocation_provider(inv, &b.provider, err) < 0 || make_dir(dir, err) < 0)
		return -1;
	export_cluster(&b, files);
	if (nodes_ask(inv, &list, export_node, &b, &of_nodes, err) < 0)
		return -1;
	append(files, of_nodes);
	write_errors(&b, files);
	return print_result(inv, dir, files, err);
}

static const struct option_spec export_options[] = { OPTION_ROW_NODE, { 0 } };

const struct command cmd_logs_export = {
	.name = "export logs",
	.args = "[DIR]",
	.max_args = 1,
	.outputs = OUTPUTS_RESULT,
	.summary = "collect what helps to find out what is wrong with a cluster",
	.details =
		"What the engine, the consoles and the agents say, the journals, the logs of pods "
		"and of their\n"
		"runs before, and /var/log: one folder a node, the last 4 MiB of each file. "
		"Values of\n"
		"environment variables and passwords are taken out; read it all the same before "
		"you send it\n"
		"to somebody.\n"
		"What cannot be had is told in errors.txt.",
	.example = "berth export logs ./for-support",
	.timeout_ms = 120000,
	.options = export_options,
	.run = export_logs,
};
