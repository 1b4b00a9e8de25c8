/*
 * Nodes as docker containers (container-nodes.md; DESIGN.md D12): what docker does in its own way. The
 * rest is oci_*.c. Works with the docker CLI from 20.10 on.
 */
#include "controller/provider/docker_config.h"
#include "controller/provider/docker_parse.h"
#include "controller/provider/oci_create.h"
#include "controller/provider/oci_parse.h"
#include "controller/provider/oci_plan.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

#define LIST_TRIES  5
#define PATIENCE_MS 2900
#define TWIN_MS     1000

static void add_engine(const struct provider *p, struct strv *argv, const char *verb)
{
	(void)p;
	strv_add(argv, "docker");
	strv_add(argv, verb);
}

/* CN-031, CN-037: back after the engine's restart, but not in circles; systemd is PID 1 whatever the
 * daemon's default is. */
static void add_own(const struct provider *p, struct strv *argv)
{
	oci_add_words(argv, OCI_WORDS("--restart=on-failure:1", "--init=false",
				      "--security-opt=apparmor=unconfined"));
	/* A daemon that remaps users takes the privileged's power away (CN-025). */
	if (p->engine.userns_remap)
		strv_add(argv, "--userns=host");
}

static const char *const image_check[] = { "docker", "image", "inspect", "--format={{.Id}}", NULL };
static const char *const remove_words[] = { "docker", "rm", "--force", "--volumes", NULL };

static const struct oci_flavour flavour = {
	.any_port = "0",
	.var_volume = "--volume=/var",
	.mtu_option = "com.docker.network.driver.mtu",
	.all_gpus = "--gpus=all",
	/* --time until docker 27, --timeout since. */
	.stop_time = "-t",
	.image_check = image_check,
	.remove = remove_words,
	.add_engine = add_engine,
	.add_own = add_own,
};

static int docker_open(const struct host_facts *facts, struct provider **ret_provider,
		       struct err *err)
{
	return oci_open(&docker_ops, &flavour, facts, ret_provider, err);
}

/* A daemon that is stuck takes calls and never answers. When a question has waited for a while it is seen
 * whether the daemon answers the shortest one: if not, it is down (CN-295, within 6 s); if so, it is only
 * slow, and is asked again. */
static int ask(struct provider *p, const struct strv *argv, struct deadline by,
	       struct exec_result *ret_result, struct err *err)
{
	cleanup_with(strv) struct strv ping = { 0 };
	struct err ignored;

	if (oci_run(p, argv, deadline_min(by, deadline_in_ms(PATIENCE_MS)), ret_result, err) == 0)
		return 0;
	if (strcmp(err->reason, "ENGINE_HUNG") != 0 || deadline_is_over(by))
		return -1;
	oci_add_words(&ping, OCI_WORDS("docker", "version", "--format={{.Server.Version}}"));
	if (oci_run(p, &ping, deadline_min(by, deadline_in_ms(PATIENCE_MS)), NULL, &ignored) == 0)
		return oci_run(p, argv, by, ret_result, err);
	err_set(err, ERR_UNAVAILABLE, 0, "the engine takes calls and does not answer them");
	return err_explain(err, "ENGINE_NOT_ANSWERING", "restart dockerd, then see 'berth doctor'");
}

/* `docker PREFIX... ID...` of all given. */
static int inspect(struct provider *p, const char *const *prefix, const struct strv *ids,
		   struct deadline by, struct exec_result *ret_result, struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	oci_add_words(&argv, prefix);
	strv_add_all(&argv, ids);
	return oci_run(p, &argv, by, ret_result, err);
}

/* The list has neither ports nor labels as data: ours are looked at closely, all by one call. */
static int list_once(struct provider *p, const char *cluster, struct deadline by,
		     struct node_list *list, struct strv *foreign, struct err *err)
{
	cleanup_with(exec_result) struct exec_result listed = { 0 }, result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 }, ids = { 0 };

	oci_add_words(&argv,
		      OCI_WORDS("docker", "ps", "--all", "--no-trunc", "--format={{json .}}"));
	if (cluster)
		strv_addf(&argv, "--filter=label=" OCI_LABEL_CLUSTER "=%s", cluster);
	if (ask(p, &argv, by, &listed, err) < 0 ||
	    docker_parse_list(text_str(&listed.out), &ids, foreign, err) < 0)
		return -1;
	if (!ids.count)
		return 0;
	if (inspect(p, OCI_WORDS("docker", "inspect", "--type=container"), &ids, by, &result, err) <
	    0)
		return -1;
	return docker_parse_nodes(text_str(&result.out), result.out.len, cluster, list, foreign,
				  err);
}

static int networks_once(struct provider *p, const char *name, struct deadline by,
			 struct exec_result *ret_result, struct err *err)
{
	cleanup_with(exec_result) struct exec_result listed = { 0 };
	cleanup_with(strv) struct strv argv = { 0 }, ids = { 0 };

	oci_add_words(&argv, OCI_WORDS("docker", "network", "ls", "--quiet", "--no-trunc"));
	if (name)
		strv_addf(&argv, "--filter=name=^%s$", name);
	if (ask(p, &argv, by, &listed, err) < 0)
		return -1;
	docker_parse_ids(text_str(&listed.out), &ids);
	/* One of a name needs no closer look. */
	if (ids.count <= (name ? 1 : 0))
		return 0;
	return inspect(p, OCI_WORDS("docker", "network", "inspect"), &ids, by, ret_result, err);
}

/* What went away between the list and the look is no failure. */
static bool is_worth_another(const struct err *err, int tries)
{
	return err->code == ERR_NOT_FOUND && tries < LIST_TRIES;
}

