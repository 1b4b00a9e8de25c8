/* Nodes that begin with archives: files for /var and images (container-nodes.md section 8). */
#include "shared/base/text.h"
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *cluster(void)
{
	return e2e_cluster_name("preload");
}

static const char *node(void)
{
	static char name[128];

	snprintf(name, sizeof(name), "%s-control-plane", cluster());
	return name;
}

static const char *image(void)
{
	static char name[128];

	snprintf(name, sizeof(name), "localhost/%s:1", cluster());
	return name;
}

/* What a shell in the directory of this run prints. Caller frees. */
static char *shell(const char *script)
{
	char *whole = text_format("cd '%s' && %s", e2e_state_dir(), script);
	char *out = e2e_stdout_of("sh", "-c", whole, NULL);

	free(whole);
	return out;
}

static void make(const char *script)
{
	free(shell(script));
}

static void node_says(const char *script, const char *expected)
{
	char *out = e2e_stdout_of("podman", "exec", node(), "sh", "-c", script, NULL);

	assert_string_equal(out, expected);
	free(out);
}

static const char *here(const char *name)
{
	static char paths[4][256];
	static size_t next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", e2e_state_dir(), name);
	return path;
}

/* An archive of each kind, with names that say nothing, and one that broke off on its way. */
static int setup(void **state)
{
	char *script =
		text_format("mkdir -p var/lib/begun small && echo one > var/lib/begun/file && "
			    "tar -C var -cf - ./lib | lz4 -q - > first && "
			    "head -c 200000 /dev/urandom > noise && "
			    "tar --transform s,^,lib/, -czf - noise | head -c 90000 > broken && "
			    "echo %1$s > word && tar -cf - word | podman import -q - %1$s && "
			    "podman save -q %1$s | zstd -q > second && podman rmi -f %1$s",
			    image());

	(void)state;
	make(script);
	free(script);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	e2e_clean(cluster());
	return 0;
}

static char *cluster_file(void)
{
	return text_format("kind: Cluster\n"
			   "apiVersion: kind.x-k8s.io/v1alpha4\n"
			   "nodes:\n"
			   "- role: control-plane\n"
			   "  extraMounts:\n"
			   "  - hostPath: %s\n"
			   "    containerPath: /preload/images\n",
			   here("second"));
}

static void create(const char *config)
{
	struct e2e_output output;

	setenv("HTTP_PROXY", "http://proxy.example:3128", 1);
	output = e2e_run(120, "create", "cluster", "--name", cluster(), "--image", e2e_image(),
			 "--config", config, "--preload", here("first"), "--preload",
			 here("broken"), NULL);
	unsetenv("HTTP_PROXY");
	if (output.exit_code != 0)
		fail_msg("%s", output.errs);
	assert_non_null(strstr(output.errs, "': archive '03-broken' was not taken in: "));
	assert_null(strstr(output.errs, "02-first"));
	e2e_release(&output);
}

/* Microseconds since the host's boot. */
static long long when(const char *unit, const char *property)
{
	char *option = text_format("--property=%s", property);
	char *text = e2e_stdout_of("podman", "exec", node(), "systemctl", "show", "--value", option,
				   unit, NULL);
	long long us = strtoll(text, NULL, 10);

	assert_true(us > 0);
	free(text);
	free(option);
	return us;
}

static void assert_has_image(void)
{
	json_object *images = e2e_json("get", "images", "--name", cluster(), NULL);
	const char *text = json_object_to_json_string_ext(images, JSON_C_TO_STRING_NOSLASHESCAPE);

	if (!strstr(text, image()))
		fail_msg("no %s in: %s", image(), text);
	json_object_put(images);
}

/* CN-122, CN-123: what is broken is told and left out. CN-124: the runtime waits for the files, and nothing
 * but the runtime does. */
static void nodes_begin_with_files_and_images(void **state)
{
	char *text = cluster_file();

	(void)state;
	create(e2e_file("cluster.yaml", text));
	free(text);
	node_says("cat /var/lib/begun/file; ls -d /var/lib/noise /var/.berth-preload 2> /dev/null; "
		  "true",
		  "one");
	assert_has_image();
	assert_true(when("berth-preload", "ExecMainExitTimestampMonotonic") <
		    when("containerd", "ExecMainStartTimestampMonotonic"));
	assert_true(when("berth-preload", "ExecMainExitTimestampMonotonic") >
		    when("berthd", "ExecMainStartTimestampMonotonic"));
}

/* CN-114: the host's proxies are the runtime's and the agent's, and nobody else's in the node. */
static void proxies_reach_those_who_download(void **state)
{
	(void)state;
	node_says("for unit in containerd berthd systemd-journald; do "
		  "tr '\\0' '\\n' < /proc/$(systemctl show --property=MainPID --value "
		  "$unit)/environ | "
		  "grep -ic ^http_proxy=http://proxy.example:3128$; done; true",
		  "2\n2\n0");
}

/* CN-123 */
static void restart_takes_nothing_in_twice(void **state)
{
	(void)state;
	node_says("echo changed > /var/lib/begun/file; "
		  "ctr -n k8s.io images rm $(ctr -n k8s.io images ls -q | grep -v /berth/) > "
		  "/dev/null",
		  "");
	e2e_ok("restart", "node", node(), "--name", cluster(), NULL);
	node_says("cat /var/lib/begun/file; ctr -n k8s.io images ls -q | grep -c e2e-; true",
		  "changed\n0");
}

static void unmount_small(void)
{
	struct e2e_output output = e2e_program(20, "umount", here("small"), NULL);

	e2e_release(&output);
}

/* CN-123, CN-240: what it is laid on is a file system of 256 KiB. */
static void archive_that_does_not_fit_ends_the_create(void **state)
{
	const char *name = e2e_cluster_name("preload2");
	char *mount = text_format("%s:/var/lib/small", here("small"));
	struct e2e_output output;

	(void)state;
	make("mount -t tmpfs -o size=256k none small && mkdir -p big/lib/small && "
	     "head -c 1000000 /dev/urandom > big/lib/small/file && tar -C big -cf large lib");
	output = e2e_run(120, "create", "cluster", "--name", name, "--image", e2e_image(),
			 "--mount", mount, "--preload", here("large"), "-o", "json", "--progress",
			 "none", NULL);
	unmount_small();
	assert_int_equal(output.exit_code, 1);
	assert_non_null(strstr(output.errs, "\"RESOURCE_EXHAUSTED\""));
	assert_non_null(strstr(output.errs, "\"NO_SPACE\""));
	assert_non_null(strstr(output.errs, "archive '01-large' does not fit on /var"));
	assert_non_null(strstr(output.errs, "free disk space"));
	e2e_release(&output);
	e2e_assert_nothing_left(name);
	free(mount);
}

/* What would be done is shown to the last word. */
static void plan_names_the_archives(void **state)
{
	char *volume = text_format("\"--volume=%s:/preload/01-first:ro\"", here("first"));
	json_object *plan = e2e_json("create", "cluster", "--name", cluster(), "--preload",
				     here("first"), "--dry-run", NULL);
	const char *text = json_object_to_json_string_ext(plan, JSON_C_TO_STRING_NOSLASHESCAPE);

	(void)state;
	assert_non_null(strstr(text, volume));
	json_object_put(plan);
	free(volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_names_the_archives),
		cmocka_unit_test(nodes_begin_with_files_and_images),
		cmocka_unit_test(proxies_reach_those_who_download),
		cmocka_unit_test(restart_takes_nothing_in_twice),
		cmocka_unit_test(archive_that_does_not_fit_ends_the_create),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
