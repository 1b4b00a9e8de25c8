#include "shared/base/version.h"

#include <stdio.h>

int main(void)
{
	printf("berthd %s (%s)\n", version_number(), version_commit());
	return 0;
}
