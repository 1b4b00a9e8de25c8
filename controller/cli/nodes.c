#include "controller/cli/nodes_impl.h"

#include "controller/cli/suggest.h"
#include "controller/cluster/store.h"
#include "shared/base/parse.h"

#include <string.h>

static bool is_glob(const char *word)
{
	return strpbrk(word, "*?") != NULL;
}

static bool has_glob(const struct strv *words)
{
	for (size_t i = 0; i < words->count; i++) {
		if (is_glob(words->items[i]))
			return true;
	}
	return false;
}

/* "node/x", as -o name prints it. */
static const char *plain_name(const char *word)
{
	return strncmp(word, "node/", 5) == 0 ? word + 5 : word;
}

static int check_words(const struct strv *words, struct err *err)
{
	for (size_t i = 0; i < words->count; i++) {
		const char *word = plain_name(words->items[i]);

		if (is_glob(word) ? strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-.*?") ==
					    strlen(word)
				  : name_is_valid(word, 253))
			continue;
		usage_error(err, "'%s' is no node name", word);
		return err_explain(err, "BAD_NAME", NULL);
	}
	return 0;
}

/* Without "<cluster>-"; the whole name where that is not its beginning. */
static const char *short_name(const struct invocation *inv, const struct node *node)
{
	const char *cluster = invocation_cluster(inv);
	size_t len = strlen(cluster);

	return strncmp(node->name, cluster, len) == 0 && node->name[len] == '-'
		       ? node->name + len + 1
		       : node->name;
}

int nodes_not_found(const struct invocation *inv, const char *word, const struct node_list *known,
		    struct err *err)
{
	const char *cluster = invocation_cluster(inv);
	struct suggest suggest;

	err_set(err, ERR_NOT_FOUND, 0, "no node '%s' in cluster '%s'", word, cluster);
	err_explain(err, "NODE_NOT_FOUND", "'berth get nodes -A' lists what there is");
	suggest_init(&suggest, word, strlen(word));
	for (size_t i = 0; known && i < known->count; i++) {
		suggest_try(&suggest, known->items[i]->name);
		suggest_try(&suggest, short_name(inv, known->items[i]));
	}
	suggest_advise(&suggest, "", err);
	snprintf(err->node, sizeof(err->node), "%s", word);
	return -1;
}

static int no_cluster(const struct invocation *inv, struct err *err)
{
	const char *cluster = invocation_cluster(inv);

	err_set(err, ERR_NOT_FOUND, 0, "no cluster '%s'", cluster);
	err_explain(err, "CLUSTER_NOT_FOUND", NULL);
	snprintf(err->advice, sizeof(err->advice),
		 "'berth create cluster --name %s' makes it, 'berth get clusters' lists others",
		 cluster);
	return -1;
}

/* --channel, else $BERTH_CHANNEL. */
static int wanted_channel(const struct invocation *inv, enum node_channel *ret, struct err *err)
{
	const char *said = getenv("BERTH_CHANNEL");

	*ret = (enum node_channel)inv->opt->channel;
	if (*ret != NODE_CHANNEL_AUTO || !said || !*said || node_channel_parse(said, ret))
		return 0;
	usage_error(err, "$BERTH_CHANNEL is '%s'; it may be auto, ipc, tls or relay", said);
	return err_explain(err, "BAD_VALUE", NULL);
}

/* Gives all of 'list' the way to their agents. */
static int set_channels(const struct invocation *inv, const struct node_list *list, struct err *err)
{
	enum node_channel channel;

	if (wanted_channel(inv, &channel, err) < 0)
		return -1;
	for (size_t i = 0; i < list->count; i++) {
		struct node *node = list->items[i];

		node->channel = channel;
		if (node->relay.count == 0)
			provider_relay_argv(node->provider, node->name, &node->relay);
		if (strv_failed(&node->relay))
			return err_oom(err);
	}
	return 0;
}

/* --- what the state directory remembers -------------------------------------------------------- */

