/*
 * Which network the nodes are in, and where in it.
 */
#include "controller/cluster/plan_parts.h"
#include "controller/cluster/subnet.h"

#include <stdio.h>
#include <string.h>

/* The engine's own network, in which nothing is made and no address is given (CN-050). */
static const char *engine_network(const struct planning *p)
{
	return strcmp(provider_name(p->ctx->provider), "docker") == 0 ? "bridge" : "podman";
}

/* The only address that one may ask for is a control plane's, so one is enough to look for. */
static const char *wanted_ip(const struct planning *p)
{
	for (size_t i = 0; p->config && i < p->config->node_count; i++) {
		const char *ip = p->config->nodes[i].static_ip;

		if (ip && *ip)
			return ip;
	}
	return "";
}

static int no_own_address(const char *ip, struct err *err)
{
	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"in the engine's own network no node can have the address %s", ip);
	return err_explain(err, "NETWORK_UNUSABLE", "leave out --static-ip, or give a --network");
}

static int use_engine_network(struct planning *p, struct err *err)
{
	const char *ip = wanted_ip(p);

	p->network = "";
	return *ip ? no_own_address(ip, err) : 0;
}

static int unusable(const char *network, const char *what, struct err *err)
{
	err_set(err, ERR_FAILED_PRECONDITION, 0, "the network '%s' has no %s subnet", network,
		what);
	return err_explain(err, "NETWORK_UNUSABLE",
			   "remove it, or choose another name for the cluster");
}

/* As it is (CN-051). */
static int use_present(struct planning *p, const struct network *present, struct err *err)
{
	if (!*present->subnet)
		return unusable(present->name, "IPv4", err);
	if (p->ip_family != IP_FAMILY_V4 && !*present->subnet6)
		return unusable(present->name, "IPv6", err);
	snprintf(p->subnet, sizeof(p->subnet), "%s", present->subnet);
	snprintf(p->gateway, sizeof(p->gateway), "%s", present->gateway);
	if (p->ip_family != IP_FAMILY_V4)
		snprintf(p->subnet6, sizeof(p->subnet6), "%s", present->subnet6);
	return 0;
}

/* A static address brings its subnet along, which no other can replace (CN-055, CN-060). */
static int subnet_for_ip(struct planning *p, const char *ip, struct err *err)
{
	struct err ignored;
	char wanted[32] = "";

	if (subnet_of_address(ip, wanted, sizeof(wanted)) &&
	    subnet_choose(p->found, wanted, p->subnet, sizeof(p->subnet), &ignored) == 0 &&
	    strcmp(p->subnet, wanted) == 0)
		return 0;
	err_set(err, ERR_ALREADY_EXISTS, 0, "the subnet %s of the address %s is taken", wanted, ip);
	return err_explain(err, "SUBNET_TAKEN", "choose another --static-ip");
}

/* Somebody who names a subnet is told when it is another. */
static void tell_other_subnet(struct planning *p, const char *first)
{
	struct subnet wanted, got;

	if (subnet_parse(first, &wanted) && subnet_parse(p->subnet, &got) &&
	    wanted.base != got.base)
		strv_addf(&p->plan->warnings, "the subnet %s is taken: the cluster gets %s", first,
			  p->subnet);
}

static int new_subnets(struct planning *p, struct err *err)
{
	const struct network *engines = network_list_find(&p->found->networks, engine_network(p));
	const char *first = p->config && p->config->subnet ? p->config->subnet : "";
	const char *ip = wanted_ip(p);

	p->new_network = true;
	p->mtu = engines ? engines->mtu : 0;
	if (*ip) {
		if (subnet_for_ip(p, ip, err) < 0)
			return -1;
	} else {
		if (subnet_choose(p->found, first, p->subnet, sizeof(p->subnet), err) < 0)
			return -1;
		tell_other_subnet(p, first);
	}
	if (p->ip_family == IP_FAMILY_V4 || p->found->ipv6_refused)
		return 0;
	return subnet6_choose(p->network, p->found, p->subnet6, sizeof(p->subnet6), err);
}

int planning_choose_network(struct planning *p, struct err *err)
{
	const char *wanted = p->config->network;
	const struct network *present;

	p->network = wanted && *wanted ? wanted : p->ctx->name;
	if (strcmp(p->network, engine_network(p)) == 0 || p->found->network_refused)
		return use_engine_network(p, err);
	present = network_list_find(&p->found->networks, p->network);
	if (present)
		return use_present(p, present, err);
	if (new_subnets(p, err) == 0)
		return 0;
	if (strcmp(err->reason, "SUBNETS_EXHAUSTED") != 0 || !p->options->allow_default_network)
		return -1;
	p->new_network = false;
	p->subnet[0] = p->subnet6[0] = '\0';
	return use_engine_network(p, err);
}

static bool is_mate(const struct planning *p, const struct node *node)
{
	return strcmp(node->cluster, p->ctx->name) == 0;
}

