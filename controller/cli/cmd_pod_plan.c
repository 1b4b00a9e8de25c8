#include "controller/cli/cell.h"
#include "controller/cli/input.h"
#include "controller/cli/manifests.h"
#include "controller/cli/plan_json.h"
#include "controller/cli/print.h"
#include "shared/pod/pod.h"

static int read_pod(struct invocation *inv, struct manifests *manifests, struct err *err)
{
	if (manifests_read(inv, false, manifests, err) < 0)
		return -1;
	if (manifests->count != 1)
		return usage_error(err, "plan one pod at a time, not %zu", manifests->count);
	if (pod_default(manifests->pods[0], err) < 0 || pod_check(manifests->pods[0], err) < 0)
		return err_wrap(err, "pod '%s'", pod_name(manifests->pods[0]));
	return 0;
}

static int read_observed(struct invocation *inv, const K8s__Core__V1__Pod *pod,
			 struct pod_observed *seen, struct err *err)
{
	cleanup_with(text) struct text text = { 0 };
	cleanup_with(strv) struct strv warnings = { 0 };
	int result;

	if (input_read(inv->opt->observed, &text, err) < 0)
		return -1;
	result = plan_json_read(inv->opt->observed, text_str(&text), text.len, pod, seen, &warnings,
				err);
	for (size_t i = 0; i < warnings.count; i++)
		invocation_note(inv, "%s", warnings.items[i]);
	return result;
}

static void print_names(FILE *out, const char *what, const struct strv *names)
{
	for (size_t i = 0; i < names->count; i++)
		fprintf(out, "%s %s\n", what, names->items[i]);
}

static void print_reasons(FILE *out, const struct kv_list *reasons)
{
	for (size_t i = 0; i < reasons->count; i++)
		fprintf(out, "  %s: %s\n", reasons->items[i].key, reasons->items[i].value);
}

/* In the order in which it would be done. */
static void print_text(FILE *out, const struct pod_decision *d)
{
	if (d->kill_pod)
		fprintf(out, "kill the pod\n");
	for (size_t i = 0; !d->kill_pod && i < d->kill_count; i++) {
		cleanup_with(text) struct text id = { 0 };

		cell_escape(&id, d->kills[i].id);
		fprintf(out, "kill container %s (%s)\n", d->kills[i].name, text_str(&id));
	}
	if (d->create_sandbox)
		fprintf(out, "create sandbox, attempt %u\n", d->attempt);
	print_names(out, "start ephemeral container", &d->ephemeral_starts);
	print_names(out, "start init container", &d->init_starts);
	print_names(out, "start container", &d->starts);
	if (!d->kill_pod && !d->create_sandbox && !d->kill_count && !d->starts.count &&
	    !d->init_starts.count && !d->ephemeral_starts.count)
		fprintf(out, "nothing to do\n");
	print_reasons(out, &d->reasons);
}

static int print_decision(struct invocation *inv, const struct pod_decision *decision,
			  struct err *err)
{
	cleanup_json struct json_object *object = NULL;

	if (invocation_format(inv) == OUTPUT_TABLE) {
		print_text(inv->out, decision);
		return 0;
	}
	object = plan_json_decision(decision);
	return print_value(inv->out, invocation_format(inv), object, err);
}

static int plan_pod(struct invocation *inv, struct err *err)
{
	cleanup_with(manifests) struct manifests manifests = { 0 };
	cleanup_with(pod_observed) struct pod_observed seen = { 0 };
	cleanup_with(pod_decision) struct pod_decision decision = { 0 };

	if (inv->opt->files.count != 1 || !inv->opt->observed)
		return usage_error(err, "'plan pod' needs -f FILE and --observed FILE");
	if (read_pod(inv, &manifests, err) < 0 ||
	    read_observed(inv, manifests.pods[0], &seen, err) < 0 ||
	    pod_plan(manifests.pods[0], &seen, &decision, err) < 0)
		return -1;
	return print_decision(inv, &decision, err);
}

static const struct option_spec plan_options[] = {
	OPTION_ROW_FILE,
	{ .name = "observed",
	  .value = "FILE",
	  .type = OPTION_TEXT,
	  OPTION_AT(observed),
	  .help = "what the runtime has of the pod, as JSON; - for stdin" },
	OPTION_ROW_NAMESPACE,
	{ 0 },
};

const struct command cmd_pod_plan = {
	.name = "plan pod",
	.args = "",
	.summary = "say what pod sync would do, without any node",
	.details =
		"The agent's pod worker calls the same function. --observed holds sandboxes and\n"
		"containers, newest first.",
	.example = "berth plan pod -f pod.yaml --observed seen.json -o json",
	.outputs = OUTPUTS_DATA,
	.options = plan_options,
	.run = plan_pod,
};
