#include "controller/provider/provider.h"

#include "controller/provider/facts.h"
#include "controller/provider/provider_impl.h"
#include "shared/base/log.h"
#include "shared/base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct provider_ops *const providers[] = { &podman_ops, &docker_ops, &fake_ops };

static const struct provider_ops *find_ops(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
		if (strcmp(providers[i]->name, name) == 0)
			return providers[i];
	}
	return NULL;
}

/* The first whose program is there. */
static const struct provider_ops *choose_ops(void)
{
	for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
		const char *program = providers[i]->program;

		if (program && host_has_program(getenv("PATH"), program))
			return providers[i];
	}
	return NULL;
}

void provider_relay_argv(const char *name, const char *node, struct strv *argv)
{
	const struct provider_ops *ops = find_ops(name);

	if (ops && ops->relay_argv)
		ops->relay_argv(ops->program, node, argv);
}

char *provider_address(const char *name)
{
	const struct provider_ops *ops = name ? find_ops(name) : choose_ops();

	return ops && ops->address ? ops->address() : strdup("");
}

static int unknown_provider(const char *name, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, 0, "there is no provider '%s' here: nodes are containers",
		name);
	return err_explain(err, "PROVIDER_UNKNOWN", "use --provider=podman or --provider=docker");
}

static int engine_not_installed(struct err *err)
{
	err_set(err, ERR_UNAVAILABLE, 0, "no container engine is installed");
	return err_explain(err, "ENGINE_NOT_INSTALLED",
			   "install podman or docker, or put it into PATH, then see "
			   "'berth doctor'");
}

static bool is_absent(const struct provider_ops *ops)
{
	return ops->program && !host_has_program(getenv("PATH"), ops->program);
}

static int open_ops(const struct provider_ops *ops, const struct host_facts *facts,
		    struct provider **ret_provider, struct err *err)
{
	struct host_facts own;

	if (!facts)
		host_facts_read(&own);
	return ops->open(facts ? facts : &own, ret_provider, err);
}

int provider_open(const char *name, const struct host_facts *facts, struct provider **ret_provider,
		  struct err *err)
{
	const struct provider_ops *ops = name ? find_ops(name) : choose_ops();

	if (!ops)
		return name ? unknown_provider(name, err) : engine_not_installed(err);
	if (name && is_absent(ops)) {
		err_set(err, ERR_UNAVAILABLE, 0, "'%s' is not installed", ops->program);
		return err_explain(err, "ENGINE_NOT_INSTALLED",
				   "install it, or put it into PATH, then see 'berth doctor'");
	}
	return open_ops(ops, facts, ret_provider, err);
}

int provider_open_to_plan(const char *name, const struct host_facts *facts,
			  struct provider **ret_provider, struct err *err)
{
	const struct provider_ops *ops = name ? find_ops(name) : choose_ops();

	if (!ops && name)
		return unknown_provider(name, err);
	if (!ops)
		ops = providers[0];
	if (open_ops(ops, facts, ret_provider, err) < 0)
		return -1;
	(*ret_provider)->absent = is_absent(ops);
	return 0;
}

void provider_close(struct provider *provider)
{
	if (provider)
		provider->ops->close(provider);
}

const char *provider_name(const struct provider *provider)
{
	return provider->ops->name;
}

const char *provider_known(size_t i)
{
	return i < ARRAY_LEN(providers) ? providers[i]->name : NULL;
}

const struct host_facts *provider_facts(const struct provider *provider)
{
	return &provider->facts;
}

void provider_set_interrupt(struct provider *provider, const struct interrupt *interrupt)
{
	provider->interrupt = interrupt;
}

bool provider_is_remote(const struct provider *provider)
{
	return provider->engine.remote;
}

void provider_set_memory(struct provider *provider, const char *dir)
{
	provider->memory = dir;
}

bool provider_has_agents(const struct provider *provider)
{
	return !provider->ops->has_agents || provider->ops->has_agents(provider);
}

static int wrap(const struct provider *p, struct err *err)
{
	return err_wrap(err, "%s", p->ops->name);
}

static int list_both(struct provider *provider, const char *cluster, struct deadline by,
		     struct node_list *ret_list, struct strv *ret_foreign, struct err *err)
{
	struct node_list list = { 0 };
	struct strv foreign = { 0 };

	if ((!provider->absent &&
	     provider->ops->list(provider, cluster, by, &list, &foreign, err) < 0) ||
	    (strv_failed(&foreign) && err_oom(err))) {
		node_list_release(&list);
		strv_release(&foreign);
		return wrap(provider, err);
	}
	node_list_sort(&list);
	*ret_list = list;
	*ret_foreign = foreign;
	return 0;
}

int provider_list(struct provider *provider, const char *cluster, struct deadline by,
		  struct node_list *ret_list, struct err *err)
{
	struct strv foreign;

	if (list_both(provider, cluster, by, ret_list, &foreign, err) < 0)
		return -1;
	strv_release(&foreign);
	return 0;
}

int provider_survey(struct provider *provider, struct deadline by, struct node_list *ret_list,
		    struct strv *ret_foreign, struct err *err)
{
	return list_both(provider, NULL, by, ret_list, ret_foreign, err);
}

int provider_networks(struct provider *provider, struct deadline by, struct network_list *ret_list,
		      struct err *err)
{
	struct network_list list = { 0 };

	if (!provider->absent && provider->ops->networks(provider, by, &list, err) < 0) {
		network_list_release(&list);
		return wrap(provider, err);
	}
	*ret_list = list;
	return 0;
}

