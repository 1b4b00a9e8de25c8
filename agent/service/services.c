#include "agent/service/services.h"

#include "node/v1/health.pb-c.h"

static void health_check(Berth__Node__V1__Health_Service *self,
			 const Berth__Node__V1__HealthCheckRequest *req,
			 Berth__Node__V1__HealthReply_Closure reply, void *call)
{
	Berth__Node__V1__HealthReply rep = BERTH__NODE__V1__HEALTH_REPLY__INIT;

	(void)self;
	(void)req;
	rep.healthy = 1;
	reply(&rep, call);
}
static void health_wait_ready(Berth__Node__V1__Health_Service *self,
			      const Berth__Node__V1__HealthWaitReadyRequest *req,
			      Berth__Node__V1__HealthReply_Closure reply, void *call)
{
	(void)self;
	(void)req;
	(void)reply;
	(void)call;
}
static void health_version(Berth__Node__V1__Health_Service *self,
			   const Berth__Node__V1__HealthVersionRequest *req,
			   Berth__Node__V1__HealthVersionReply_Closure reply, void *call)
{
	Berth__Node__V1__HealthVersionReply rep = BERTH__NODE__V1__HEALTH_VERSION_REPLY__INIT;

	(void)self;
	(void)req;
	reply(&rep, call);
}
Berth__Node__V1__Health_Service health_service = BERTH__NODE__V1__HEALTH__INIT(health_);

ProtobufCService *const services[] = {
	&health_service.base,
};
const size_t services_count = sizeof(services) / sizeof(services[0]);
