#include "shared/base/version.h"

#ifndef BERTH_COMMIT
#define BERTH_COMMIT "unknown"
#endif

const char *version_number(void)
{
	return BERTH_VERSION;
}

const char *version_commit(void)
{
	return BERTH_COMMIT;
}