/* Steps remember an allocation failure instead of returning it; asked for once, here. */
static int plan_checked(const struct provider *p, const struct plan *plan, int rc, struct err *err)
{
	if (rc < 0)
		return wrap(p, err);
	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = plan->steps[i];

		if (strv_failed(&step->argv) || strv_failed(&step->env) ||
		    strv_failed(&step->after))
			return err_oom(err);
	}
	return 0;
}

/* Whatever made the name: it never becomes an option or a path (I7). */
static int check_name(const char *what, const char *name, struct err *err)
{
	if (name_is_valid(name, 63))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' cannot be a %s", name, what);
	return err_explain(
		err, "NAME_INVALID",
		"use at most 63 of a-z, 0-9, '-' and '.', a letter or digit first and last");
}

static int check_image(const char *image, struct err *err)
{
	if (*image && *image != '-' && !strpbrk(image, " \t\r\n"))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is not the name of an image", image);
	return err_explain(err, "IMAGE_INVALID", NULL);
}

int provider_plan_network(struct provider *provider, const struct network_spec *spec,
			  struct plan *plan, struct err *err)
{
	if (check_name("network", spec->name, err) < 0)
		return -1;
	return plan_checked(provider, plan, provider->ops->plan_network(provider, spec, plan, err),
			    err);
}

void provider_set_engine(struct provider *provider, const struct engine_info *engine)
{
	provider->engine = *engine;
}

int provider_plan_image(struct provider *provider, const char *image, struct plan *plan,
			struct err *err)
{
	if (check_image(image, err) < 0)
		return -1;
	return plan_checked(provider, plan, provider->ops->plan_image(provider, image, plan, err),
			    err);
}

int provider_plan_pull(struct provider *provider, const char *image, struct plan *plan,
		       struct err *err)
{
	if (check_image(image, err) < 0)
		return -1;
	if (!provider->ops->plan_pull)
		return err_set(err, ERR_UNIMPLEMENTED, 0, "%s pulls no images",
			       provider->ops->name);
	return plan_checked(provider, plan, provider->ops->plan_pull(provider, image, plan, err),
			    err);
}

int provider_plan_create(struct provider *provider, const struct node_spec *spec, struct plan *plan,
			 struct err *err)
{
	if (check_name("node", spec->name, err) < 0 || check_image(spec->image, err) < 0)
		return -1;
	return plan_checked(provider, plan, provider->ops->plan_create(provider, spec, plan, err),
			    err);
}

int provider_plan_act(struct provider *provider, enum step_action action, const char *node,
		      int64_t grace_s, struct plan *plan, struct err *err)
{
	if (check_name("node", node, err) < 0)
		return -1;
	return plan_checked(provider, plan,
			    provider->ops->plan_act(provider, action, node, grace_s, plan, err),
			    err);
}

int provider_plan_network_delete(struct provider *provider, const char *network, struct plan *plan,
				 struct err *err)
{
	if (check_name("network", network, err) < 0)
		return -1;
	return plan_checked(provider, plan,
			    provider->ops->plan_network_delete(provider, network, plan, err), err);
}

int provider_run(struct provider *provider, const struct step *step, struct deadline by,
		 struct err *err)
{
	log_debug("%s: %s", provider->ops->name, step->id);
	if (provider->ops->run(provider, step, by, err) == 0)
		return 0;
	snprintf(err->node, sizeof(err->node), "%s", step->node);
	if (!*step->node)
		return err_wrap(err, "%s: %s", provider->ops->name, step_action_name(step->action));
	return err_wrap(err, "%s: %s '%s'", provider->ops->name, step_action_name(step->action),
			step->node);
}

int provider_info(struct provider *provider, struct deadline by, struct engine_info *ret,
		  struct err *err)
{
	if (provider->ops->info(provider, by, ret, err) < 0)
		return wrap(provider, err);
	return 0;
}

int provider_dump(struct provider *provider, enum provider_dump what, const char *name,
		  struct deadline by, struct text *ret, struct err *err)
{
	if (!provider->ops->dump)
		return err_set(err, ERR_UNIMPLEMENTED, 0, "%s has nothing to tell",
			       provider->ops->name);
	if (provider->ops->dump(provider, what, name, by, ret, err) < 0)
		return wrap(provider, err);
	return text_failed(ret) ? err_oom(err) : 0;
}

char *provider_console_tail(struct provider *provider, const char *node, struct deadline by)
{
	if (!provider->ops->console_tail)
		return strdup("");
	return provider->ops->console_tail(provider, node, by);
}

void provider_console_wait(struct provider *provider, const char *node, struct deadline by)
{
	if (provider->ops->console_wait)
		provider->ops->console_wait(provider, node, by);
}

int network_list_add(struct network_list *list, const char *name, const char *subnet,
		     const char *cluster, struct err *err)
{
	struct network *items = realloc(list->items, (list->count + 1) * sizeof(*items));
	struct network *n;

	if (!items)
		return err_oom(err);
	list->items = items;
	n = &items[list->count++];
	*n = (struct network){ .name = strdup(name),
			       .subnet = strdup(subnet),
			       .cluster = strdup(cluster),
			       .subnet6 = strdup(""),
			       .gateway = strdup(""),
			       .gateway6 = strdup("") };
	if (!n->name || !n->subnet || !n->cluster || !n->subnet6 || !n->gateway || !n->gateway6)
		return err_oom(err);
	return 0;
}

const struct network *network_list_find(const struct network_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].name, name) == 0)
			return &list->items[i];
	}
	return NULL;
}

void network_list_release(struct network_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].subnet);
		free(list->items[i].cluster);
		free(list->items[i].subnet6);
		free(list->items[i].gateway);
		free(list->items[i].gateway6);
	}
	free(list->items);
	*list = (struct network_list){ 0 };
}
