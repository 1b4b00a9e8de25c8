#include "tests/support/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_MS 2000

static void copy(char *ret, size_t size, const char *s)
{
	size_t len = s ? strnlen(s, size - 1) : 0;

	if (len)
		memcpy(ret, s, len);
	ret[len] = '\0';
}

/* --- callbacks ------------------------------------------------------------------------------------ */

static void note(struct rt_answer *a, const struct err *err)
{
	a->count++;
	if (err)
		a->err = *err;
}

void rt_done(void *arg, const struct err *err)
{
	note(arg, err);
}

void rt_id(void *arg, const char *id, const struct err *err)
{
	struct rt_answer *a = arg;

	a->has_text = id != NULL;
	copy(a->text, sizeof(a->text), id);
	note(a, err);
}

void rt_info(void *arg, const struct runtime_info *info, const struct err *err)
{
	struct rt_answer *a = arg;

	if (info)
		snprintf(a->text, sizeof(a->text), "%s %s %d %d", info->name, info->version,
			 info->runtime_ready, info->network_ready);
	note(a, err);
}

void rt_sandboxes(void *arg, const struct runtime_sandbox *list, size_t count,
		  const struct err *err)
{
	struct rt_answer *a = arg;

	a->item_count = count;
	for (size_t i = 0; i < count && i < RT_MAX_ITEMS; i++) {
		struct rt_item *it = &a->items[i];

		memset(it, 0, sizeof(*it));
		copy(it->id, sizeof(it->id), list[i].id);
		copy(it->pod, sizeof(it->pod), list[i].name);
		copy(it->namespace, sizeof(it->namespace), list[i].namespace);
		copy(it->uid, sizeof(it->uid), list[i].uid);
		copy(it->ip, sizeof(it->ip), list[i].ip);
		copy(it->label_app, sizeof(it->label_app), kv_get(list[i].labels, "app"));
		copy(it->annotation_note, sizeof(it->annotation_note),
		     kv_get(list[i].annotations, "note"));
		it->attempt = list[i].attempt;
		it->ready = list[i].ready;
		it->host_network = list[i].host_network;
		it->created_ns = list[i].created_ns;
	}
	note(a, err);
}

void rt_containers(void *arg, const struct runtime_container *list, size_t count,
		   const struct err *err)
{
	struct rt_answer *a = arg;

	a->item_count = count;
	for (size_t i = 0; i < count && i < RT_MAX_ITEMS; i++) {
		struct rt_item *it = &a->items[i];

		memset(it, 0, sizeof(*it));
		copy(it->id, sizeof(it->id), list[i].id);
		copy(it->sandbox_id, sizeof(it->sandbox_id), list[i].sandbox_id);
		copy(it->name, sizeof(it->name), list[i].name);
		copy(it->pod, sizeof(it->pod), list[i].pod);
		copy(it->namespace, sizeof(it->namespace), list[i].namespace);
		copy(it->uid, sizeof(it->uid), list[i].uid);
		copy(it->image, sizeof(it->image), list[i].image);
		copy(it->image_ref, sizeof(it->image_ref), list[i].image_ref);
		copy(it->reason, sizeof(it->reason), list[i].reason);
		copy(it->annotation_note, sizeof(it->annotation_note),
		     kv_get(list[i].annotations, "note"));
		it->attempt = list[i].attempt;
		it->state = list[i].state;
		it->created_ns = list[i].created_ns;
		it->started_ns = list[i].started_ns;
		it->finished_ns = list[i].finished_ns;
		it->exit_code = list[i].exit_code;
		it->pid = list[i].pid;
	}
	note(a, err);
}

/* --- the rig -------------------------------------------------------------------------------------- */

static void open_runtime(struct rt_rig *rig, const char *backend, const char *address)
{
	struct err err;

	if (runtime_open(backend, address, rig->loop, &rig->rt, &err) < 0)
		fail_msg("%s", err.msg);
}

