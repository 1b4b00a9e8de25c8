#include "controller/cli/fields.h"
#include "controller/cli/invocation.h"
#include "controller/cli/print.h"
#include "controller/cluster/image.h"

#include <string.h>

static const struct column columns[] = {
	{ .title = "IMAGE", .path = "image" },
	{ .title = "ENGINE", .path = "engine" },
	{ 0 },
};

static const struct listing listing = { .noun = "image", .name_path = "image", .columns = columns };

static int print_built(struct invocation *inv, const struct image_build *build, struct err *err)
{
	cleanup_json struct json_object *rows = json_object_new_array();
	struct json_object *row = row_add(rows);

	field_text(row, "image", build->tag);
	field_text(row, "engine", build->engine);
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int print_argv(struct invocation *inv, const struct strv *argv, struct err *err)
{
	cleanup_free char *text = exec_argv_text(argv);

	if (!text)
		return err_oom(err);
	fprintf(inv->out, "%s\n", text);
	return 0;
}

static int image_build(struct invocation *inv, struct err *err)
{
	const struct options *opt = inv->opt;
	struct image_build build = {
		.tag = opt->tag ? opt->tag : CLUSTER_DEFAULT_IMAGE,
		.base = opt->base,
		.kubelet = opt->kubelet,
		.packages = &opt->packages,
		.preloads = &opt->preloads,
	};
	cleanup_free char *script = NULL, *berthd = NULL;
	cleanup_with(strv) struct strv argv = { 0 };
	struct provider *provider;

	if (build.base && opt->packages.count)
		return usage_error(err,
				   "--package adds to Debian's base; with --base add them there");
	if (invocation_provider(inv, &provider, err) < 0 ||
	    image_find_parts(&script, &berthd, err) < 0)
		return -1;
	build.engine = provider_name(provider);
	if (image_build_argv(&build, script, berthd, &argv, err) < 0)
		return -1;
	if (opt->dry_run)
		return print_argv(inv, &argv, err);
	invocation_note(inv, "building %s; a new base takes a minute", build.tag);
	if (image_build_run(&argv, inv->interrupt, inv->by, err) < 0)
		return -1;
	return print_built(inv, &build, err);
}

static const struct option_spec build_options[] = {
	{ .name = "tag",
	  .value = "IMAGE",
	  .type = OPTION_TEXT,
	  OPTION_AT(tag),
	  .help = "the image's name (default: " CLUSTER_DEFAULT_IMAGE ")" },
	{ .name = "base",
	  .value = "IMAGE",
	  .type = OPTION_TEXT,
	  OPTION_AT(base),
	  .help = "build upon this image instead of Debian's packages" },
	{ .name = "package",
	  .value = "NAME",
	  .type = OPTION_REPEAT,
	  OPTION_AT(packages),
	  .help = "one more Debian package; repeatable" },
	{ .name = "kubelet",
	  .value = "DIR",
	  .type = OPTION_TEXT,
	  OPTION_AT(kubelet),
	  .help = "directory with kubelet, and kubeadm and kubectl if they are there" },
	{ .name = "preload",
	  .value = "ARCHIVE",
	  .type = OPTION_REPEAT,
	  OPTION_AT(preloads),
	  .help = "image archive that every node begins with; repeatable" },
	OPTION_ROW_DRY_RUN,
	{ 0 },
};

const struct command cmd_image_build = {
	.name = "build node-image",
	.args = "",
	.summary = "build a node image from Debian packages, with what you want in it",
	.details =
		"The same inputs give the same image. The base of Debian's packages is built once "
		"and kept;\n"
		"what is added is one layer upon it.",
	.example = "berth build node-image --tag localhost/my-node:1 --kubelet ./bin --preload "
		   "app.tar",
	.outputs = OUTPUTS_RESULT,
	.timeout_ms = 15 * 60 * 1000,
	.options = build_options,
	.run = image_build,
};
