#include "controller/provider/oci_cli.h"

#include <string.h>

static void add_words(struct strv *argv, const char *const *words)
{
	for (; *words; words++)
		strv_add(argv, *words);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

int oci_dump(struct provider *p, enum provider_dump what, const char *name, struct deadline by,
	     struct text *ret, struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	strv_add(&argv, p->ops->program);
	switch (what) {
	case PROVIDER_DUMP_INFO:
		add_words(&argv, WORDS("system", "info", "--format={{json .}}"));
		break;
	case PROVIDER_DUMP_INSPECT:
		add_words(&argv, WORDS("container", "inspect", "--", name));
		break;
	case PROVIDER_DUMP_NETWORK:
		add_words(&argv, WORDS("network", "inspect", "--", name));
		break;
	case PROVIDER_DUMP_CONSOLE:
		add_words(&argv, WORDS("logs", "--timestamps", "--", name));
		break;
	}
	if (oci_run(p, &argv, by, &result, err) < 0)
		return -1;
	text_add_bytes(ret, text_str(&result.out), result.out.len);
	if (what == PROVIDER_DUMP_CONSOLE)
		text_add_bytes(ret, text_str(&result.errs), result.errs.len);
	return 0;
}
