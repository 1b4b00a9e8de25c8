/* A cluster file: data, or one sentence with line and column. */
#include "controller/config/cluster_config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct cluster_config *config;
	struct err err;

	if (cluster_config_read("c.yaml", (const char *)bytes, len, &config, &err) == 0)
		cluster_config_free(config);
	else
		PROMISE(err.code == ERR_INVALID_ARGUMENT && strncmp(err.msg, "c.yaml", 6) == 0);
	return 0;
}