static int docker_list(struct provider *p, const char *cluster, struct deadline by,
		       struct node_list *list, struct strv *foreign, struct err *err)
{
	by = oci_ask_deadline(by);
	for (int tries = 1;; tries++) {
		if (list_once(p, cluster, by, list, foreign, err) == 0)
			return 0;
		if (!is_worth_another(err, tries))
			return -1;
		node_list_release(list);
		strv_release(foreign);
	}
}

static int docker_networks(struct provider *p, struct deadline by, struct network_list *list,
			   struct err *err)
{
	by = oci_ask_deadline(by);
	for (int tries = 1;; tries++) {
		cleanup_with(exec_result) struct exec_result result = { 0 };

		if (networks_once(p, NULL, by, &result, err) == 0)
			return result.out.len ? docker_parse_networks(text_str(&result.out),
								      result.out.len, list, err)
					      : 0;
		if (!is_worth_another(err, tries))
			return -1;
	}
}

/* CN-230 to CN-232: told by the environment, or by a context. */
static int ask_where(struct provider *p, const char *context, struct deadline by,
		     struct engine_info *info, struct err *err)
{
	const char *url = getenv("DOCKER_HOST");
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	char found[512] = "";

	if ((!url || !*url) && *context && strcmp(context, "default") != 0) {
		oci_add_words(&argv, OCI_WORDS("docker", "context", "inspect", "--", context));
		if (oci_ask(p, &argv, by, &result, err) < 0 ||
		    docker_parse_context(text_str(&result.out), result.out.len, found,
					 sizeof(found), err) < 0)
			return -1;
		url = found;
	}
	if (oci_url_host(url ? url : "", info->host, sizeof(info->host)))
		info->remote = true;
	return 0;
}

static int docker_info(struct provider *p, struct deadline by, struct engine_info *ret,
		       struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };
	struct engine_info info;
	char context[128];

	oci_add_words(&argv, OCI_WORDS("docker", "info", "--format={{json .}}"));
	if (ask(p, &argv, oci_ask_deadline(by), &result, err) < 0 ||
	    docker_parse_info(text_str(&result.out), result.out.len, &info, context,
			      sizeof(context), err) < 0 ||
	    ask_where(p, context, by, &info, err) < 0)
		return -1;
	info.remote |= !OCI_SHARES_KERNEL;
	if (info.remote)
		info.storage[0] = '\0';
	*ret = info;
	return 0;
}

static int remove_network(struct provider *p, const char *id, struct deadline by, struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	oci_add_words(&argv, OCI_WORDS("docker", "network", "rm", "--", id));
	return oci_run(p, &argv, by, NULL, err);
}

/* Whether the network 'id' is the only one of its name, or at least the one to keep. A look that fails sees
 * nobody else. */
static void look_for_twins(struct provider *p, const char *name, const char *id, struct deadline by,
			   bool *ret_alone, bool *ret_kept)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_free char *keep = NULL;
	struct err ignored;
	size_t count = 0;

	*ret_alone = *ret_kept = true;
	if (networks_once(p, name, by, &result, &ignored) < 0 || !result.out.len ||
	    docker_parse_twins(text_str(&result.out), result.out.len, name, &keep, &count,
			       &ignored) < 0)
		return;
	*ret_alone = count <= 1;
	*ret_kept = strcmp(keep, id) == 0;
}

/* docker may let two have one name (CN-071). Nobody removes what another made: who sees a twin and has the
 * lesser one takes it away. Who has the one to keep gives the other time to do so; a twin that stays
 * belongs to somebody who was done before ours was there to be seen, and is the winner. */
static int settle_network(struct provider *p, const char *name, const char *id, struct deadline by,
			  struct err *err)
{
	bool alone, kept;
	struct err ignored;

	look_for_twins(p, name, id, by, &alone, &kept);
	if (!alone && kept && oci_wait(p, TWIN_MS, by))
		look_for_twins(p, name, id, by, &alone, &kept);
	if (alone)
		return 0;
	log_debug("docker: network '%s' was made twice, ours goes", name);
	remove_network(p, id, by, &ignored);
	err_set(err, ERR_ALREADY_EXISTS, 0, "a network of this name exists");
	return err_explain(err, "NETWORK_EXISTS", "somebody else may be creating this cluster");
}

static int create_network(struct provider *p, const struct step *step, struct deadline by,
			  struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv ids = { 0 };

	if (oci_run(p, &step->argv, by, &result, err) < 0)
		return -1;
	docker_parse_ids(text_str(&result.out), &ids);
	return settle_network(p, step->argv.items[step->argv.count - 1],
			      ids.count ? ids.items[0] : "", by, err);
}

static int docker_run(struct provider *p, const struct step *step, struct deadline by,
		      struct err *err)
{
	if (step->action == STEP_NETWORK_CREATE)
		return create_network(p, step, by, err);
	return oci_run_step(p, step, by, err);
}

static const char *lookup(const char *name)
{
	return getenv(name);
}

static char *docker_address(void)
{
	cleanup_free char *url = docker_config_host(lookup);
	char host[256];

	if (!url || oci_url_host(url, host, sizeof(host)))
		return TAKE(url);
	return strdup("");
}

const struct provider_ops docker_ops = {
	.name = "docker",
	.program = "docker",
	.open = docker_open,
	.close = oci_close,
	.list = docker_list,
	.networks = docker_networks,
	.plan_network = oci_plan_network,
	.plan_image = oci_plan_image,
	.plan_pull = oci_plan_pull,
	.plan_create = oci_plan_create,
	.plan_act = oci_plan_act,
	.plan_network_delete = oci_plan_network_delete,
	.run = docker_run,
	.info = docker_info,
	.relay_argv = oci_relay_argv,
	.dump = oci_dump,
	.address = docker_address,
	.console_tail = oci_console,
	.console_wait = oci_console_wait,
};
