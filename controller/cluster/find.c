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

/* The second question to the engine, asked beside the first. */
struct question {
	const struct cluster_ctx *ctx;
	struct network_list *ret_networks;
	struct err err;
	int rc;
};

static void *ask_networks(void *arg)
{
	struct question *q = arg;

	q->rc = provider_networks(q->ctx->provider, q->ctx->by, q->ret_networks, &q->err);
	return NULL;
}

static int ask_engine(const struct cluster_ctx *ctx, struct cluster_found *found, struct err *err)
{
	struct question q = { .ctx = ctx, .ret_networks = &found->networks };
	pthread_t thread;
	bool threaded = pthread_create(&thread, NULL, ask_networks, &q) == 0;
	int rc = provider_survey(ctx->provider, ctx->by, &found->nodes, &found->foreign, err);

	if (threaded)
		pthread_join(thread, NULL);
	else
		ask_networks(&q);
	if (rc == 0 && q.rc < 0) {
		*err = q.err;
		return -1;
	}
	return rc;
}

int cluster_find(const struct cluster_ctx *ctx, struct cluster_found *ret_found, struct err *err)
{
	struct cluster_found found = { 0 };
	bool ok;

	if (ask_engine(ctx, &found, err) < 0) {
		cluster_found_release(&found);
		return -1;
	}
	/* Nodes that are nowhere can take nobody's address. */
	if (provider_has_agents(ctx->provider))
		read_host_addresses(&found.host_addresses);
	ok = proxy_read(lookup, &found.env) && !strv_failed(&found.host_addresses);
	if (!ok) {
		cluster_found_release(&found);
		return err_oom(err);
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
	strv_release(&found->bad_subnets);
	strv_release(&found->bad_ips);
	kv_release(&found->env);
	*found = (struct cluster_found){ 0 };
}
