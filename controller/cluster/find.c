#include "controller/cluster/cluster.h"
#include "controller/cluster/proxy.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void read_host_addresses(struct strv *ret)
{
	struct ifaddrs *list, *i;

	if (getifaddrs(&list) < 0)
		return;
	for (i = list; i; i = i->ifa_next) {
		char text[INET_ADDRSTRLEN];

		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		if (inet_ntop(AF_INET, &((struct sockaddr_in *)i->ifa_addr)->sin_addr, text,
			      sizeof(text)))
			strv_add(ret, text);
	}
	freeifaddrs(list);
}

static const char *lookup(const char *name)
{
	return getenv(name);
}

/* One of the questions to the engine, which are asked side by side. */
struct question {
	const struct cluster_ctx *ctx;
	struct cluster_found *found;
	int (*ask)(const struct cluster_ctx *ctx, struct cluster_found *found, struct err *err);
	struct err err;
	int rc;
	pthread_t thread;
	bool threaded;
};

static int ask_nodes(const struct cluster_ctx *ctx, struct cluster_found *found, struct err *err)
{
	return provider_survey(ctx->provider, ctx->by, &found->nodes, &found->foreign, err);
}

static int ask_networks(const struct cluster_ctx *ctx, struct cluster_found *found, struct err *err)
{
	return provider_networks(ctx->provider, ctx->by, &found->networks, err);
}

/* An engine that works but says odd things of itself is taken for an ordinary one. */
static int ask_engine(const struct cluster_ctx *ctx, struct cluster_found *found, struct err *err)
{
	if (provider_info(ctx->provider, ctx->by, &found->engine, err) < 0)
		return err->code == ERR_DATA_LOSS ? 0 : -1;
	found->has_engine = true;
	return 0;
}

static void *answer(void *arg)
{
	struct question *q = arg;

	q->rc = q->ask(q->ctx, q->found, &q->err);
	return NULL;
}

/* The first failure in the order of the questions, so that it is the same each time. */
static int ask_all(const struct cluster_ctx *ctx, struct cluster_found *found, struct err *err)
{
	struct question questions[] = { { .ask = ask_nodes },
					{ .ask = ask_networks },
					{ .ask = ask_engine } };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		struct question *q = &questions[i];

		q->ctx = ctx;
		q->found = found;
		q->threaded = pthread_create(&q->thread, NULL, answer, q) == 0;
		if (!q->threaded)
			answer(q);
	}
	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		struct question *q = &questions[i];

		if (q->threaded)
			pthread_join(q->thread, NULL);
		if (rc == 0 && q->rc < 0) {
			*err = q->err;
			rc = -1;
		}
	}
	return rc;
}

static int look_around(const struct cluster_ctx *ctx, struct cluster_found *found, struct err *err)
{
	bool docker = strcmp(provider_name(ctx->provider), "docker") == 0;

	if (found->has_engine)
		provider_set_engine(ctx->provider, &found->engine);
	/* Nodes that are nowhere, or elsewhere, can take nobody's address here. */
	if (provider_has_agents(ctx->provider) && !provider_is_remote(ctx->provider))
		read_host_addresses(&found->host_addresses);
	if (!proxy_read(lookup, &found->env, &found->warnings) ||
	    (docker && !proxy_read_docker(lookup, &found->env, &found->warnings)) ||
	    strv_failed(&found->host_addresses) || strv_failed(&found->warnings))
		return err_oom(err);
	return 0;
}

/* Only these questions may be answered from memory: later ones are about what has been done since. Who only
 * looks leaves nothing behind. */
static int ask_or_recall(const struct cluster_ctx *ctx, bool for_show, struct cluster_found *found,
			 struct err *err)
{
	int rc;

	if (!for_show)
		provider_set_memory(ctx->provider, ctx->state_dir);
	rc = ask_all(ctx, found, err);
	provider_set_memory(ctx->provider, NULL);
	return rc;
}

int cluster_find(const struct cluster_ctx *ctx, bool for_show, struct cluster_found *ret_found,
		 struct err *err)
{
	struct cluster_found found = { 0 };

	if ((ask_or_recall(ctx, for_show, &found, err) < 0 &&
	     !(for_show && strcmp(err->reason, "ENGINE_NOT_INSTALLED") == 0)) ||
	    look_around(ctx, &found, err) < 0) {
		cluster_found_release(&found);
		return -1;
	}
	*ret_found = found;
	return 0;
}

void cluster_found_release(struct cluster_found *found)
{
	node_list_release(&found->nodes);
	strv_release(&found->foreign);
	network_list_release(&found->networks);
	strv_release(&found->host_addresses);
	strv_release(&found->warnings);
	strv_release(&found->bad_subnets);
	strv_release(&found->bad_ips);
	kv_release(&found->env);
	*found = (struct cluster_found){ 0 };
}
