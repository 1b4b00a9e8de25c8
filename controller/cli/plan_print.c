#include "controller/cli/plan_print.h"

#include "controller/cli/fields.h"
#include "controller/cli/print.h"
#include "controller/cli/redact.h"

static void add_words(struct json_object *row, const char *key, const struct strv *words)
{
	struct json_object *array = field_array(row, key);

	for (size_t i = 0; i < words->count; i++)
		json_object_array_add(array, json_object_new_string(words->items[i]));
}

static void show_variables(const struct strv *env, struct strv *ret)
{
	for (size_t i = 0; i < env->count; i++) {
		cleanup_free char *shown = redact_variable(env->items[i]);

		if (shown)
			strv_add(ret, shown);
		else
			ret->failed = true;
	}
}

/* As a shell would take it; the caller frees. */
static char *command_text(const struct step *step)
{
	cleanup_with(strv) struct strv words = { 0 };

	if (step->env.count)
		strv_add(&words, "env");
	show_variables(&step->env, &words);
	strv_add_all(&words, &step->argv);
	return strv_quote(&words);
}

static struct json_object *step_rows(const struct plan *plan)
{
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = plan->steps[i];
		cleanup_with(strv) struct strv env = { 0 };
		struct json_object *row = row_add(rows);

		field_text(row, "id", step->id);
		field_text(row, "node", step->node);
		field_text(row, "action", step_action_name(step->action));
		add_words(row, "argv", &step->argv);
		show_variables(&step->env, &env);
		add_words(row, "env", &env);
		add_words(row, "after", &step->after);
	}
	return rows;
}

static void print_steps(FILE *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = plan->steps[i];
		cleanup_free char *command = command_text(step);

		fprintf(out, "%s%s%s\n", step_action_name(step->action),
			step->node && *step->node ? " " : "", step->node ? step->node : "");
		if (command && *command)
			fprintf(out, "    %s\n", command);
	}
}

int plan_print(FILE *out, enum output_format format, const struct plan *plan, struct err *err)
{
	static const struct listing listing = { .noun = "step", .name_path = "id" };
	cleanup_json struct json_object *object = NULL;
	struct json_object *rows;

	if (format == OUTPUT_TABLE || format == OUTPUT_WIDE) {
		print_steps(out, plan);
		return 0;
	}
	object = json_object_new_object();
	rows = step_rows(plan);
	json_object_object_add(object, "steps", rows);
	if (format == OUTPUT_NAME)
		return print_rows(out, format, rows, &listing, err);
	return print_value(out, format, object, err);
}
