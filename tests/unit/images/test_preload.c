/*
 * images/node's preload, the program that takes archives in when a node boots, in a root of the test's own.
 */
#include "controller/exec/exec.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "images/node/rootfs/usr/lib/berth/preload"

struct rig {
	char *root;
	char *path; /* PATH before the test */
};

/* What a shell in the root prints; asserts its exit code. Caller frees. */
static char *shell(struct rig *rig, int exit_code, const char *script)
{
	const struct exec_options options = { .by = deadline_in_ms(60000) };
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_free char *whole = text_format("cd '%s' && %s", rig->root, script);
	cleanup_with(strv) struct strv argv = { 0 };
	struct err err;

	strv_add(&argv, "/bin/bash");
	strv_add(&argv, "-c");
	strv_add(&argv, whole);
	if (exec_run(&argv, &options, &result, &err) < 0)
		fail_msg("%s", err.msg);
	if (result.exit_code != exit_code)
		fail_msg("exit code %d of: %s\n%s", result.exit_code, script,
			 text_str(&result.errs));
	return strdup(text_str(&result.out));
}

static void make(struct rig *rig, const char *script)
{
	free(shell(rig, 0, script));
}

static void says(struct rig *rig, const char *script, const char *expected)
{
	cleanup_free char *out = shell(rig, 0, script);

	assert_string_equal(out, expected);
}

/* One boot: both turns, as the units have them; then the state's word. */
static void boots(struct rig *rig, const char *word)
{
	cleanup_free char *state = NULL;

	make(rig, "rm -rf run/berth-preload; \"$PRELOAD\" files 2>> log; \"$PRELOAD\" images "
		  "2>> log; true");
	state = control_read(rig->root, "run/berth-preload/state");
	state[strcspn(state, "\n")] = '\0';
	assert_string_equal(state, word);
}

static void reason_tells(struct rig *rig, const char *words)
{
	cleanup_free char *state = control_read(rig->root, "run/berth-preload/state");

	if (!strstr(state, words))
		fail_msg("no \"%s\" in: %s", words, state);
}

/* A `ctr` that keeps what it is given to import, or fails with its words. */
static const char fake_ctr[] = "#!/bin/sh\n"
			       "echo \"$@\" >> \"$BERTH_ROOT/ctr.calls\"\n"
			       "cat > \"$BERTH_ROOT/ctr.got\"\n"
			       "[ ! -e \"$BERTH_ROOT/ctr.err\" ] || { cat \"$BERTH_ROOT/ctr.err\" "
			       ">&2; exit 1; }\n";

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	cleanup_free char *path = NULL;
	char here[4096], program[4200];

	assert_non_null(rig);
	rig->root = control_scratch();
	rig->path = strdup(getenv("PATH"));
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(program, sizeof(program), "%s/" PROGRAM, here);
	setenv("PRELOAD", program, 1);
	setenv("BERTH_ROOT", rig->root, 1);
	make(rig, "mkdir -p bin preload run var/lib data");
	control_write(rig->root, "bin/ctr", fake_ctr);
	make(rig, "chmod 755 bin/ctr");
	path = text_format("%s/bin:%s", rig->root, rig->path);
	setenv("PATH", path, 1);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	setenv("PATH", rig->path, 1);
	unsetenv("BERTH_ROOT");
	unsetenv("PRELOAD");
	control_scratch_remove(rig->root);
	free(rig->path);
	free(rig);
	return 0;
}

/* CN-122: minikube's archives begin below /var; those of a whole root say "var" first. */
static void files_are_laid_on_var_whatever_their_name_and_compression(void **state)
{
	struct rig *rig = *state;

	make(rig,
	     "mkdir -p data/lib/a data/var/lib/b && echo 1 > data/lib/a/plain && "
	     "tar -C data -cf preload/01.txt ./lib && "
	     "mv data/lib/a/plain data/lib/a/gz && tar -C data -czf preload/02.tar ./lib && "
	     "mv data/lib/a/gz data/lib/a/zst && tar -C data -cf - lib | zstd -q > preload/03 && "
	     "mv data/lib/a/zst data/lib/a/lz4 && tar -C data -cf - lib | lz4 -q - > "
	     "preload/04.gz && echo 2 > data/var/lib/b/root && tar -C data -cf preload/05 var");
	boots(rig, "ok");
	says(rig, "cd var/lib && ls a b", "a:\ngz\nlz4\nplain\nzst\n\nb:\nroot\n");
	says(rig, "ls -A var; ls -A run", "lib\nberth-preload\n");
}

