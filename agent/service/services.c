#include "agent/service/services.h"

#include "node/v1/balancer.pb-c.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/lifecycle.pb-c.h"
#include "node/v1/pods.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/units.pb-c.h"

/* Each is the last thing in its service's file. */
extern Berth__Node__V1__LoadBalancers_Service balancer_service;
extern Berth__Node__V1__Containers_Service containers_service;
extern Berth__Node__V1__Health_Service health_service;
extern Berth__Node__V1__Lifecycle_Service lifecycle_service;
extern Berth__Node__V1__Pods_Service pods_service;
extern Berth__Node__V1__Processes_Service processes_service;
extern Berth__Node__V1__Units_Service units_service;

/* clang-format off */
ProtobufCService *const services[] = {
	&balancer_service.base,
	&containers_service.base,
	&health_service.base,
	&lifecycle_service.base,
	&pods_service.base,
	&processes_service.base,
	&units_service.base,
};
/* clang-format on */
const size_t services_count = sizeof(services) / sizeof(services[0]);
