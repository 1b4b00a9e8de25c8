#include "controller/cli/create_flags.h"

#include "controller/config/flag_text.h"
#include "shared/base/parse.h"

#include <string.h>

static int check_gpus(const char *gpus, struct err *err)
{
	static const char *const kinds[] = { "all", "nvidia", "nvidia.com", "amd" };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i], gpus) == 0)
			return 0;
	}
	err_set(err, ERR_INVALID_ARGUMENT, 0,
		"--gpus: '%s' is not one of: all nvidia nvidia.com amd", gpus);
	return err_explain(err, "BAD_VALUE", NULL);
}

static int named(int rc, const char *flag, struct err *err)
{
	return rc < 0 ? err_wrap(err, "--%s", flag) : 0;
}

static int resources(const struct options *opt, struct node_config *node, struct err *err)
{
	if (opt->memory &&
	    named(flag_size_parse(opt->memory, &node->memory_bytes, err), "memory", err) < 0)
		return -1;
	if (opt->cpus && named(flag_cpus_parse(opt->cpus, &node->cpus_milli, err), "cpus", err) < 0)
		return -1;
	if (opt->gpus &&
	    (check_gpus(opt->gpus, err) < 0 || node_set(&node->gpus, opt->gpus, err) < 0))
		return -1;
	node->force = opt->force;
	return 0;
}

static int pairs(const struct strv *texts, struct kv_list *list, const char *flag, struct err *err)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (named(flag_pair_parse(texts->items[i], list, err), flag, err) < 0)
			return -1;
	}
	return 0;
}

int create_flags_each(const struct options *opt, struct node_config *node, struct err *err)
{
	if (resources(opt, node, err) < 0 || pairs(&opt->env, &node->env, "env", err) < 0 ||
	    pairs(&opt->labels, &node->labels, "label", err) < 0)
		return -1;
	for (size_t i = 0; i < opt->mounts.count; i++) {
		if (named(flag_mount_parse(opt->mounts.items[i], node, err), "mount", err) < 0)
			return -1;
	}
	for (size_t i = 0; i < opt->preloads.count; i++) {
		if (named(flag_preload_parse(opt->preloads.items[i], node, err), "preload", err) <
		    0)
			return -1;
	}
	return 0;
}

int create_flags_one(const struct options *opt, struct node_config *node, struct err *err)
{
	for (size_t i = 0; i < opt->publish.count; i++) {
		if (named(flag_port_parse(opt->publish.items[i], node, err), "publish", err) < 0)
			return -1;
	}
	return opt->static_ip ? node_set(&node->static_ip, opt->static_ip, err) : 0;
}

/* Docker's "." for none. */
int create_flags_dns_search(const struct options *opt, struct strv *ret, bool *ret_given,
			    struct err *err)
{
	bool none = opt->dns_search.count == 1 && strcmp(opt->dns_search.items[0], ".") == 0;

	*ret_given = opt->dns_search.count > 0;
	if (none)
		return 0;
	for (size_t i = 0; i < opt->dns_search.count; i++) {
		if (!name_is_subdomain(opt->dns_search.items[i])) {
			err_set(err, ERR_INVALID_ARGUMENT, 0, "--dns-search: '%s' is no domain",
				opt->dns_search.items[i]);
			return err_explain(err, "BAD_VALUE", NULL);
		}
	}
	strv_add_all(ret, &opt->dns_search);
	return strv_failed(ret) ? err_oom(err) : 0;
}
