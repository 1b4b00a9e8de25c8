#include "controller/provider/oci_cli.h"

int oci_dump(struct provider *p, enum provider_dump what, const char *name, struct deadline by,
	     struct text *ret, struct err *err)
{
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_with(strv) struct strv argv = { 0 };

	strv_add(&argv, p->ops->program);
	switch (what) {
	case PROVIDER_DUMP_INFO:
		oci_add_words(&argv, OCI_WORDS("system", "info", "--format={{json .}}"));
		break;
	case PROVIDER_DUMP_INSPECT:
		oci_add_words(&argv, OCI_WORDS("container", "inspect", "--", name));
		break;
	case PROVIDER_DUMP_NETWORK:
		oci_add_words(&argv, OCI_WORDS("network", "inspect", "--", name));
		break;
	case PROVIDER_DUMP_CONSOLE:
		oci_add_words(&argv, OCI_WORDS("logs", "--timestamps", "--", name));
		break;
	}
	if (oci_run(p, &argv, by, &result, err) < 0)
		return -1;
	text_add_bytes(ret, text_str(&result.out), result.out.len);
	if (what == PROVIDER_DUMP_CONSOLE)
		text_add_bytes(ret, text_str(&result.errs), result.errs.len);
	return 0;
}
