/* Manifests: v1 Pods, or one sentence with line and column. */
#include "controller/config/manifest.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct manifest manifest;
	struct err err;

	if (manifest_read("p.yaml", (const char *)bytes, len, &manifest, &err) == 0)
		manifest_release(&manifest);
	else
		PROMISE(err.code == ERR_INVALID_ARGUMENT && strncmp(err.msg, "p.yaml", 6) == 0);
	return 0;
}