struct rt_rig *rt_open(const char *backend, const char *address)
{
	struct rt_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	copy(rig->dir, sizeof(rig->dir), "/tmp/berth-runtime-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	assert_true(sd_event_new(&rig->loop) >= 0);
	open_runtime(rig, backend, address ? address : rig->dir);
	return rig;
}

void rt_reopen(struct rt_rig *rig, const char *backend)
{
	runtime_close(rig->rt);
	open_runtime(rig, backend, rig->dir);
}

static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] != '.')
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void rt_close(struct rt_rig *rig)
{
	runtime_close(rig->rt);
	sd_event_unref(rig->loop);
	remove_dir(rig->dir);
	free(rig);
}

void rt_wait(struct rt_rig *rig, struct rt_answer *answer, int64_t limit_ms)
{
	int64_t start_ms = clock_now_ms();
	struct deadline by = deadline_in_ms(limit_ms);

	while (!answer->count) {
		if (deadline_is_over(by))
			fail_msg("no answer within %lld ms", (long long)limit_ms);
		assert_true(sd_event_run(rig->loop, 20000) >= 0);
	}
	answer->took_ms = clock_now_ms() - start_ms;
}

static void rt_path(struct rt_rig *rig, const char *name, char *ret, size_t size)
{
	snprintf(ret, size, "%s/%s", rig->dir, name);
}

