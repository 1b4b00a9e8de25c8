/*
 * What is read of a node's own files: /proc/<pid> of a process that has named itself, its memory's state,
 * os-release, users and groups. All of it comes out as texts that end and that the wire takes.
 *
 * Input: files in a fixed order, each a length of two bytes and its bytes; then a user as `exec --user`
 * has it.
 */
#include "agent/service/monitor_parts.h"
#include "agent/service/node_facts.h"
#include "agent/streams/spawn.h"
#include "agent/units/processes_impl.h"
#include "shared/base/utf8.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

static const char *const files[] = {
	"proc/77/stat", "proc/77/cmdline", "proc/77/attr/current", "proc/meminfo", "etc/os-release",
	"etc/passwd",   "etc/group",       "proc/1/comm",
};

static void look_at_text(const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	PROMISE(len < size);
	for (size_t i = 0, one; i < len; i += one) {
		one = utf8_length(s + i, len - i);
		PROMISE(one > 0);
	}
}

static void look_at_processes(const char *root)
{
	struct process_list list = { 0 };
	struct process_ids ids = { 0 };
	char proc[96];
	struct err err;

	snprintf(proc, sizeof(proc), "%s/proc", root);
	PROMISE(processes_list(proc, true, &list, &err) == 0);
	for (size_t i = 0; i < list.count; i++) {
		const struct process_info *p = &list.items[i];

		PROMISE(strnlen(p->comm, sizeof(p->comm)) < sizeof(p->comm));
		PROMISE(strnlen(p->label, sizeof(p->label)) < sizeof(p->label));
		PROMISE(p->args_len <= PROCESS_ARGS_MAX);
		PROMISE(p->args_len == 0 || p->args[p->args_len - 1] == '\0');
	}
	process_list_release(&list);
	if (process_find(proc, "kube-apiserver", &ids, &err) == 0)
		free(ids.items);
}

static void look_at_facts(const char *root)
{
	struct part_health memory = { .name = "memory" };
	struct node_facts facts;
	char meminfo[96];

	node_facts_read(root, &facts);
	look_at_text(facts.os, sizeof(facts.os));
	look_at_text(facts.init, sizeof(facts.init));
	snprintf(meminfo, sizeof(meminfo), "%s/proc/meminfo", root);
	part_probe_memory(&memory, meminfo);
	look_at_text(memory.message, sizeof(memory.message));
}

static void look_at_user(const char *root, const char *user)
{
	struct spawn_user found;
	char etc[96];
	struct err err;

	snprintf(etc, sizeof(etc), "%s/etc", root);
	if (spawn_user_find(etc, user, &found, &err) < 0) {
		PROMISE(err.code == ERR_NOT_FOUND && err.msg[0]);
		return;
	}
	PROMISE(found.change || !user[0]);
	PROMISE(found.groups_count <= ARRAY_LEN(found.groups));
	PROMISE(strnlen(found.home, sizeof(found.home)) < sizeof(found.home));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };
	char *user;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const uint8_t *at = input_bytes(&in, input_word(&in), &len);

		fuzz_dir_write(files[i], at, len);
	}
	user = input_text(&in);
	look_at_processes(fuzz_dir());
	look_at_facts(fuzz_dir());
	look_at_user(fuzz_dir(), user);
	free(user);
	return 0;
}
