/* Whole commands through cli_main() with the fake provider: what they print and how they end. */
#include "tests/support/cli.h"

#include "shared/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Everything of one test lives in one directory. */
struct place {
	char *dir;
	char fake[64];
	char state[64];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	place->dir = cli_temp_dir();
	snprintf(place->fake, sizeof(place->fake), "%s/fake", place->dir);
	snprintf(place->state, sizeof(place->state), "%s/state", place->dir);
	setenv("BERTH_FAKE_DIR", place->fake, 1);
	setenv("BERTH_STATE_DIR", place->state, 1);
	setenv("BERTH_PROVIDER", "fake", 1);
	unsetenv("BERTH_CLUSTER");
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	cli_remove_dir(place->dir);
	free(place);
	return 0;
}

static void write_file(const struct place *place, const char *name, const char *text,
		       char ret_path[128])
{
	FILE *file;

	snprintf(ret_path, 128, "%s/%s", place->dir, name);
	file = fopen(ret_path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void create(const char *name, const char *workers)
{
	cli_expect(0, "created", "", "create", "cluster", "--name", name, "--workers", workers,
		   NULL);
}

static struct json_object *json_of(struct cli_output *output)
{
	struct json_object *json = json_tokener_parse(output->out);

	if (!json)
		fail_msg("not JSON: %s", output->out);
	cli_release(output);
	return json;
}

static const char *text_at(struct json_object *rows, size_t i, const char *key)
{
	return json_object_get_string(
		json_object_object_get(json_object_array_get_idx(rows, i), key));
}

/* The golden file must not know where the test ran. */
static char *without(const char *text, const char *path)
{
	struct text result = { 0 };
	const char *at;

	while ((at = strstr(text, path))) {
		text_add_bytes(&result, text, (size_t)(at - text));
		text_add(&result, "DIR");
		text = at + strlen(path);
	}
	text_add(&result, text);
	return text_take(&result);
}

/* Nor which subnet happened to be free: "192.168.67." becomes "192.168.N.". */
static void hide_subnet(char *text)
{
	static const char before[] = "192.168.";
	char *at = text, *digits;

	while ((at = strstr(at, before))) {
		at += strlen(before);
		digits = at + strspn(at, "0123456789");
		*at = 'N';
		memmove(at + 1, digits, strlen(digits) + 1);
	}
}

/* Nor which port: "--publish=127.0.0.1/40123:6443" becomes "--publish=127.0.0.1/P:6443". */
static void hide_ports(char *text)
{
	static const char before[] = "--publish=127.0.0.1/";
	char *at = text, *digits;

	while ((at = strstr(at, before))) {
		at += strlen(before);
		digits = at + strspn(at, "0123456789");
		*at = 'P';
		memmove(at + 1, digits, strlen(digits) + 1);
	}
}

static void dry_run_prints_the_plan_and_touches_nothing(void **state)
{
	const struct place *place = *state;
	struct cli_output output =
		cli_run("create", "cluster", "--workers", "1", "--dry-run", NULL);
	char *text = without(output.out, place->dir);
	struct stat st;

	assert_int_equal(output.exit_code, 0);
	assert_string_equal(output.errs, "");
	hide_subnet(text);
	hide_ports(text);
	cli_golden("tests/unit/controller/cli/golden/create-dry-run.txt", text);
	free(text);
	cli_release(&output);
	assert_int_equal(stat(place->state, &st), -1);
	cli_expect(0, "[]\n", "", "get", "nodes", "-o", "json", NULL);
}

static void dry_run_json_has_the_contracts_fields(void **state)
{
	struct cli_output output = cli_run("create", "cluster", "--dry-run", "-o", "json", NULL);
	struct json_object *plan = json_of(&output), *steps, *step;
	static const char *const keys[] = { "id", "node", "action", "argv", "env", "after" };

	(void)state;
	steps = json_object_object_get(plan, "steps");
	assert_true(json_object_array_length(steps) > 2);
	step = json_object_array_get_idx(steps, 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_true(json_object_object_get_ex(step, keys[i], NULL));
	json_object_put(plan);
}

static void cluster_lives_from_create_to_delete(void **state)
{
	(void)state;
	create("dev", "1");
	cli_expect(0, "node/dev-control-plane\nnode/dev-worker\n", "", "get", "nodes", "--name",
		   "dev", "-o", "name", NULL);
	cli_expect(0, "cluster/dev stopped\n", "", "stop", "cluster", "dev", NULL);
	cli_expect(0, "dev    fake       stopped   2       0", "", "get", "clusters", NULL);
	cli_expect(0, "node/dev-worker started\n", "", "start", "node", "worker", "--name", "dev",
		   NULL);
	cli_expect(0, "partly running", "", "get", "clusters", "dev", NULL);
	cli_expect(0, "node/dev-worker killed\n", "", "kill", "node", "dev-worker", NULL);
	cli_expect(0, "cluster/dev restarted\n", "", "restart", "cluster", "--name", "dev", NULL);
	cli_expect(0, "node/dev-worker deleted\n", "", "delete", "node", "dev-worker", NULL);
	cli_expect(0, "cluster/dev deleted\n", "", "delete", "cluster", "--name=dev", NULL);
	cli_expect(0, "cluster/dev absent\n", "", "delete", "cluster", "--name=dev", NULL);
	cli_expect(0, "[]\n", "", "get", "clusters", "-o", "json", NULL);
}

static void creating_twice_is_a_conflict(void **state)
{
	(void)state;
	create("dev", "0");
	cli_expect(4, "", "dev", "create", "cluster", "--name", "dev", NULL);
}

static void failed_create_leaves_nothing(void **state)
{
	(void)state;
	create("dev", "0");
	cli_expect(1, "", "fail-create", "create", "node", "fail-create", "--name", "dev",
		   "--progress", "none", NULL);
	cli_expect(0, "node/dev-control-plane\n", "", "get", "nodes", "--name", "dev", "-o", "name",
		   NULL);
}

static void node_can_be_added(void **state)
{
	(void)state;
	create("dev", "0");
	cli_expect(0, "node/extra created\n", "", "create", "node", "extra", "--name", "dev", NULL);
	cli_expect(0, "\"role\": \"worker\"", "", "get", "nodes", "extra", "-o", "json", NULL);
	cli_expect(4, "", "'berth delete node' removes it", "create", "node", "extra", "--name",
		   "dev", NULL);
	cli_expect(3, "", "no cluster 'none'", "create", "node", "x", "--name", "none", NULL);
}

static void all_clusters_can_be_deleted_at_once(void **state)
{
	(void)state;
	create("one", "0");
	create("two", "1");
	cli_expect(2, "", "either --all or one cluster", "delete", "cluster", "one", "--all", NULL);
	cli_expect(0, "cluster/one deleted\ncluster/two deleted\n", "", "delete", "cluster",
		   "--all", NULL);
	cli_expect(0, "", "no clusters", "get", "clusters", NULL);
}

static void cluster_comes_from_flag_environment_file_default(void **state)
{
	char path[128];

	write_file(*state, "kind.yaml",
		   "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nname: filed\n", path);
	cli_expect(0, "filed-control-plane", "", "create", "cluster", "--config", path, "--dry-run",
		   NULL);
	setenv("BERTH_CLUSTER", "enved", 1);
	cli_expect(0, "enved-control-plane", "", "create", "cluster", "--config", path, "--dry-run",
		   NULL);
	cli_expect(0, "flagged-control-plane", "", "create", "cluster", "--config", path,
		   "--dry-run", "--name", "flagged", NULL);
	unsetenv("BERTH_CLUSTER");
	cli_expect(0, "berth-control-plane", "", "create", "cluster", "--dry-run", NULL);
}

/* The brief of every row: exit code 2, one sentence, and nothing has been asked of anybody. */
static void wrong_input_is_refused_before_anything_is_touched(void **state)
{
	const struct place *place = *state;
	char cluster[128], pod[128], twin[128];
	struct stat st;

	write_file(place, "bad.yaml",
		   "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- rol: worker\n",
		   cluster);
	write_file(place, "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  nam: x\n", pod);
	write_file(place, "twin.yaml",
		   "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  namespace: a\nspec:\n"
		   "  containers:\n  - name: c\n    image: i\n",
		   twin);
	cli_expect(2, "", "bad.yaml:4:3", "create", "cluster", "--config", cluster, NULL);
	cli_expect(2, "", "cannot read", "create", "cluster", "--config", "/nowhere", NULL);
	cli_expect(2, "", "no --workers", "create", "cluster", "--config", cluster, "--workers",
		   "1", NULL);
	cli_expect(2, "", "is no cluster name", "create", "cluster", "--name", "-x", NULL);
	cli_expect(2, "", "is no cluster name", "get", "nodes", "--name", "Upper", NULL);
	cli_expect(2, "", "is no node name", "create", "node", "a_b", NULL);
	cli_expect(2, "", "is no node name", "stop", "node", "../x", NULL);
	cli_expect(2, "", "neither control-plane nor worker", "create", "node", "a", "--role",
		   "boss", NULL);
	cli_expect(2, "", "did you mean '--provider podman'?", "get", "nodes", "--provider",
		   "podmann", NULL);
	cli_expect(2, "", "no provider 'nope'; there are podman, docker and fake\n", "get", "nodes",
		   "--provider", "nope", NULL);
	cli_expect(2, "", "'x' is not a number from -1 on\n", "logs", "n", "--tail", "x", NULL);
	cli_expect(2, "", "'80:http' is no LOCAL:REMOTE", "port-forward", "n", "80", "80:http",
		   NULL);
	cli_expect(3, "", "berth: copy '/nowhere/x': No such file or directory\n", "cp",
		   "/nowhere/x", "n:/x", NULL);
	cli_expect(2, "", "is no image archive", "load", "archive", pod, "-N", "x", NULL);
	cli_expect(2, "", "node 'berth-control-plane' wants host port 8080 twice", "create",
		   "cluster", "--dry-run", "-p", "8080:80", "-p", "8080:81", NULL);
	cli_expect(2, "", "pod.yaml:4:3", "apply", "-f", pod, "-N", "x", NULL);
	cli_expect(2, "", "stands in two", "apply", "-f", twin, "-f", twin, "-N", "x", NULL);
	cli_expect(2, "", "says namespace 'a'", "apply", "-f", twin, "-n", "b", "-N", "x", NULL);
	cli_expect(2, "", "needs -f FILE", "apply", "-N", "x", NULL);
	cli_expect(2, "", "is no unit name", "stop", "unit", "a;b", "-N", "x", NULL);
	cli_expect(2, "", "--grace goes with --force", "stop", "unit", "a", "--grace", "1s", "-N",
		   "x", NULL);
	cli_expect(2, "", "is no container id", "stop", "container", "$(x)", "-N", "x", NULL);
	cli_expect(2, "", "is no pod name", "delete", "pod", "A_b", "-N", "x", NULL);
	cli_expect(2, "", "is no namespace", "quiesce", "--namespaces", "a,B", "-N", "x", NULL);
	assert_int_equal(stat(place->fake, &st), -1);
	assert_int_equal(stat(place->state, &st), -1);
}

static void directory_of_manifests_is_read_in_order(void **state)
{
	const struct place *place = *state;
	char dir[96], path[128];

	snprintf(dir, sizeof(dir), "%s/d", place->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	cli_expect(2, "", "no *.yaml, *.yml or *.json", "apply", "-f", dir, "-N", "x", NULL);
	write_file(place, "d/b.yaml", "kind: 1\n", path);
	write_file(place, "d/a.yml", "kind: 2\n", path);
	write_file(place, "d/.hidden.yaml", "kind: 3\n", path);
	write_file(place, "d/notes.txt", "kind: 4\n", path);
	cli_expect(2, "", "a.yml:1:", "apply", "-f", dir, "-N", "x", NULL);
}

static void missing_names_are_not_found(void **state)
{
	(void)state;
	cli_expect(3, "", "no cluster 'berth'", "status", NULL);
	cli_expect(3, "", "no cluster 'none'", "stop", "cluster", "--name", "none", NULL);
	cli_expect(3, "", "no cluster 'none'", "get", "clusters", "none", NULL);
	create("dev", "0");
	cli_expect(3, "", "did you mean 'dev-control-plane'?", "start", "node", "dev-control-plain",
		   "--name", "dev", NULL);
	cli_expect(3, "", "did you mean 'control-plane'?", "get", "units", "-N", "contorl-plane",
		   "--name", "dev", NULL);
	cli_expect(3, "", "no node 'x' in cluster 'dev'", "get", "units", "-N", "x", "--name",
		   "dev", NULL);
	/* remembered, but of another cluster than the one that was named */
	cli_expect(3, "", "in cluster 'other'", "get", "units", "-N", "dev-control-plane", "--name",
		   "other", NULL);
}

static void stopped_node_is_told_from_a_silent_one(void **state)
{
	(void)state;
	create("dev", "1");
	cli_expect(6, "", "not answer", "get", "units", "-N", "worker", "--name", "dev", NULL);
	cli_expect(6, "", "'berth restart node dev-worker --name dev' starts both anew", "get",
		   "units", "-N", "worker", "--name", "dev", NULL);
	cli_expect(0, "", "", "stop", "node", "dev-worker", NULL);
	cli_expect(6, "", "'berth start node dev-worker --name dev' starts it", "get", "units",
		   "-N", "worker", "--name", "dev", NULL);
	cli_expect(6, "", "\"reason\":\"NODE_NOT_RUNNING\"", "get", "units", "-N", "worker",
		   "--name", "dev", "-o", "json", NULL);
	cli_expect(6, "dev-worker", "dev-worker", "health", "--name", "dev", NULL);
}

static void node_must_be_named_where_there_are_several(void **state)
{
	(void)state;
	create("dev", "1");
	cli_expect(2, "",
		   "on which node? 'stop unit' needs --node; cluster 'dev' has: "
		   "dev-control-plane, dev-worker",
		   "stop", "unit", "kubelet", "--name", "dev", NULL);
}

static void nodes_say_what_the_engine_knows(void **state)
{
	struct cli_output output;
	struct json_object *rows;
	static const char *const keys[] = { "name",    "cluster", "role",    "provider", "state",
					    "ip",      "image",   "created", "ready",    "agent",
					    "kubelet", "runtime", "ports" };

	(void)state;
	create("dev", "1");
	output = cli_run("get", "nodes", "--name", "dev", "-o", "json", NULL);
	assert_int_equal(output.exit_code, 0);
	rows = json_of(&output);
	assert_int_equal(json_object_array_length(rows), 2);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_true(json_object_object_get_ex(json_object_array_get_idx(rows, 0), keys[i],
						      NULL));
	assert_string_equal(text_at(rows, 1, "role"), "worker");
	assert_string_equal(text_at(rows, 1, "state"), "running");
	json_object_put(rows);
	cli_expect(0, "not answering", "", "status", "--name", "dev", NULL);
	cli_expect(0, "cluster dev (fake): 2 nodes, 2 running, 0 ready", "", "status", "--name",
		   "dev", NULL);
}

static void errors_are_json_when_asked_for(void **state)
{
	struct cli_output output = cli_run("stop", "cluster", "--name", "none", "-o", "json", NULL);
	struct json_object *object = json_tokener_parse(output.errs), *error;

	(void)state;
	assert_non_null(object);
	error = json_object_object_get(object, "error");
	assert_string_equal(json_object_get_string(json_object_object_get(error, "reason")),
			    "CLUSTER_NOT_FOUND");
	assert_string_equal(output.out, "");
	json_object_put(object);
	cli_release(&output);
}

static void quiet_leaves_only_results(void **state)
{
	struct cli_output output = cli_run("create", "cluster", "-q", NULL);

	(void)state;
	assert_int_equal(output.exit_code, 0);
	assert_string_equal(output.errs, "");
	assert_string_equal(output.out, "cluster/berth created\n");
	cli_release(&output);
}

static void progress_is_json_on_request(void **state)
{
	(void)state;
	cli_expect(0, "cluster/berth created\n", "\"event\":\"done\"", "create", "cluster",
		   "--progress", "json", NULL);
}

static void version_of_the_client_asks_nobody(void **state)
{
	(void)state;
	setenv("BERTH_FAKE_DIR", "/nowhere/at/all", 1);
	cli_expect(0, "berth ", "", "--version", NULL);
	cli_expect(0, "\"protocol\": 1", "", "version", "--client", "-o", "json", NULL);
	cli_expect(0, "berth ", "", "version", NULL);
}

static void provider_of_another_build_is_not_supported(void **state)
{
	(void)state;
	cli_expect(8, "", "vfkit", "get", "nodes", "--provider", "vfkit", NULL);
}

static void deadline_holds_for_the_whole_command(void **state)
{
	(void)state;
	create("dev", "0");
	cli_expect(5, "", "", "create", "node", "hang-create", "--name", "dev", "--timeout",
		   "300ms", "--progress", "none", NULL);
	cli_expect(0, "node/dev-control-plane\n", "", "get", "nodes", "--name", "dev", "-o", "name",
		   NULL);
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* The "argv" of the step of that id, as one line. */
static char *step_words(struct json_object *plan, const char *id)
{
	struct json_object *steps = json_object_object_get(plan, "steps"), *argv;
	struct text text = { 0 };

	for (size_t i = 0; i < json_object_array_length(steps); i++) {
		if (strcmp(text_at(steps, i, "id"), id) != 0)
			continue;
		argv = json_object_object_get(json_object_array_get_idx(steps, i), "argv");
		for (size_t k = 0; k < json_object_array_length(argv); k++)
			text_addf(&text, "%s ",
				  json_object_get_string(json_object_array_get_idx(argv, k)));
	}
	return text_take(&text);
}

static void assert_words(struct json_object *plan, const char *id, const char *words)
{
	char *all = step_words(plan, id);

	if (!strstr(all, words))
		fail_msg("no \"%s\" in: %s", words, all);
	free(all);
}

/* CN-001 CN-002 CN-036 CN-060 */
static void create_flags_reach_the_plan(void **state)
{
	struct cli_output output =
		cli_run("create", "cluster", "--dry-run", "-o", "json", "--workers", "1",
			"--memory", "4g", "--cpus=2.5", "--label", "tier=x", "-e", "A=B", "--mount",
			"/tmp:/data:ro", "--dns-search", "a.example,b.example", "-p", "[::1]:0:80",
			"--static-ip", "10.7.7.9", "--ip-family", "dual", NULL);
	struct json_object *plan;

	(void)state;
	assert_int_equal(output.exit_code, 0);
	plan = json_of(&output);
	assert_words(plan, "network", "--subnet=10.7.7.0/24 ");
	assert_words(plan, "network", "--subnet6=fc00:");
	assert_words(plan, "create/berth-control-plane", "--ip=10.7.7.9 ");
	assert_words(plan, "create/berth-control-plane", "--publish=::1/");
	assert_words(plan, "create/berth-worker",
		     "--memory=4294967296 --cpus-milli=2500 --dns-search=a.example "
		     "--dns-search=b.example --mount=/tmp:/data --env=A=B --label=tier=x ");
	json_object_put(plan);
}

/* The same of one more node; a file's fields stay beside flags. */
static void node_flags_and_files_go_together(void **state)
{
	const struct place *place = *state;
	struct cli_output output;
	struct json_object *plan;
	char path[128];

	create("dev", "0");
	output = cli_run("create", "node", "extra", "--name", "dev", "--dry-run", "-o", "json",
			 "--memory", "1g", "--dns-search", ".", "-p", "80", NULL);
	assert_int_equal(output.exit_code, 0);
	plan = json_of(&output);
	assert_words(plan, "create/extra", "--memory=1073741824 --no-dns-search --publish=");
	json_object_put(plan);

	write_file(place, "c.yaml",
		   "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nname: f\n"
		   "networking: {dnsSearch: [x.example]}\nnodes:\n- role: worker\n"
		   "- role: control-plane\n  labels: {a: b}\n",
		   path);
	output = cli_run("create", "cluster", "--config", path, "--dry-run", "-o", "json",
			 "--label", "c=d", "-p", "127.0.0.1::80", NULL);
	assert_int_equal(output.exit_code, 0);
	plan = json_of(&output);
	assert_words(plan, "create/f-control-plane", "--dns-search=x.example --publish=127.0.0.1/");
	assert_words(plan, "create/f-control-plane", "--label=a=b --label=c=d ");
	assert_words(plan, "create/f-worker", "--dns-search=x.example --label=c=d ");
	json_object_put(plan);
}

/* CN-006 CN-007 */
static void create_flags_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		const char *flag;
		const char *value;
		const char *words;
	} rows[] = {
		{ "--memory", "2048", "--memory: '2048' is no size" },
		{ "--memory", "1g", "less than a control plane needs" },
		{ "--cpus", "two", "--cpus: 'two' is no number of CPUs" },
		{ "--gpus", "some", "--gpus: 'some' is not one of" },
		{ "--mount", "/tmp", "--mount: '/tmp' is no mount" },
		{ "--mount", "/tmp:/var", "the node keeps its state there" },
		{ "--env", "A", "--env: 'A' is no pair" },
		{ "--label", "=x", "--label: '=x' is no pair" },
		{ "--publish", "80/icmp", "--publish: '80/icmp' is no published port" },
		{ "--subnet", "8.8.8.0/24", "cannot be a cluster's subnet" },
		{ "--static-ip", "192.168.1.1", "cannot be the address of a node" },
		{ "--ip-family", "v6", "--ip-family: 'v6' is not one of" },
		{ "--dns-search", "a b", "--dns-search: 'a b' is no domain" },
		{ "--network", "host", "cannot be a cluster's network" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cli_expect(strcmp(rows[i].words, "less than a control plane needs") == 0 ? 1 : 2,
			   "", rows[i].words, "create", "cluster", "--dry-run", rows[i].flag,
			   rows[i].value, NULL);
	cli_expect(0, "container-create", "warning: node", "create", "cluster", "--dry-run",
		   "--memory", "1g", "--force", NULL);
	cli_expect(2, "", "neither control-plane nor worker", "create", "node", "x", "--role",
		   "external-load-balancer", NULL);
}

/* CN-070 */
static void network_of_the_environment_is_told(void **state)
{
	(void)state;
	setenv("BERTH_NETWORK", "lan", 1);
	cli_expect(0, "network-create lan", "warning: BERTH_NETWORK is set", "create", "cluster",
		   "--dry-run", NULL);
	cli_expect(0, "network-create wan", "", "create", "cluster", "--dry-run", "--network",
		   "wan", NULL);
	unsetenv("BERTH_NETWORK");
}

/* D11: a plan can be read where no engine is installed, and is what an engine would be told. */
static void plans_need_no_engine(void **state)
{
	static const char *const engines[] = { "podman", "docker" };
	const struct place *place = *state;
	char *path = strdup(getenv("PATH"));

	assert_non_null(path);
	setenv("PATH", place->dir, 1);
	for (size_t i = 0; i < 2; i++) {
		struct cli_output output = cli_run("create", "cluster", "--provider", engines[i],
						   "--dry-run", "-o", "json", "--workers", "1",
						   "--memory", "2g", "--ip-family", "dual", NULL);
		struct json_object *plan;
		char words[64];

		assert_int_equal(output.exit_code, 0);
		plan = json_of(&output);
		snprintf(words, sizeof(words), "%s network create --driver=bridge ", engines[i]);
		assert_words(plan, "network", words);
		assert_words(plan, "create/berth-worker", " --name=berth-worker ");
		assert_words(plan, "create/berth-worker", " --memory=2147483648b ");
		assert_words(plan, "create/berth-worker", " --ip6=fc00:");
		assert_words(plan, "create/berth-worker", " -- localhost/berth-node:latest ");
		json_object_put(plan);
		cli_expect(6, "", "not installed", "create", "cluster", "--provider", engines[i],
			   NULL);
	}
	setenv("PATH", path, 1);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(dry_run_prints_the_plan_and_touches_nothing),
		WITH_PLACE(dry_run_json_has_the_contracts_fields),
		WITH_PLACE(cluster_lives_from_create_to_delete),
		WITH_PLACE(creating_twice_is_a_conflict),
		WITH_PLACE(failed_create_leaves_nothing),
		WITH_PLACE(node_can_be_added),
		WITH_PLACE(all_clusters_can_be_deleted_at_once),
		WITH_PLACE(cluster_comes_from_flag_environment_file_default),
		WITH_PLACE(wrong_input_is_refused_before_anything_is_touched),
		WITH_PLACE(directory_of_manifests_is_read_in_order),
		WITH_PLACE(missing_names_are_not_found),
		WITH_PLACE(stopped_node_is_told_from_a_silent_one),
		WITH_PLACE(node_must_be_named_where_there_are_several),
		WITH_PLACE(nodes_say_what_the_engine_knows),
		WITH_PLACE(errors_are_json_when_asked_for),
		WITH_PLACE(quiet_leaves_only_results),
		WITH_PLACE(progress_is_json_on_request),
		WITH_PLACE(version_of_the_client_asks_nobody),
		WITH_PLACE(provider_of_another_build_is_not_supported),
		WITH_PLACE(deadline_holds_for_the_whole_command),
		WITH_PLACE(create_flags_reach_the_plan),
		WITH_PLACE(node_flags_and_files_go_together),
		WITH_PLACE(create_flags_that_make_no_sense_are_refused),
		WITH_PLACE(network_of_the_environment_is_told),
		WITH_PLACE(plans_need_no_engine),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
