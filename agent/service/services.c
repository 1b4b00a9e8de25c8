#include "agent/service/services.h"

#include "node/v1/balancer.pb-c.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/events.pb-c.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/files.pb-c.h"
#include "node/v1/forward.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/images.pb-c.h"
#include "node/v1/lifecycle.pb-c.h"
#include "node/v1/logs.pb-c.h"
#include "node/v1/pods.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/streams.pb-c.h"
#include "node/v1/units.pb-c.h"

/* Each is the last thing in its service's file. */
extern Berth__Node__V1__Containers_Service containers_service;
extern Berth__Node__V1__Events_Service events_service;
extern Berth__Node__V1__Exec_Service exec_service;
extern Berth__Node__V1__Files_Service files_service;
extern Berth__Node__V1__Forward_Service forward_service;
extern Berth__Node__V1__Health_Service health_service;
extern Berth__Node__V1__Images_Service images_service;
extern Berth__Node__V1__Lifecycle_Service lifecycle_service;
extern Berth__Node__V1__LoadBalancers_Service balancer_service;
extern Berth__Node__V1__Logs_Service logs_service;
extern Berth__Node__V1__Pods_Service pods_service;
extern Berth__Node__V1__Processes_Service processes_service;
extern Berth__Node__V1__Streams_Service streams_service;
extern Berth__Node__V1__Units_Service units_service;

/* clang-format off */
ProtobufCService *const services[] = {
	&balancer_service.base,
	&containers_service.base,
	&events_service.base,
	&exec_service.base,
	&files_service.base,
	&forward_service.base,
	&health_service.base,
	&images_service.base,
	&lifecycle_service.base,
	&logs_service.base,
	&pods_service.base,
	&processes_service.base,
	&streams_service.base,
	&units_service.base,
};
/* clang-format on */
const size_t services_count = sizeof(services) / sizeof(services[0]);
