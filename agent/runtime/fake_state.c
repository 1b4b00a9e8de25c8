#include "agent/runtime/fake_state.h"

#include "shared/base/deadline.h"
#include "shared/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define MAX_WORDS 256

struct fake_sandbox *fake_find_sandbox(struct fake_state *s, const char *id)
{
	for (size_t i = 0; i < s->sandbox_count; i++) {
		if (strcmp(s->sandboxes[i].id, id) == 0)
			return &s->sandboxes[i];
	}
	return NULL;
}

struct fake_container *fake_find_container(struct fake_state *s, const char *id)
{
	for (size_t i = 0; i < s->container_count; i++) {
		if (strcmp(s->containers[i].id, id) == 0)
			return &s->containers[i];
	}
	return NULL;
}

static void sandbox_release(struct fake_sandbox *sandbox)
{
	free(sandbox->id);
	free(sandbox->name);
	free(sandbox->namespace);
	free(sandbox->uid);
	kv_release(&sandbox->labels);
	kv_release(&sandbox->annotations);
}

static void container_release(struct fake_container *c)
{
	free(c->id);
	free(c->sandbox_id);
	free(c->name);
	free(c->image);
	kv_release(&c->labels);
	kv_release(&c->annotations);
}

/* --- words ---------------------------------------------------------------------------------------- */

static void add_encoded(struct text *line, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == '%' || c >= 0x7f)
			text_addf(line, "%%%02X", c);
		else
			text_add_bytes(line, s, 1);
	}
}

void fake_line_word(struct text *line, const char *word)
{
	text_add(line, " ");
	add_encoded(line, word ? word : "");
}