/* A node of another provider's may be on another machine than those that this state is of. */
static bool is_here(const struct invocation *inv, const struct node *node)
{
	cleanup_free char *address = provider_address(node->provider);

	return address && inv->address && strcmp(address, inv->address) == 0;
}

static bool may_use(const struct invocation *inv, const struct node *node)
{
	if (!is_here(inv, node))
		return false;
	if (invocation_has_cluster(inv) && strcmp(node->cluster, invocation_cluster(inv)) != 0)
		return false;
	return !inv->opt->provider || strcmp(node->provider, inv->opt->provider) == 0;
}

static struct node *load(const struct invocation *inv, const char *state_dir, const char *name)
{
	struct node *node = NULL;
	struct err ignored;

	if (store_node_load(state_dir, name, &node, &ignored) < 0)
		return NULL;
	if (may_use(inv, node))
		return node;
	node_free(node);
	return NULL;
}

static struct node *recall(const struct invocation *inv, const char *state_dir, const char *word)
{
	struct node *node = load(inv, state_dir, word);
	char full[320];

	if (node)
		return node;
	snprintf(full, sizeof(full), "%s-%s", invocation_cluster(inv), word);
	return load(inv, state_dir, full);
}

/* 1: all nodes are remembered, 0: not all. */
static int recall_all(struct invocation *inv, const struct strv *words, struct node_list *ret_list,
		      struct err *err)
{
	const char *state_dir = invocation_state_dir(inv, err);
	cleanup_nodes struct node_list list = { 0 };

	if (!state_dir)
		return -1;
	for (size_t i = 0; i < words->count; i++) {
		struct node *node = recall(inv, state_dir, plain_name(words->items[i]));

		if (!node)
			return 0;
		if (node_list_find(&list, node->name))
			node_free(node);
		else if (node_list_add(&list, node, err) < 0)
			return -1;
	}
	*ret_list = list;
	list = (struct node_list){ 0 };
	return 1;
}

void nodes_remember(struct invocation *inv, const struct node_list *list)
{
	struct err ignored;
	const char *state_dir = invocation_state_dir(inv, &ignored);

	for (size_t i = 0; state_dir && i < list->count; i++) {
		const struct node *node = list->items[i];
		cleanup_with(node) struct node *known = load(inv, state_dir, node->name);

		if (!known || strcmp(known->run_dir, node->run_dir) != 0)
			store_node_save(state_dir, node, &ignored);
	}
}

/* --- what the engine has ------------------------------------------------------------------------- */

static bool fits(const struct invocation *inv, const struct node *node, const char *word)
{
	bool ours = strcmp(node->cluster, invocation_cluster(inv)) == 0;

	if (strcmp(node->name, word) == 0)
		return ours || !invocation_has_cluster(inv);
	return ours &&
	       (name_matches(word, node->name) || name_matches(word, short_name(inv, node)));
}

/* Moves the fitting nodes of 'from' to 'to'. Returns how many it found, those moved before too. */
static int move_fitting(const struct invocation *inv, const char *word, struct node_list *from,
			struct node_list *to, struct err *err)
{
	int found = 0;

	for (size_t i = 0; i < to->count; i++)
		found += fits(inv, to->items[i], word);
	for (size_t i = 0; i < from->count;) {
		struct node *node = from->items[i];

		if (!fits(inv, node, word)) {
			i++;
			continue;
		}
		memmove(&from->items[i], &from->items[i + 1],
			(from->count - i - 1) * sizeof(*from->items));
		from->count--;
		if (node_list_add(to, node, err) < 0)
			return -1;
		found++;
	}
	return found;
}

static int pick(const struct invocation *inv, const struct strv *names, struct node_list *from,
		struct node_list *to, struct err *err)
{
	for (size_t i = 0; i < names->count; i++) {
		const char *word = plain_name(names->items[i]);
		int found = move_fitting(inv, word, from, to, err);

		if (found < 0)
			return -1;
		if (found == 0)
			return nodes_not_found(inv, word, from, err);
	}
	return 0;
}

