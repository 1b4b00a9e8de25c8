#include "controller/cluster/image.h"

#include "shared/base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

/* Directory of the running program. Caller frees; NULL when it cannot be told. */
static char *own_directory(void)
{
	char path[4096], *slash;
#ifdef __APPLE__
	uint32_t size = sizeof(path);

	if (_NSGetExecutablePath(path, &size) != 0)
		return NULL;
#else
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len < 0)
		return NULL;
	path[len] = '\0';
#endif
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return strdup(path);
}

/* True when both are there; then both are the caller's. */
static bool try_parts(const char *dir, const char *script_at, const char *berthd_at,
		      char **ret_script, char **ret_berthd)
{
	cleanup_free char *script = text_format("%s/%s", dir, script_at);
	cleanup_free char *berthd = text_format("%s/%s", dir, berthd_at);

	if (!script || !berthd || access(script, X_OK) < 0 || access(berthd, X_OK) < 0)
		return false;
	*ret_script = TAKE(script);
	*ret_berthd = TAKE(berthd);
	return true;
}

int image_find_parts(char **ret_script, char **ret_berthd, struct err *err)
{
	static const char script[] = "images/node/build";
	cleanup_free char *own = own_directory();
	const char *share = getenv("BERTH_SHARE");

	if (share && try_parts(share, script, "berthd", ret_script, ret_berthd))
		return 0;
	if (own && (try_parts(own, "../share/berth/images/node/build", "../share/berth/berthd",
			      ret_script, ret_berthd) ||
		    try_parts(own, "../images/node/build", "berthd", ret_script, ret_berthd)))
		return 0;
	err_set(err, ERR_NOT_FOUND, 0,
		"the parts of the node image are not installed beside berth");
	return err_explain(
		err, "IMAGE_PARTS_MISSING",
		"'make install install-images' installs them; BERTH_SHARE names another place");
}

static void add_each(struct strv *argv, const char *option, const struct strv *values)
{
	for (size_t i = 0; values && i < values->count; i++) {
		strv_add(argv, option);
		strv_add(argv, values->items[i]);
	}
}

static void add_one(struct strv *argv, const char *option, const char *value)
{
	if (!value)
		return;
	strv_add(argv, option);
	strv_add(argv, value);
}

int image_build_argv(const struct image_build *build, const char *script, const char *berthd,
		     struct strv *ret_argv, struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	strv_add(&argv, script);
	add_one(&argv, "--tag", build->tag);
	add_one(&argv, "--berthd", berthd);
	add_one(&argv, "--engine", build->engine);
	add_one(&argv, "--base-tag", build->base);
	add_one(&argv, "--kubelet", build->kubelet);
	add_each(&argv, "--package", build->packages);
	add_each(&argv, "--preload", build->preloads);
	if (strv_failed(&argv))
		return err_oom(err);
	*ret_argv = argv;
	argv = (struct strv){ 0 };
	return 0;
}

int image_build_run(const struct strv *argv, const struct interrupt *interrupt, struct deadline by,
		    struct err *err)
{
	const struct exec_options options = { .by = by, .interrupt = interrupt };
	cleanup_with(exec_result) struct exec_result result = { 0 };
	char line[384];

	if (exec_run(argv, &options, &result, err) < 0)
		return err_wrap(err, "build the node image");
	if (result.exit_code == 0)
		return 0;
	exec_last_line(&result, line, sizeof(line));
	err_set(err, ERR_UNKNOWN, 0, "the node image could not be built: %s", line);
	return err_explain(err, "IMAGE_BUILD_FAILED",
			   "--dry-run prints the command: run by itself it says all");
}