void rt_flag(struct rt_rig *rig, const char *name, bool on)
{
	char path[128];
	int fd;

	rt_path(rig, name, path, sizeof(path));
	if (!on) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

void rt_append_effect(struct rt_rig *rig, const char *line)
{
	char path[128];
	FILE *f;

	rt_path(rig, "effects", path, sizeof(path));
	f = fopen(path, "a");
	assert_non_null(f);
	fputs(line, f);
	assert_int_equal(fclose(f), 0);
}

unsigned rt_count_effects(struct rt_rig *rig, const char *beginning)
{
	char path[128];
	char line[4096];
	unsigned n = 0;
	FILE *f;

	rt_path(rig, "effects", path, sizeof(path));
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strncmp(line, beginning, strlen(beginning)) == 0;
	fclose(f);
	return n;
}

/* --- calls ---------------------------------------------------------------------------------------- */

static struct rt_answer *fresh(struct rt_rig *rig)
{
	memset(&rig->answer, 0, sizeof(rig->answer));
	return &rig->answer;
}

/* The answer must not have come from within the call. */
static enum err_code await(struct rt_rig *rig, int64_t limit_ms)
{
	assert_int_equal(rig->answer.count, 0);
	rt_wait(rig, &rig->answer, limit_ms);
	return rig->answer.err.code;
}

static enum err_code await_id(struct rt_rig *rig, char ret_id[80])
{
	if (await(rig, LIMIT_MS) == ERR_OK)
		copy(ret_id, 80, rig->answer.text);
	return rig->answer.err.code;
}

enum err_code rt_get_info(struct rt_rig *rig)
{
	runtime_get_info(rig->rt, deadline_in_ms(LIMIT_MS), rt_info, fresh(rig));
	return await(rig, LIMIT_MS);
}

void rt_sandbox_request(struct sandbox_request *r, const char *uid, uint32_t attempt)
{
	*r = (struct sandbox_request){ .attempt = attempt };
	r->name = text_format("pod-%s", uid);
	r->namespace = strdup("default");
	r->uid = strdup(uid);
	r->hostname = strdup("pod");
	r->log_directory = text_format("/tmp/berth-logs/%s", uid);
	assert_true(kv_add(&r->labels, "io.kubernetes.pod.name", r->name));
	assert_true(kv_add(&r->labels, "io.kubernetes.pod.namespace", r->namespace));
	assert_true(kv_add(&r->labels, "io.kubernetes.pod.uid", uid));
	assert_true(kv_add(&r->labels, "app", "two words % = x"));
	assert_true(kv_add(&r->annotations, "note", "line 1\nline 2"));
}

void rt_container_request(struct container_request *r, const char *uid, const char *name,
			  const char *image)
{
	*r = (struct container_request){ 0 };
	r->name = strdup(name);
	r->image = strdup(image);
	r->image_ref = strdup(image);
	r->log_path = text_format("%s/0.log", name);
	assert_true(kv_add(&r->labels, "io.kubernetes.pod.name", "pod"));
	assert_true(kv_add(&r->labels, "io.kubernetes.pod.namespace", "default"));
	assert_true(kv_add(&r->labels, "io.kubernetes.pod.uid", uid));
	assert_true(kv_add(&r->labels, "io.kubernetes.container.name", name));
	assert_true(kv_add(&r->annotations, "note", "a=b c"));
}

enum err_code rt_run_sandbox(struct rt_rig *rig, const char *uid, uint32_t attempt, char ret_id[80])
{
	struct sandbox_request req;

	rt_sandbox_request(&req, uid, attempt);
	runtime_run_sandbox(rig->rt, &req, deadline_in_ms(LIMIT_MS), rt_id, fresh(rig));
	sandbox_request_release(&req);
	return await_id(rig, ret_id);
}

enum err_code rt_stop_sandbox(struct rt_rig *rig, const char *id)
{
	runtime_stop_sandbox(rig->rt, id, deadline_in_ms(LIMIT_MS), rt_done, fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_remove_sandbox(struct rt_rig *rig, const char *id)
{
	runtime_remove_sandbox(rig->rt, id, deadline_in_ms(LIMIT_MS), rt_done, fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_sandbox_status(struct rt_rig *rig, const char *id)
{
	runtime_sandbox_status(rig->rt, id, deadline_in_ms(LIMIT_MS), rt_sandboxes, fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_list_sandboxes(struct rt_rig *rig, const char *id, const char *uid)
{
	struct runtime_filter filter = { .id = id, .pod_uid = uid };

	runtime_list_sandboxes(rig->rt, &filter, deadline_in_ms(LIMIT_MS), rt_sandboxes,
			       fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_create(struct rt_rig *rig, const char *sandbox_id, const char *uid,
			const char *name, const char *image, char ret_id[80])
{
	struct sandbox_request sandbox;
	struct container_request req;

	rt_sandbox_request(&sandbox, uid, 0);
	rt_container_request(&req, uid, name, image);
	runtime_create_container(rig->rt, sandbox_id, &req, &sandbox, deadline_in_ms(LIMIT_MS),
				 rt_id, fresh(rig));
	container_request_release(&req);
	sandbox_request_release(&sandbox);
	return await_id(rig, ret_id);
}

enum err_code rt_start(struct rt_rig *rig, const char *id)
{
	runtime_start_container(rig->rt, id, deadline_in_ms(LIMIT_MS), rt_done, fresh(rig));
	return await(rig, LIMIT_MS + 100);
}

enum err_code rt_stop(struct rt_rig *rig, const char *id, int64_t grace_s, int64_t limit_ms)
{
	runtime_stop_container(rig->rt, id, grace_s, deadline_in_ms(limit_ms), rt_done, fresh(rig));
	return await(rig, limit_ms + 100);
}

enum err_code rt_remove(struct rt_rig *rig, const char *id)
{
	runtime_remove_container(rig->rt, id, deadline_in_ms(LIMIT_MS), rt_done, fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_status(struct rt_rig *rig, const char *id)
{
	runtime_container_status(rig->rt, id, deadline_in_ms(LIMIT_MS), rt_containers, fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_list(struct rt_rig *rig, const char *id, const char *uid)
{
	struct runtime_filter filter = { .id = id, .pod_uid = uid };

	runtime_list_containers(rig->rt, &filter, deadline_in_ms(LIMIT_MS), rt_containers,
				fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_image_status(struct rt_rig *rig, const char *image)
{
	runtime_image_status(rig->rt, image, deadline_in_ms(LIMIT_MS), rt_id, fresh(rig));
	return await(rig, LIMIT_MS);
}

enum err_code rt_pull(struct rt_rig *rig, const char *image)
{
	runtime_pull_image(rig->rt, image, deadline_in_ms(LIMIT_MS), rt_id, fresh(rig));
	return await(rig, LIMIT_MS);
}