static void what_a_runtime_keeps_is_kept(void **state)
{
	struct rig *rig = *state;

	if (geteuid() != 0) {
		print_message("skipped: only root makes devices\n");
		skip();
	}
	make(rig,
	     "mkdir -p data/lib/x && cd data/lib/x && mknod gone c 0 0 && echo 1 > one && ln one "
	     "two && ln -s one three && chown 1234:4321 one && chmod 4750 one && cd ../.. && "
	     "tar -cf ../preload/a lib");
	boots(rig, "ok");
	says(rig, "cd var/lib/x && stat -c '%n %F %u:%g %a %h' *",
	     "gone character special file 0:0 644 1\n"
	     "one regular file 1234:4321 4750 2\n"
	     "three symbolic link 0:0 777 1\n"
	     "two regular file 1234:4321 4750 2\n");
}

static void what_the_node_has_beside_it_stays(void **state)
{
	struct rig *rig = *state;

	make(rig,
	     "mkdir -p var/lib/a elsewhere && echo own > var/lib/a/own && echo old > "
	     "var/lib/a/both && ln -s ../elsewhere var/run && "
	     "mkdir -p data/var/lib/a data/var/run && echo new > data/var/lib/a/both && echo x > "
	     "data/var/run/x && tar -C data -cf preload/a var");
	boots(rig, "ok");
	says(rig, "cat var/lib/a/own var/lib/a/both; readlink var/run; ls elsewhere",
	     "own\nnew\n../elsewhere\n");
}

/* CN-122, NS-071: by content, with its compression taken away, which ctr does not do. */
static void images_go_to_the_runtime(void **state)
{
	struct rig *rig = *state;

	make(rig, "cd data && echo '{}' > index.json && echo '{}' > oci-layout && mkdir blobs && "
		  "tar -czf ../preload/01-oci.lz4 ./index.json ./oci-layout ./blobs");
	boots(rig, "ok");
	says(rig, "tar -tf ctr.got; cat ctr.calls",
	     "./index.json\n./oci-layout\n./blobs/\n"
	     "--namespace k8s.io images import --all-platforms -\n");
	make(rig,
	     "cd data && f=$(printf %064d 7) && echo x > $f.tar && echo '[]' > manifest.json && "
	     "rm ../preload/* && tar -cf ../preload/02-docker $f.tar manifest.json");
	boots(rig, "ok");
	says(rig, "tar -tf ctr.got | tail -n 1; wc -l < ctr.calls; ls -A var",
	     "manifest.json\n2\nlib\n");
}

/* CN-123: a restart of the node unpacks nothing twice. */
static void each_is_taken_in_once(void **state)
{
	struct rig *rig = *state;

	make(rig, "mkdir data/lib && echo 1 > data/lib/file && tar -C data -cf preload/a lib && "
		  "echo '{}' > data/index.json && tar -C data -cf preload/b index.json");
	boots(rig, "ok");
	make(rig, "echo changed > var/lib/file");
	boots(rig, "ok");
	says(rig, "cat var/lib/file; wc -l < ctr.calls", "changed\n1\n");
}

/* CN-123: it is a warning, nothing of it is left, and the next boot tries again. */
static void a_truncated_one_leaves_nothing(void **state)
{
	struct rig *rig = *state;

	make(rig, "mkdir data/lib && head -c 300000 /dev/urandom > data/lib/file && echo 1 > "
		  "data/lib/first && tar -C data -cf - lib/first lib/file | gzip > whole && "
		  "head -c 100000 whole > preload/01-a.tar.gz");
	boots(rig, "degraded");
	reason_tells(rig, "archive '01-a.tar.gz' was not taken in: ");
	says(rig, "ls -A var var/lib", "var:\nlib\n\nvar/lib:\nberth-preload\n");
	make(rig, "cp whole preload/01-a.tar.gz");
	boots(rig, "ok");
	says(rig, "cat var/lib/first; stat -c %s var/lib/file", "1\n300000\n");
}

