#include "agent/server/dispatch.h"

#include "agent/service/services.h"
#include "shared/base/version.h"
#include "shared/wire/wire.h"

#include <string.h>

static ProtobufCService *find_service(const char *name)
{
	for (size_t i = 0; i < services_count; i++) {
		if (strcmp(services[i]->descriptor->name, name) == 0)
			return services[i];
	}
	return NULL;
}

static int unknown(const char *service, const char *method, unsigned protocol, struct err *err)
{
	err_set(err, ERR_UNIMPLEMENTED, 0, "agent %s does not know '%.80s/%.80s'", version_number(),
		service, method);
	if (protocol > WIRE_PROTOCOL)
		err_explain(err, NULL,
			    "this berth is newer than the node's agent; recreate the node from a "
			    "newer image");
	return -1;
}

int dispatch_find(const char *service, const char *method, unsigned protocol,
		  struct dispatch_target *ret, struct err *err)
{
	ProtobufCService *found = find_service(service);
	const ProtobufCMethodDescriptor *m = NULL;

	if (found)
		m = protobuf_c_service_descriptor_get_method_by_name(found->descriptor, method);
	if (!m)
		return unknown(service, method, protocol, err);

	ret->service = found;
	ret->method = m;
	ret->method_index = (unsigned)(m - found->descriptor->methods);
	ret->effect = method_effect(service, method);
	return 0;
}