static bool holds_a_node(const struct planning *p, const struct network *network)
{
	struct subnet subnet;

	if (!subnet_parse(network->subnet, &subnet))
		return false;
	for (size_t i = 0; i < p->found->nodes.count; i++) {
		const struct node *node = p->found->nodes.items[i];

		if (is_mate(p, node) && *node->ip && subnet_contains(subnet, node->ip))
			return true;
	}
	return false;
}

/* Made for the cluster, called like it, or the one that its nodes have their addresses of. */
static const struct network *find_network(const struct planning *p)
{
	const struct network_list *list = &p->found->networks;

	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].cluster, p->ctx->name) == 0)
			return &list->items[i];
	}
	for (size_t i = 0; i < list->count; i++) {
		if (holds_a_node(p, &list->items[i]))
			return &list->items[i];
	}
	return network_list_find(list, p->ctx->name);
}

/* Whether the cluster's nodes have addresses of ours at all. */
static bool has_addresses(const struct planning *p, bool six)
{
	for (size_t i = 0; i < p->found->nodes.count; i++) {
		const struct node *node = p->found->nodes.items[i];

		if (is_mate(p, node) && *(six ? node->ip6 : node->ip))
			return true;
	}
	return false;
}

int planning_find_network(struct planning *p, struct err *err)
{
	const struct network *present = find_network(p);

	if (has_addresses(p, true))
		p->ip_family = IP_FAMILY_DUAL;
	if (!present && strcmp(p->ctx->name, engine_network(p)) != 0 && has_addresses(p, false)) {
		p->network = p->ctx->name;
		return new_subnets(p, err);
	}
	if (!present || strcmp(present->name, engine_network(p)) == 0)
		return use_engine_network(p, err);
	p->network = present->name;
	return use_present(p, present, err);
}

/* --- addresses --------------------------------------------------------------------------------- */

static bool address_is_taken(const struct planning *p, const char *ip)
{
	if (!*ip)
		return false;
	if (strv_has(&p->addresses, ip) || strv_has(&p->found->bad_ips, ip))
		return true;
	for (size_t i = 0; i < p->found->nodes.count; i++) {
		if (strcmp(p->found->nodes.items[i]->ip, ip) == 0)
			return true;
	}
	return false;
}

static bool index_is_taken(const struct planning *p, int index)
{
	for (size_t i = 0; i < p->found->nodes.count; i++) {
		const struct node *node = p->found->nodes.items[i];

		if (is_mate(p, node) && node->index == index)
			return true;
	}
	return false;
}

static int subnet_full(const char *subnet, int index, struct err *err)
{
	err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "subnet %s has no address for node number %d",
		subnet, index);
	return err_explain(err, "SUBNET_FULL", NULL);
}

static int by_index(const struct planning *p, int index, struct node_address *ret, struct err *err)
{
	struct subnet subnet;

	*ret = (struct node_address){ 0 };
	if (!*p->subnet)
		return 0;
	if (!subnet_parse(p->subnet, &subnet) ||
	    !subnet_node_ip(subnet, p->gateway, index, ret->ip, sizeof(ret->ip)))
		return subnet_full(p->subnet, index, err);
	if (*p->subnet6 && !subnet6_node_ip(p->subnet6, index, ret->ip6, sizeof(ret->ip6)))
		return subnet_full(p->subnet6, index, err);
	return 0;
}

static int by_choice(const struct planning *p, const char *ip, struct node_address *ret,
		     struct err *err)
{
	struct subnet subnet;

	if (!*p->subnet)
		return no_own_address(ip, err);
	if (!subnet_parse(p->subnet, &subnet) || !subnet_contains(subnet, ip)) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "the address %s is not in the subnet %s", ip,
			p->subnet);
		return err_explain(err, "IP_OUTSIDE_SUBNET", "choose one that is");
	}
	if (strcmp(ip, p->gateway) == 0 || address_is_taken(p, ip)) {
		err_set(err, ERR_ALREADY_EXISTS, 0, "the address %s is taken", ip);
		return err_explain(err, "IP_IN_USE", "choose another --static-ip");
	}
	snprintf(ret->ip, sizeof(ret->ip), "%s", ip);
	return 0;
}

int planning_address(struct planning *p, const char *static_ip, int *ret_index,
		     struct node_address *ret, struct err *err)
{
	const char *kept = wanted_ip(p);
	struct node_address address;
	int index = p->last_index;

	do {
		index++;
		if (by_index(p, index, &address, err) < 0)
			return -1;
	} while (index_is_taken(p, index) ||
		 (!*static_ip &&
		  (address_is_taken(p, address.ip) || (*kept && strcmp(address.ip, kept) == 0))));
	if (*static_ip && by_choice(p, static_ip, &address, err) < 0)
		return -1;
	if (*address.ip)
		strv_add(&p->addresses, address.ip);
	if (strv_failed(&p->addresses))
		return err_oom(err);
	p->last_index = index;
	*ret_index = index;
	*ret = address;
	return 0;
}
