/*
 * A command line, NUL between its words: a command with its flags, or one sentence. And a name as a name
 * of nodes and clusters: what is let through adds no word to an engine's argv and stands in none but its
 * own place (I7).
 */
#include "controller/cli/command.h"
#include "controller/provider/provider.h"
#include "shared/base/cleanup.h"
#include "shared/base/parse.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define WORDS_MAX 64

static const char *const engines[] = { "podman", "docker" };

static void plan_into(struct provider *p, const char *name, struct plan *plan)
{
	struct node_spec node = { .name = name,
				  .cluster = name,
				  .role = NODE_WORKER,
				  .index = 2,
				  .image = "img:1",
				  .ip = "192.168.49.3",
				  .network = name,
				  .run_dir = "/r",
				  .agent_port = -1 };
	struct network_spec network = { .name = name,
					.cluster = name,
					.subnet = "192.168.49.0/24" };
	struct err err;

	PROMISE(provider_plan_create(p, &node, plan, &err) == 0);
	PROMISE(provider_plan_network(p, &network, plan, &err) == 0);
	PROMISE(provider_plan_act(p, STEP_CONTAINER_STOP, name, 10, plan, &err) == 0);
	PROMISE(provider_plan_act(p, STEP_CONTAINER_DELETE, name, 0, plan, &err) == 0);
	PROMISE(provider_plan_network_delete(p, name, plan, &err) == 0);
}

/* The same words as for a plain name, but for what stands behind "=", ":" or alone. */
static void look_at_words(const struct strv *argv, const struct strv *plain)
{
	PROMISE(argv->count == plain->count);
	for (size_t i = 0; i < argv->count; i++) {
		const char *word = argv->items[i], *model = plain->items[i];
		size_t head = strcspn(model, "=");

		PROMISE(strncmp(word, model, model[head] ? head + 1 : strspn(model, "-")) == 0);
		PROMISE(model[0] == '-' || word[0] != '-');
		PROMISE(!strchr(word, '\n'));
	}
}

static void take_name(const char *name)
{
	if (!name_is_valid(name, 63))
		return;
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		cleanup_with(plan) struct plan plan = { 0 }, plain = { 0 };
		cleanup_with(provider) struct provider *p = NULL;
		struct host_facts facts = { 0 };
		struct err err;

		PROMISE(provider_open_to_plan(engines[e], &facts, &p, &err) == 0);
		plan_into(p, name, &plan);
		plan_into(p, "plain", &plain);
		PROMISE(plan.count == plain.count);
		for (size_t i = 0; i < plan.count; i++)
			look_at_words(&plan.steps[i]->argv, &plain.steps[i]->argv);
	}
}

static void take_line(char *bytes, size_t len)
{
	char *argv[WORDS_MAX + 1] = { (char *)"berth" };
	struct command_line line;
	int argc = 1;
	struct err err = { 0 };

	for (char *at = bytes; at < bytes + len && argc < WORDS_MAX; at += strlen(at) + 1)
		argv[argc++] = at;
	if (command_line_parse(argc, argv, &line, &err) < 0)
		PROMISE(err.code == ERR_INVALID_ARGUMENT && err.msg[0] && err.reason[0]);
	else if (line.command)
		PROMISE(line.args.count < (size_t)argc);
	command_line_release(&line);
	if (argc > 1)
		take_name(argv[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *copy = malloc(len + 1);

	PROMISE(copy);
	if (len)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	take_line(copy, len);
	free(copy);
	return 0;
}