void fake_line_pairs(struct text *line, char kind, const struct kv_list *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		text_addf(line, " %c:", kind);
		add_encoded(line, pairs->items[i].key);
		text_add(line, "=");
		add_encoded(line, pairs->items[i].value);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void decode(char *s)
{
	char *out = s;

	while (*s) {
		if (*s == '%' && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
			*out++ = (char)(hex_digit(s[1]) * 16 + hex_digit(s[2]));
			s += 3;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

struct words {
	char *at[MAX_WORDS];
	size_t count;
};

static int64_t number(const struct words *w, size_t i)
{
	int64_t value = 0;

	if (i < w->count)
		parse_int(w->at[i], INT64_MIN, INT64_MAX, &value);
	return value;
}

static void take_pairs(const struct words *w, size_t from, struct kv_list *labels,
		       struct kv_list *annotations)
{
	for (size_t i = from; i < w->count; i++) {
		char *key = w->at[i] + 2;
		char *value = strncmp(w->at[i], "l:", 2) && strncmp(w->at[i], "a:", 2)
				      ? NULL
				      : strchr(key, '=');

		if (!value)
			continue;
		*value++ = '\0';
		decode(key);
		decode(value);
		kv_add(w->at[i][0] == 'l' ? labels : annotations, key, value);
	}
}

/* --- effects -------------------------------------------------------------------------------------- */

/* The log's lines, taken in. Each gets the words after the verb; false: no memory. */

static bool apply_run_sandbox(struct fake_state *s, const struct words *w)
{
	struct fake_sandbox *list;
	struct fake_sandbox *one;

	list = realloc(s->sandboxes, (s->sandbox_count + 1) * sizeof(*list));
	if (!list)
		return false;
	s->sandboxes = list;
	one = &list[s->sandbox_count++];
	*one = (struct fake_sandbox){ .ready = true };
	one->uid = strdup(w->at[0]);
	one->attempt = (uint32_t)number(w, 1);
	one->id = strdup(w->at[2]);
	one->created_ns = number(w, 3);
	one->name = strdup(w->at[4]);
	one->namespace = strdup(w->at[5]);
	one->host_network = number(w, 6) != 0;
	take_pairs(w, 7, &one->labels, &one->annotations);
	s->made++;
	if (!one->host_network)
		snprintf(one->ip, sizeof(one->ip), "10.88.%u.%u", s->made / 250 % 250,
			 s->made % 250 + 1);
	return one->uid && one->id && one->name && one->namespace;
}

static bool apply_create(struct fake_state *s, const struct words *w)
{
	struct fake_container *list;
	struct fake_container *one;

	list = realloc(s->containers, (s->container_count + 1) * sizeof(*list));
	if (!list)
		return false;
	s->containers = list;
	one = &list[s->container_count++];
	*one = (struct fake_container){ .state = RUNTIME_CREATED };
	one->name = strdup(w->at[1]);
	one->attempt = (uint32_t)number(w, 2);
	one->id = strdup(w->at[3]);
	one->created_ns = number(w, 4);
	one->sandbox_id = strdup(w->at[5]);
	one->image = strdup(w->at[6]);
	take_pairs(w, 7, &one->labels, &one->annotations);
	return one->name && one->id && one->sandbox_id && one->image;
}

static void end_container(struct fake_container *c, int32_t code, int64_t at_ns)
{
	if (c->state == RUNTIME_EXITED)
		return;
	c->state = RUNTIME_EXITED;
	c->paused = false;
	c->exit_code = code;
	c->finished_ns = at_ns;
}

static bool apply_start(struct fake_state *s, const struct words *w)
{
	struct fake_container *c = fake_find_container(s, w->at[0]);

	if (!c)
		return true;
	c->state = RUNTIME_RUNNING;
	c->started_ns = number(w, 1);
	if (strstr(c->image, "exit0"))
		end_container(c, 0, c->started_ns);
	else if (strstr(c->image, "exit1"))
		end_container(c, 1, c->started_ns);
	return true;
}

static bool apply_stop(struct fake_state *s, const struct words *w)
{
	struct fake_container *c = fake_find_container(s, w->at[0]);
	int64_t grace_s = number(w, 1);

	if (!c)
		return true;
	/* These end by a line of their own, or never. */
	if (grace_s > 0 && (strstr(c->image, "slow-stop") || strstr(c->image, "unstoppable")))
		return true;
	end_container(c, grace_s > 0 ? 0 : 137, number(w, 2));
	return true;
}

static bool apply_exit(struct fake_state *s, const struct words *w)
{
	struct fake_container *c = fake_find_container(s, w->at[0]);

	if (c)
		end_container(c, (int32_t)number(w, 1), number(w, 2));
	return true;
}

static bool apply_remove(struct fake_state *s, const struct words *w)
{
	struct fake_container *c = fake_find_container(s, w->at[0]);

	if (!c)
		return true;
	container_release(c);
	*c = s->containers[--s->container_count];
	return true;
}

static bool apply_pause(struct fake_state *s, const struct words *w)
{
	struct fake_container *c = fake_find_container(s, w->at[0]);

	if (c)
		c->paused = c->state == RUNTIME_RUNNING;
	return true;
}

static bool apply_unpause(struct fake_state *s, const struct words *w)
{
	struct fake_container *c = fake_find_container(s, w->at[0]);

	if (c)
		c->paused = false;
	return true;
}

static bool apply_stop_sandbox(struct fake_state *s, const struct words *w)
{
	struct fake_sandbox *sandbox = fake_find_sandbox(s, w->at[0]);

	if (!sandbox)
		return true;
	sandbox->ready = false;
	for (size_t i = 0; i < s->container_count; i++) {
		struct fake_container *c = &s->containers[i];

		if (c->state == RUNTIME_RUNNING && strcmp(c->sandbox_id, sandbox->id) == 0)
			end_container(c, 137, number(w, 1));
	}
	return true;
}

static bool apply_remove_sandbox(struct fake_state *s, const struct words *w)
{
	struct fake_sandbox *sandbox = fake_find_sandbox(s, w->at[0]);
	size_t i = 0;

	if (!sandbox)
		return true;
	while (i < s->container_count) {
		if (strcmp(s->containers[i].sandbox_id, sandbox->id) == 0) {
			container_release(&s->containers[i]);
			s->containers[i] = s->containers[--s->container_count];
		} else {
			i++;
		}
	}
	sandbox_release(sandbox);
	*sandbox = s->sandboxes[--s->sandbox_count];
	return true;
}

static bool apply_pull(struct fake_state *s, const struct words *w)
{
	strv_add(&s->pulled, w->at[0]);
	return !strv_failed(&s->pulled);
}

static bool apply_remove_image(struct fake_state *s, const struct words *w)
{
	struct strv kept = { 0 };

	for (size_t i = 0; i < s->pulled.count; i++) {
		if (strcmp(s->pulled.items[i], w->at[0]) != 0)
			strv_add(&kept, s->pulled.items[i]);
	}
	strv_release(&s->pulled);
	s->pulled = kept;
	return !strv_failed(&kept);
}

static const struct verb {
	const char *name;
	size_t min_words;
	bool (*apply)(struct fake_state *s, const struct words *w);
} verbs[] = {
	{ "run-sandbox", 7, apply_run_sandbox },
	{ "stop-sandbox", 2, apply_stop_sandbox },
	{ "remove-sandbox", 2, apply_remove_sandbox },
	{ "create-container", 7, apply_create },
	{ "start", 2, apply_start },
	{ "stop", 3, apply_stop },
	{ "exit", 3, apply_exit },
	{ "remove", 2, apply_remove },
	{ "pause", 2, apply_pause },
	{ "unpause", 2, apply_unpause },
	{ "pull", 2, apply_pull },
	{ "remove-image", 2, apply_remove_image },
};

/* A line that is none of ours is passed over. */
static bool apply_line(struct fake_state *s, char *line)
{
	struct words w = { .count = 0 };
	char *verb = strsep(&line, " ");

	while (line && w.count < MAX_WORDS)
		w.at[w.count++] = strsep(&line, " ");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, verb) != 0 || w.count < verbs[i].min_words)
			continue;
		/* Pairs follow these and are split before they are decoded. */
		for (size_t k = 0; k < verbs[i].min_words; k++)
			decode(w.at[k]);
		return verbs[i].apply(s, &w);
	}
	return true;
}

/* --- the log -------------------------------------------------------------------------------------- */

static int read_new(struct fake_state *s, struct text *ret, struct err *err)
{
	char buf[16384];
	ssize_t n;

	for (;;) {
		n = pread(s->log_fd, buf, sizeof(buf), s->read_bytes + (off_t)ret->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_INTERNAL, errno, "read the effects");
		if (n == 0)
			return text_failed(ret) ? err_oom(err) : 0;
		text_add_bytes(ret, buf, (size_t)n);
	}
}

int fake_state_refresh(struct fake_state *s, struct err *err)
{
	__attribute__((cleanup(cleanup_text))) struct text fresh = { 0 };
	char *line;
	char *end;

	if (read_new(s, &fresh, err) < 0)
		return -1;
	for (line = fresh.data; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		s->read_bytes += end + 1 - line;
		if (!apply_line(s, line))
			return err_oom(err);
	}
	return 0;
}

int fake_state_append(struct fake_state *s, struct text *line, struct err *err)
{
	text_add(line, "\n");
	if (text_failed(line))
		return err_oom(err);
	if (write(s->log_fd, line->data, line->len) != (ssize_t)line->len) {
		err_set(err, ERR_INTERNAL, errno, "write the effects");
		if (ftruncate(s->log_fd, s->read_bytes) < 0)
			err_wrap(err, "cut a torn effect");
		return -1;
	}
	return fake_state_refresh(s, err);
}

int fake_state_init(struct fake_state *s, const char *dir, struct err *err)
{
	*s = (struct fake_state){ .dir_fd = -1, .log_fd = -1 };
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_INVALID_ARGUMENT, errno, "make the directory '%s'", dir);
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return err_set(err, ERR_INVALID_ARGUMENT, errno, "open the directory '%s'", dir);
	s->log_fd = openat(s->dir_fd, "effects", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (s->log_fd < 0)
		return err_set(err, ERR_INTERNAL, errno, "open the effects in '%s'", dir);
	if (fake_state_refresh(s, err) < 0)
		return -1;
	if (ftruncate(s->log_fd, s->read_bytes) < 0)
		return err_set(err, ERR_INTERNAL, errno, "cut the effects' torn end");
	return 0;
}

void fake_state_release(struct fake_state *s)
{
	for (size_t i = 0; i < s->sandbox_count; i++)
		sandbox_release(&s->sandboxes[i]);
	for (size_t i = 0; i < s->container_count; i++)
		container_release(&s->containers[i]);
	free(s->sandboxes);
	free(s->containers);
	strv_release(&s->pulled);
	if (s->log_fd >= 0)
		close(s->log_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	*s = (struct fake_state){ .dir_fd = -1, .log_fd = -1 };
}

void fake_make_id(char ret[FAKE_ID_LEN + 1])
{
	uint8_t bytes[FAKE_ID_LEN / 2] = { 0 };

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		memcpy(bytes, &(int64_t){ clock_wall_ns() }, sizeof(int64_t));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

void fake_line_now(struct text *line)
{
	text_addf(line, " %lld", (long long)clock_wall_ns());
}

void fake_line_begin(struct text *line, const char *verb, const char *id)
{
	text_add(line, verb);
	fake_line_word(line, id);
	fake_line_now(line);
}
