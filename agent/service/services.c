#include "agent/service/services.h"

#include "node/v1/health.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/units.pb-c.h"

/* Each is the last thing in its service's file. */
extern Berth__Node__V1__Health_Service health_service;
extern Berth__Node__V1__Processes_Service processes_service;
extern Berth__Node__V1__Units_Service units_service;

ProtobufCService *const services[] = {
	&health_service.base,
	&processes_service.base,
	&units_service.base,
};
const size_t services_count = sizeof(services) / sizeof(services[0]);