/* CN-123: killed before it was whole, and after. */
static void an_interrupted_one_is_wiped_and_done_again_or_finished(void **state)
{
	struct rig *rig = *state;

	make(rig, "mkdir data/lib && echo 1 > data/lib/a && echo 2 > data/lib/b && tar -C data -cf "
		  "preload/p lib && mkdir -p var/.berth-preload/p/lib && echo half > "
		  "var/.berth-preload/p/lib/half");
	boots(rig, "ok");
	says(rig, "cat var/lib/a var/lib/b; ls -A var var/lib",
	     "1\n2\nvar:\nlib\n\nvar/lib:\na\nb\nberth-preload\n");
	make(rig, "mkdir -p var/.berth-preload/q/lib && echo 3 > var/.berth-preload/q/lib/c && : > "
		  "var/lib/berth-preload/q.whole && cp preload/p preload/q && rm var/lib/a");
	boots(rig, "ok");
	says(rig, "cat var/lib/c; ls -A var var/lib",
	     "3\nvar:\nlib\n\nvar/lib:\nb\nberth-preload\nc\n");
}

static void what_it_is_not_is_said_and_the_others_come_all_the_same(void **state)
{
	struct rig *rig = *state;

	make(rig,
	     "echo hello > preload/01-text && mkdir -p data/usr data/lib && echo 1 > "
	     "data/lib/file && tar -C data -cf preload/02-usr usr && tar -C data -cf preload/03 "
	     "lib && : > preload/04-empty");
	boots(rig, "degraded");
	reason_tells(rig, "archive '01-text' is neither files for /var nor images");
	says(rig, "cat var/lib/file; ls -A var; grep -c neither log", "1\nlib\n3\n");
}

static void a_runtime_that_refuses_is_quoted(void **state)
{
	struct rig *rig = *state;

	make(rig, "echo '{}' > data/index.json && tar -C data -cf preload/i index.json && "
		  "echo 'ctr: unrecognized image format' > ctr.err");
	boots(rig, "degraded");
	reason_tells(rig, "archive 'i' was not taken in: ctr: unrecognized image format");
	make(rig, "echo 'ctr: write: no space left on device' > ctr.err");
	boots(rig, "full");
	reason_tells(rig, "archive 'i' does not fit on /var: no space left on device");
	make(rig, "rm ctr.err");
	boots(rig, "ok");
}

/* CN-123, CN-240: on a file system that is too small for it. */
static void one_that_does_not_fit_is_fatal_and_leaves_nothing(void **state)
{
	struct rig *rig = *state;

	if (geteuid() != 0) {
		print_message("skipped: only root mounts a small file system\n");
		skip();
	}
	make(rig,
	     "mkdir data/lib && head -c 4000000 /dev/zero > data/lib/big && tar -C data -cf - lib "
	     "| lz4 -q - > preload/big && echo '{}' > data/index.json && tar -C data -cf "
	     "preload/images index.json");
	make(rig,
	     "unshare -m bash -c 'mount -t tmpfs -o size=1m none var && mkdir var/lib && "
	     "! \"$PRELOAD\" files 2> log && ! \"$PRELOAD\" images && ls -A var var/lib > left'");
	reason_tells(rig, "full\narchive 'big' does not fit on /var: no space left on device\n");
	says(rig, "cat left; test ! -e ctr.calls", "var:\nlib\n\nvar/lib:\nberth-preload\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			files_are_laid_on_var_whatever_their_name_and_compression, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(what_a_runtime_keeps_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_node_has_beside_it_stays, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(images_go_to_the_runtime, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_is_taken_in_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_truncated_one_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_interrupted_one_is_wiped_and_done_again_or_finished, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_it_is_not_is_said_and_the_others_come_all_the_same, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_runtime_that_refuses_is_quoted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(one_that_does_not_fit_is_fatal_and_leaves_nothing,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