int nodes_list(struct invocation *inv, const struct strv *names, bool must_exist,
	       struct node_list *ret_list, struct err *err)
{
	cleanup_nodes struct node_list all = { 0 }, picked = { 0 };
	struct provider *provider;
	bool by_name = names && names->count && !invocation_has_cluster(inv);
	const char *cluster = by_name || inv->opt->all ? NULL : invocation_cluster(inv);

	if (names && check_words(names, err) < 0)
		return -1;
	if (invocation_provider(inv, &provider, err) < 0 ||
	    provider_list(provider, cluster, inv->by, &all, err) < 0 ||
	    set_channels(inv, &all, err) < 0)
		return -1;
	if (names && names->count) {
		if (pick(inv, names, &all, &picked, err) < 0)
			return -1;
		*ret_list = picked;
		picked = (struct node_list){ 0 };
		return 0;
	}
	if (must_exist && all.count == 0)
		return no_cluster(inv, err);
	*ret_list = all;
	all = (struct node_list){ 0 };
	return 0;
}

/* --- which of them --------------------------------------------------------------------------------- */

/* Nobody asked for a stopped node by its name: it is left out, and said so. */
static int drop_stopped(struct invocation *inv, struct node_list *list, struct err *err)
{
	size_t kept = 0, stopped = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct node *node = list->items[i];

		if (node->state == NODE_RUNNING || node->state == NODE_UNKNOWN) {
			list->items[kept++] = node;
			continue;
		}
		stopped++;
		invocation_note(inv, "node '%s' is %s and left out", node->name,
				node_state_name(node->state));
		node_free(node);
	}
	list->count = kept;
	if (kept || !stopped)
		return 0;
	err_set(err, ERR_UNAVAILABLE, 0, "no node of cluster '%s' is running",
		invocation_cluster(inv));
	err_explain(err, "NODE_NOT_RUNNING", NULL);
	snprintf(err->advice, sizeof(err->advice), "'berth start cluster --name %s' starts it",
		 invocation_cluster(inv));
	return -1;
}

static int only_one(const struct invocation *inv, const struct node_list *list, struct err *err)
{
	cleanup_with(text) struct text names = { 0 };

	if (list->count == 1)
		return 0;
	for (size_t i = 0; i < list->count; i++)
		text_addf(&names, "%s%s", i ? ", " : "", list->items[i]->name);
	usage_error(err, "on which node? '%s' needs --node; cluster '%s' has: %s",
		    inv->command->name, invocation_cluster(inv), text_str(&names));
	return err_explain(err, "NODE_REQUIRED", NULL);
}

int nodes_select_words(struct invocation *inv, const struct strv *words,
		       enum nodes_default fallback, struct node_list *ret_list, struct err *err)
{
	cleanup_nodes struct node_list list = { 0 };
	enum node_channel channel;
	int known = 0;

	if (check_words(words, err) < 0 || wanted_channel(inv, &channel, err) < 0)
		return -1;
	/* Only the engine knows which port an agent is published on now. */
	if (words->count && !has_glob(words) && channel != NODE_CHANNEL_TLS)
		known = recall_all(inv, words, &list, err);
	if (known < 0 || (!known && nodes_list(inv, words, true, &list, err) < 0))
		return -1;
	if (!words->count && fallback == NODES_ONE && only_one(inv, &list, err) < 0)
		return -1;
	if (!known && fallback == NODES_ALL && (!words->count || has_glob(words)) &&
	    drop_stopped(inv, &list, err) < 0)
		return -1;
	if (!known)
		nodes_remember(inv, &list);
	else if (set_channels(inv, &list, err) < 0)
		return -1;
	*ret_list = list;
	list = (struct node_list){ 0 };
	return 0;
}

int nodes_select(struct invocation *inv, enum nodes_default fallback, struct node_list *ret_list,
		 struct err *err)
{
	return nodes_select_words(inv, &inv->opt->nodes, fallback, ret_list, err);
}
