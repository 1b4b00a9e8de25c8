#include "shared/wire/methods.h"

#include <stddef.h>
#include <string.h>

struct method {
	const char *service;
	const char *method;
	enum method_effect effect;
	enum method_role role;
};

static const struct method methods[] = {
#define METHOD(service, method, effect, role) { service, method, effect, role },
#include "methods.inc"
#undef METHOD
};

static const char *const role_names[] = { [ROLE_READ] = "read", [ROLE_ADMIN] = "admin" };

static const struct method *find(const char *service, const char *method)
{
	static const struct method unknown = { "", "", METHOD_ONCE, ROLE_ADMIN };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].method, method) == 0 &&
		    strcmp(methods[i].service, service) == 0)
			return &methods[i];
	}
	return &unknown;
}

enum method_role method_role(const char *service, const char *method)
{
	return find(service, method)->role;
}

enum method_effect method_effect(const char *service, const char *method)
{
	return find(service, method)->effect;
}

bool method_reads(const char *service, const char *method)
{
	return method_effect(service, method) == METHOD_READS;
}

const char *method_role_name(enum method_role role)
{
	return role_names[role == ROLE_ADMIN];
}

bool method_role_parse(const char *name, enum method_role *ret)
{
	for (size_t i = 0; i < sizeof(role_names) / sizeof(role_names[0]); i++) {
		if (strcmp(name, role_names[i]) == 0) {
			*ret = (enum method_role)i;
			return true;
		}
	}
	return false;
}

int method_check_role(const char *service, const char *method, enum method_role caller,
		      struct err *err)
{
	enum method_role wanted = method_role(service, method);

	if (caller >= wanted)
		return 0;
	err_set(err, ERR_PERMISSION_DENIED, 0,
		"'%.80s/%.80s' is for role '%s', the caller has '%s'", service, method,
		method_role_name(wanted), method_role_name(caller));
	return err_explain(err, "ROLE_TOO_LOW", "use a certificate of the role that it needs");
}
