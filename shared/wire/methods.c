#include "shared/wire/methods.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *service;
	const char *method;
	bool reads;
} methods[] = {
#define METHOD(service, method, reads) { service, method, reads },
#include "methods.inc"
#undef METHOD
};

bool method_reads(const char *service, const char *method)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].method, method) == 0 &&
		    strcmp(methods[i].service, service) == 0)
			return methods[i].reads;
	}
	return false;
}
