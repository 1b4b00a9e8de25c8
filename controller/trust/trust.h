#pragma once
/*
 * Who may talk to whom: one authority a cluster, made here and never sent anywhere (S1); one server
 * certificate a node, for the name trust_node_name() (S2); one client certificate a role (S3).
 *
 *	<state_dir>/clusters/<cluster>/tls/  ca.key ca.crt  <role>.key <role>.crt  nodes/<node> → its run_dir
 *	<run_dir>/tls/                       node.key node.crt ca.crt
 *
 * ca.crt holds the authority, and the one before it when there was one: both are accepted, the newer
 * signs. Directories are 0700, files 0600. What lies in a run_dir may have been written by its node, so
 * no link there is followed and nothing read there is trusted (threat A5).
 */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the agent's front listens in the node. */
#define TRUST_AGENT_PORT 7443

/* S6: what a clock that is behind may be off by; leaves are renewed at half of their life. */
#define TRUST_BACKDATE_S  ((int64_t)24 * 3600)
#define TRUST_LEAF_S      ((int64_t)365 * 24 * 3600)
#define TRUST_AUTHORITY_S ((int64_t)3650 * 24 * 3600)

/* What is made anew although it is there and good. */
enum trust_renewal {
	TRUST_AS_NEEDED,    /* nothing but what is past half of its life */
	TRUST_LEAVES,       /* the certificates of roles and nodes */
	TRUST_NEW_AUTHORITY /* the authority, and nodes' certificates by it; those of roles stay: nodes
			       that have not heard of the new one yet would refuse its */
};

struct trust;

/* Opens a cluster's directory, making it when 'create', and locks it against other processes and
 * threads until trust_close(). ERR_NOT_FOUND, reason TLS_NOT_SET_UP, when it is not there. 'now_s': the
 * time to go by, in seconds since the epoch. */
int trust_open(const char *state_dir, const char *cluster, bool create, int64_t now_s,
	       struct trust **ret_trust, struct err *err);
void trust_close(struct trust *trust);
DEFINE_CLEANUP(trust, struct trust *, trust_close)

/* Whether the cluster has certificates at all. */
bool trust_exists(const char *state_dir, const char *cluster);

/* Sees to it that authority and roles' certificates are there and good for a while. */
int trust_renew(struct trust *trust, enum trust_renewal renewal, struct err *err);
/* The same for one node, whose run_dir exists. After trust_renew(). */
int trust_renew_node(struct trust *trust, const char *node, const char *run_dir,
		     enum trust_renewal renewal, struct err *err);
/* The same for every node that is remembered; one that is gone is forgotten. */
int trust_renew_nodes(struct trust *trust, enum trust_renewal renewal, struct err *err);

/* Absent is success, for both. With its last node a cluster's certificates go, too. */
int trust_forget_node(const char *state_dir, const char *cluster, const char *node,
		      struct err *err);
int trust_delete(const char *state_dir, const char *cluster, struct err *err);

/* "<node>.<cluster>.agent", what a node's certificate is for. Caller frees; NULL: out of memory. */
char *trust_node_name(const char *node, const char *cluster);

struct trust_cert {
	char name[128];   /* "authority", "previous authority", a role, a node */
	const char *kind; /* "authority", "client", "node"; static */
	char issuer[128];
	int64_t from_s;
	int64_t until_s;
	int64_t renew_s; /* from when on it is renewed */
};

struct trust_certs {
	struct trust_cert *items;
	size_t count;
};

/* All that can be read, authority first, nodes by name. Caller releases. */
int trust_list(struct trust *trust, struct trust_certs *ret_certs, struct err *err);
void trust_certs_release(struct trust_certs *certs);

static inline __attribute__((unused)) void cleanup_trust_certs(struct trust_certs *certs)
{
	trust_certs_release(certs);
}
