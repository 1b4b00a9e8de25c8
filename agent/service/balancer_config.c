#include "agent/service/balancer_config.h"

#include "shared/base/parse.h"

#include <arpa/inet.h>
#include <string.h>

/* A day: what watches an API server is silent for long. */
static const char head[] = "# Written by berthd; changes are lost.\n"
			   "global\n"
			   "    maxconn 1500\n"
			   "    no strict-limits\n"
			   "    user haproxy\n"
			   "    group haproxy\n"
			   "\n"
			   "defaults\n"
			   "    mode tcp\n"
			   "    balance roundrobin\n"
			   "    retries 3\n"
			   "    option redispatch\n"
			   "    timeout connect 250ms\n"
			   "    timeout check 1s\n"
			   "    timeout queue 5s\n"
			   "    timeout client 24h\n"
			   "    timeout server 24h\n"
			   "    default-server check inter 1s fastinter 250ms fall 2 rise 1\n"
			   "\n";

static bool is_address(const char *s, bool *ret_v6)
{
	struct in6_addr address;

	*ret_v6 = inet_pton(AF_INET6, s, &address) == 1;
	return *ret_v6 || inet_pton(AF_INET, s, &address) == 1;
}

static int refuse(struct err *err, const char *what, const char *value)
{
	err_set(err, ERR_INVALID_ARGUMENT, 0, "%s: '%.64s'", what, value);
	return err_explain(err, "BALANCER_INVALID", NULL);
}

static bool is_port(uint32_t port)
{
	return port > 0 && port <= 65535;
}

static int add_backend(const Berth__Node__V1__BalancerBackend *backend, struct text *ret,
		       struct err *err)
{
	bool v6;

	if (!name_is_valid(backend->name, 253))
		return refuse(err, "not a backend's name", backend->name);
	if (!is_address(backend->address, &v6) && !name_is_valid(backend->address, 253))
		return refuse(err, "neither an IP address nor a host's name", backend->address);
	if (!is_port(backend->port))
		return refuse(err, "no port of a backend", backend->name);
	text_addf(ret, "    server %s %s%s%s:%u\n", backend->name, v6 ? "[" : "", backend->address,
		  v6 ? "]" : "", backend->port);
	return 0;
}

static bool is_twice(const Berth__Node__V1__BalancerSetRequest *req, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (strcmp(req->backends[i]->name, req->backends[index]->name) == 0)
			return true;
	}
	return false;
}

int balancer_config(const Berth__Node__V1__BalancerSetRequest *req, struct text *ret,
		    struct err *err)
{
	if (!is_port(req->listen_port))
		return refuse(err, "no port to listen on", "");
	if (req->n_backends > BALANCER_MAX_BACKENDS)
		return refuse(err, "too many backends", "64 are the most");
	text_add(ret, head);
	text_addf(ret, "frontend control-plane\n    bind %s:%u%s\n", req->ipv6 ? "[::]" : "0.0.0.0",
		  req->listen_port, req->ipv6 ? " v4v6" : "");
	text_add(ret, "    default_backend control-planes\n\nbackend control-planes\n");
	for (size_t i = 0; i < req->n_backends; i++) {
		if (is_twice(req, i))
			return refuse(err, "two backends of one name", req->backends[i]->name);
		if (add_backend(req->backends[i], ret, err) < 0)
			return -1;
	}
	return 0;
}
