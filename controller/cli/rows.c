#include "controller/cli/rows.h"

#include <ctype.h>
#include <string.h>

static bool has_plain_word(const struct strv *words)
{
	for (size_t i = 0; i < words->count; i++) {
		if (!strpbrk(words->items[i], "*?"))
			return true;
	}
	return false;
}

int rows_not_found(const struct invocation *inv, const char *noun, const char *namespace,
		   struct err *err)
{
	cleanup_with(text) struct text words = { 0 };
	char reason[32];
	size_t len = 0;

	for (size_t i = 0; i < inv->args->count; i++)
		text_addf(&words, "%s'%s'", i ? ", " : "", inv->args->items[i]);
	for (; noun[len] && len + 1 < sizeof(reason); len++)
		reason[len] = (char)toupper((unsigned char)noun[len]);
	snprintf(reason + len, sizeof(reason) - len, "_NOT_FOUND");
	if (namespace)
		text_addf(&words, " in namespace '%s'", namespace);
	err_set(err, ERR_NOT_FOUND, 0, "no %s %s", noun, text_str(&words));
	err_explain(err, reason, NULL);
	snprintf(err->advice, sizeof(err->advice), "'berth get %ss%s' lists what there is", noun,
		 namespace ? " -A" : "");
	return -1;
}

int rows_print(struct invocation *inv, struct json_object *rows, const struct listing *listing,
	       const char *namespace, bool must_exist, struct err *err)
{
	enum output_format format = invocation_format(inv);

	if (print_rows(inv->out, format, rows, listing, err) < 0)
		return -1;
	/* Of a node that failed nobody knows what it has. */
	if (json_object_array_length(rows) > 0 || inv->exit_code)
		return 0;
	if (must_exist && has_plain_word(inv->args))
		return rows_not_found(inv, listing->noun, namespace, err);
	if (format == OUTPUT_TABLE || format == OUTPUT_WIDE)
		invocation_note(inv, "no %s%s%s%s", inv->command->name + strlen("get "),
				inv->args->count ? " of that name" : "",
				namespace ? " in namespace " : "", namespace ? namespace : "");
	return 0;
}
