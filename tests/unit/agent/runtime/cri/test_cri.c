#include "tests/support/h2_server.h"
#include "tests/support/runtime.h"

#include "cri/v1/runtime.pb-c.h"
#include "cri/v1/tasks.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* A runtime that answers each method with the bytes it was given for it. */
struct canned {
	const char *method;
	uint8_t *bytes;
	size_t len;
};

struct stage {
	struct rt_rig *rig;
	struct h2_server *server;
	struct canned canned[8];
	size_t count;
	char asked[8][32]; /* methods, in the order they came */
	size_t asked_count;
	uint8_t *request; /* the last one's message */
	size_t request_len;
};

static uint8_t *answer(void *arg, const char *path, const uint8_t *body, size_t len,
		       size_t *ret_len)
{
	struct stage *s = arg;
	const char *method = strrchr(path, '/') + 1;
	uint8_t *bytes;

	if (s->asked_count < 8)
		snprintf(s->asked[s->asked_count++], sizeof(s->asked[0]), "%s", method);
	free(s->request);
	s->request = malloc(len + 1);
	memcpy(s->request, body, len);
	s->request_len = len;
	*ret_len = 0;
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->canned[i].method, method) != 0)
			continue;
		*ret_len = s->canned[i].len;
		bytes = malloc(s->canned[i].len + 1);
		memcpy(bytes, s->canned[i].bytes, s->canned[i].len);
		return bytes;
	}
	return malloc(1);
}

static int open_stage(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	char path[96];

	assert_non_null(s);
	/* The backend connects lazily, so the server may come after it, into its directory. */
	s->rig = rt_open("fake", NULL);
	runtime_close(s->rig->rt);
	snprintf(path, sizeof(path), "%s/s", s->rig->dir);
	assert_int_equal(runtime_open("cri", path, s->rig->loop, &s->rig->rt, &s->rig->answer.err),
			 0);
	s->server = h2_server_open(s->rig->loop, path, answer, s);
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	h2_server_close(s->server);
	rt_close(s->rig);
	for (size_t i = 0; i < s->count; i++)
		free(s->canned[i].bytes);
	free(s->request);
	free(s);
	return 0;
}

static void can_bytes(struct stage *s, const char *method, const void *bytes, size_t len)
{
	struct canned *c = &s->canned[s->count++];

	assert_in_range(s->count, 1, 8);
	c->method = method;
	c->bytes = malloc(len + 1);
	memcpy(c->bytes, bytes, len);
	c->len = len;
}

static void can(struct stage *s, const char *method, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = malloc(len + 1);

	protobuf_c_message_pack(m, bytes);
	can_bytes(s, method, bytes, len);
	free(bytes);
}

static void fail_with(struct stage *s, enum h2_act act, const char *text)
{
	h2_server_plan(s->server, &act, 1);
	h2_server_error_text(s->server, text);
}

/* --- info ----------------------------------------------------------------------------------------- */

static void can_info(struct stage *s, bool network_ready)
{
	Runtime__V1__VersionResponse version = RUNTIME__V1__VERSION_RESPONSE__INIT;
	Runtime__V1__StatusResponse status = RUNTIME__V1__STATUS_RESPONSE__INIT;
	Runtime__V1__RuntimeStatus inner = RUNTIME__V1__RUNTIME_STATUS__INIT;
	Runtime__V1__RuntimeCondition ready[] = { RUNTIME__V1__RUNTIME_CONDITION__INIT,
						  RUNTIME__V1__RUNTIME_CONDITION__INIT,
						  RUNTIME__V1__RUNTIME_CONDITION__INIT };
	Runtime__V1__RuntimeCondition *all[] = { &ready[0], &ready[1], &ready[2] };

	version.runtime_name = (char *)"testd";
	version.runtime_version = (char *)"9.8";
	ready[0].type = (char *)"RuntimeReady";
	ready[0].status = true;
	ready[1].type = (char *)"SomethingElse";
	ready[2].type = (char *)"NetworkReady";
	ready[2].status = network_ready;
	ready[2].message = (char *)"no CNI";
	inner.conditions = all;
	inner.n_conditions = 3;
	status.status = &inner;
	can(s, "Version", &version.base);
	can(s, "Status", &status.base);
}

static void on_info(void *arg, const struct runtime_info *info, const struct err *err)
{
	struct rt_answer *a = arg;

	a->count++;
	assert_null(err);
	snprintf(a->text, sizeof(a->text), "%s", info->message);
}

static void info_is_version_and_status(void **state)
{
	struct stage *s = *state;
	struct rt_answer a = { 0 };

	can_info(s, false);
	assert_int_equal(rt_get_info(s->rig), ERR_OK);
	assert_string_equal(s->rig->answer.text, "testd 9.8 1 0");
	runtime_get_info(s->rig->rt, deadline_in_ms(1000), on_info, &a);
	rt_wait(s->rig, &a, 20000);
	assert_string_equal(a.text, "no CNI");
}

static void a_runtime_that_says_nothing_is_not_ready(void **state)
{
	struct stage *s = *state;

	assert_int_equal(rt_get_info(s->rig), ERR_OK);
	assert_string_equal(s->rig->answer.text, "  0 0");
}

/* --- lists ---------------------------------------------------------------------------------------- */

static Runtime__V1__Container container(const char *id, int64_t created_at,
					Runtime__V1__ContainerState state)
{
	Runtime__V1__Container c = RUNTIME__V1__CONTAINER__INIT;

	c.id = (char *)id;
	c.created_at = created_at;
	c.state = state;
	return c;
}

/* PS-044 */
static void containers_come_newest_first_and_whole(void **state)
{
	Runtime__V1__ListContainersResponse rep = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;
	Runtime__V1__ContainerMetadata low = RUNTIME__V1__CONTAINER_METADATA__INIT;
	Runtime__V1__ContainerMetadata high = RUNTIME__V1__CONTAINER_METADATA__INIT;
	Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
	Runtime__V1__KeyValue labels[] = { RUNTIME__V1__KEY_VALUE__INIT,
					   RUNTIME__V1__KEY_VALUE__INIT };
	Runtime__V1__KeyValue *all_labels[] = { &labels[0], &labels[1] };
	Runtime__V1__Container c[] = { container("aa", 5, 0), container("bb", 9, 1),
				       container("cc", 9, 2), container("dd", 1, 77) };
	Runtime__V1__Container *all[] = { &c[0], &c[1], &c[2], &c[3] };
	struct stage *s = *state;

	low.name = high.name = (char *)"app";
	low.attempt = 1;
	high.attempt = 2;
	labels[0].key = (char *)"io.kubernetes.pod.uid";
	labels[0].value = (char *)"u7";
	labels[1].key = (char *)"io.kubernetes.pod.namespace";
	labels[1].value = (char *)"kube-system";
	image.image = (char *)"sha256:1";
	image.user_specified_image = (char *)"demo:1";
	c[1].metadata = &low;
	c[2].metadata = &high;
	c[2].labels = all_labels;
	c[2].n_labels = 2;
	c[2].image = &image;
	rep.containers = all;
	rep.n_containers = 4;
	can(s, "ListContainers", &rep.base);

	assert_int_equal(rt_list(s->rig, NULL, NULL), ERR_OK);
	assert_int_equal(s->rig->answer.item_count, 4);
	assert_string_equal(s->rig->answer.items[0].id, "cc");
	assert_string_equal(s->rig->answer.items[0].uid, "u7");
	assert_string_equal(s->rig->answer.items[0].namespace, "kube-system");
	assert_string_equal(s->rig->answer.items[0].image, "demo:1");
	assert_int_equal(s->rig->answer.items[0].state, RUNTIME_EXITED);
	assert_string_equal(s->rig->answer.items[1].id, "bb");
	assert_int_equal(s->rig->answer.items[1].state, RUNTIME_RUNNING);
	assert_string_equal(s->rig->answer.items[2].id, "aa");
	assert_string_equal(s->rig->answer.items[2].name, "");
	assert_int_equal(s->rig->answer.items[2].state, RUNTIME_CREATED);
	assert_int_equal(s->rig->answer.items[3].state, RUNTIME_UNKNOWN);
	assert_int_equal(rt_list(s->rig, "b", NULL), ERR_OK);
	assert_int_equal(s->rig->answer.item_count, 1);
	assert_string_equal(s->rig->answer.items[0].id, "bb");
}

/* PS-042: the runtime filters, by the pod's label. */
static void lists_of_a_pod_are_asked_by_its_label(void **state)
{
	Runtime__V1__ListPodSandboxRequest *pods;
	Runtime__V1__ListContainersRequest *req;
	struct stage *s = *state;

	assert_int_equal(rt_list(s->rig, NULL, "u1"), ERR_OK);
	assert_int_equal(s->rig->answer.item_count, 0);
	req = (void *)protobuf_c_message_unpack(&runtime__v1__list_containers_request__descriptor,
						NULL, s->request_len, s->request);
	assert_non_null(req->filter);
	assert_int_equal(req->filter->n_label_selector, 1);
	assert_string_equal(req->filter->label_selector[0]->key, "io.kubernetes.pod.uid");
	assert_string_equal(req->filter->label_selector[0]->value, "u1");
	protobuf_c_message_free_unpacked(&req->base, NULL);

	assert_int_equal(rt_list_sandboxes(s->rig, NULL, "u2"), ERR_OK);
	pods = (void *)protobuf_c_message_unpack(&runtime__v1__list_pod_sandbox_request__descriptor,
						 NULL, s->request_len, s->request);
	assert_string_equal(pods->filter->label_selector[0]->value, "u2");
	protobuf_c_message_free_unpacked(&pods->base, NULL);
}

static void a_sandbox_tells_its_address(void **state)
{
	Runtime__V1__PodSandboxStatusResponse rep = RUNTIME__V1__POD_SANDBOX_STATUS_RESPONSE__INIT;
	Runtime__V1__PodSandboxStatus status = RUNTIME__V1__POD_SANDBOX_STATUS__INIT;
	Runtime__V1__PodSandboxNetworkStatus net = RUNTIME__V1__POD_SANDBOX_NETWORK_STATUS__INIT;
	Runtime__V1__LinuxPodSandboxStatus lin = RUNTIME__V1__LINUX_POD_SANDBOX_STATUS__INIT;
	Runtime__V1__Namespace ns = RUNTIME__V1__NAMESPACE__INIT;
	Runtime__V1__NamespaceOption option = RUNTIME__V1__NAMESPACE_OPTION__INIT;
	struct stage *s = *state;

	net.ip = (char *)"10.1.2.3";
	option.network = RUNTIME__V1__NAMESPACE_MODE__NODE;
	ns.options = &option;
	lin.namespaces = &ns;
	status.id = (char *)"s1";
	status.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
	status.network = &net;
	status.linux_status = &lin;
	rep.status = &status;
	can(s, "PodSandboxStatus", &rep.base);
	assert_int_equal(rt_sandbox_status(s->rig, "s1"), ERR_OK);
	assert_string_equal(s->rig->answer.items[0].ip, "10.1.2.3");
	assert_true(s->rig->answer.items[0].host_network);
	assert_false(s->rig->answer.items[0].ready);
	assert_string_equal(s->rig->answer.items[0].uid, "");
}

/* --- hostile answers ------------------------------------------------------------------------------ */

static void answers_without_their_contents_are_errors(void **state)
{
	struct stage *s = *state;
	char id[80];

	assert_int_equal(rt_status(s->rig, "c1"), ERR_INTERNAL);
	assert_int_equal(rt_sandbox_status(s->rig, "s1"), ERR_INTERNAL);
	assert_int_equal(rt_run_sandbox(s->rig, "u1", 0, id), ERR_INTERNAL);
	assert_int_equal(rt_create(s->rig, "s1", "u1", "app", "demo", id), ERR_INTERNAL);
	assert_int_equal(rt_image_status(s->rig, "demo"), ERR_OK);
	assert_false(s->rig->answer.has_text);
	assert_int_equal(rt_list(s->rig, NULL, NULL), ERR_OK);
	assert_int_equal(s->rig->answer.item_count, 0);
}

/* F6 */
static void bytes_that_are_no_message_are_data_loss(void **state)
{
	static const uint8_t garbage[] = { 0x0a, 0xff, 0xff, 0xff, 0x7f, 'x' };
	struct stage *s = *state;

	can_bytes(s, "ListContainers", garbage, sizeof(garbage));
	can_bytes(s, "Version", "\xff\xff\xff\xff\xff", 5);
	assert_int_equal(rt_list(s->rig, NULL, NULL), ERR_DATA_LOSS);
	assert_int_equal(rt_get_info(s->rig), ERR_DATA_LOSS);
}

/* Two bytes on the wire are a whole container in memory: 16 MiB of them must not become 1 GiB. */
static void a_list_of_nothings_is_refused_before_it_is_huge(void **state)
{
	size_t len = 12u << 20;
	uint8_t *bytes = malloc(len);
	struct stage *s = *state;
	struct rt_answer *a = &s->rig->answer;

	for (size_t i = 0; i < len; i += 2) {
		bytes[i] = 0x0a;
		bytes[i + 1] = 0;
	}
	can_bytes(s, "ListContainers", bytes, len);
	free(bytes);
	memset(a, 0, sizeof(*a));
	runtime_list_containers(s->rig->rt, NULL, deadline_in_ms(20000), rt_containers, a);
	rt_wait(s->rig, a, 20000);
	assert_int_equal(a->err.code, ERR_RESOURCE_EXHAUSTED);
}

/* --- absent --------------------------------------------------------------------------------------- */

/* NS-104 */
static void not_found_by_code_means_absent(void **state)
{
	struct stage *s = *state;

	fail_with(s, H2_NOT_FOUND, "gone");
	assert_int_equal(rt_status(s->rig, "c1"), ERR_NOT_FOUND);
	assert_string_equal(s->rig->answer.err.msg, "runtime: ContainerStatus: gone");
	assert_int_equal(rt_sandbox_status(s->rig, "s1"), ERR_NOT_FOUND);
	assert_int_equal(rt_stop(s->rig, "c1", 0, 500), ERR_NOT_FOUND);
	assert_int_equal(rt_remove(s->rig, "c1"), ERR_OK);
	assert_int_equal(rt_stop_sandbox(s->rig, "s1"), ERR_OK);
	assert_int_equal(rt_remove_sandbox(s->rig, "s1"), ERR_OK);
}

/* NS-104 */
static void unknown_with_words_about_the_id_means_absent(void **state)
{
	struct stage *s = *state;

	fail_with(s, H2_ERROR, "could not find container \"c1\": ID does not exist");
	assert_int_equal(rt_status(s->rig, "c1"), ERR_NOT_FOUND);
	assert_non_null(strstr(s->rig->answer.err.msg, "could not find container"));
	assert_int_equal(rt_remove(s->rig, "c1"), ERR_OK);
	assert_int_equal(rt_status(s->rig, "other"), ERR_UNKNOWN);
	fail_with(s, H2_ERROR, "Error: No such container: c1");
	assert_int_equal(rt_stop(s->rig, "c1", 0, 500), ERR_NOT_FOUND);
}

static void other_things_not_found_are_not_the_container(void **state)
{
	struct stage *s = *state;
	char id[80];

	fail_with(s, H2_ERROR, "exec: \"nope\": executable file not found in $PATH");
	assert_int_equal(rt_start(s->rig, "nope"), ERR_UNKNOWN);
	assert_int_equal(rt_stop(s->rig, "c1", 0, 500), ERR_UNKNOWN);
	assert_int_equal(rt_run_sandbox(s->rig, "u1", 0, id), ERR_UNKNOWN);
}

/* --- removal -------------------------------------------------------------------------------------- */

static void can_status(struct stage *s, Runtime__V1__ContainerState now)
{
	Runtime__V1__ContainerStatusResponse rep = RUNTIME__V1__CONTAINER_STATUS_RESPONSE__INIT;
	Runtime__V1__ContainerStatus status = RUNTIME__V1__CONTAINER_STATUS__INIT;

	status.id = (char *)"c1";
	status.state = now;
	status.exit_code = 3;
	status.finished_at = 99;
	rep.status = &status;
	can(s, "ContainerStatus", &rep.base);
}

static void a_running_container_is_not_removed(void **state)
{
	struct stage *s = *state;

	can_status(s, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
	assert_int_equal(rt_remove(s->rig, "c1"), ERR_FAILED_PRECONDITION);
	assert_int_equal(s->asked_count, 1);
	assert_string_equal(s->asked[0], "ContainerStatus");
}

/* F1: a StartContainer that was broken off leaves a task that CRI itself cannot end. */
static void a_left_over_task_is_ended_and_the_removal_repeated(void **state)
{
	static const enum h2_act plan[] = { H2_ANSWER, H2_ERROR, H2_EMPTY, H2_NOT_FOUND, H2_EMPTY };
	struct stage *s = *state;

	can_status(s, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
	h2_server_plan(s->server, plan, ARRAY_LEN(plan));
	h2_server_error_text(s->server, "cannot delete running task c1%3A failed precondition");
	assert_int_equal(rt_remove(s->rig, "c1"), ERR_OK);
	assert_int_equal(h2_server_requests(s->server), ARRAY_LEN(plan));
	assert_string_equal(h2_server_path(s->server),
			    "/runtime.v1.RuntimeService/RemoveContainer");
	assert_non_null(strstr(h2_server_headers(s->server), "containerd-namespace: k8s.io"));
}

static void a_task_that_stays_is_told_and_not_asked_for_ever(void **state)
{
	static const enum h2_act plan[] = { H2_ANSWER, H2_ERROR, H2_ERROR, H2_ERROR, H2_ERROR };
	struct stage *s = *state;

	can_status(s, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
	h2_server_plan(s->server, plan, ARRAY_LEN(plan));
	h2_server_error_text(s->server, "cannot delete running task c1");
	assert_int_equal(rt_remove(s->rig, "c1"), ERR_UNKNOWN);
	assert_int_equal(h2_server_requests(s->server), ARRAY_LEN(plan));
}

static void an_exited_container_is_removed(void **state)
{
	struct stage *s = *state;

	can_status(s, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
	assert_int_equal(rt_remove(s->rig, "c1"), ERR_OK);
	assert_int_equal(s->asked_count, 2);
	assert_string_equal(s->asked[1], "RemoveContainer");
	assert_int_equal(rt_status(s->rig, "c1"), ERR_OK);
	assert_int_equal(s->rig->answer.items[0].exit_code, 3);
	assert_int_equal(s->rig->answer.items[0].finished_ns, 99);
}

/* --- requests ------------------------------------------------------------------------------------- */

static void fill_sandbox(struct sandbox_request *r)
{
	rt_sandbox_request(r, "u1", 4);
	r->cgroup_parent = strdup("/kubepods/podu1");
	strv_add(&r->dns_servers, "10.96.0.10");
	strv_add(&r->dns_options, "ndots:5");
	assert_true(kv_add(&r->sysctls, "net.core.somaxconn", "9"));
	r->ports = calloc(1, sizeof(*r->ports));
	r->port_count = 1;
	r->ports[0] = (struct port_request){ PORT_UDP, 53, 5353, strdup("127.0.0.1") };
}

/* NS-102, PS-197 */
static void a_sandbox_request_is_carried_whole(void **state)
{
	Runtime__V1__RunPodSandboxRequest *req;
	Runtime__V1__PodSandboxConfig *config;
	struct stage *s = *state;
	struct sandbox_request pod;
	struct rt_answer a = { 0 };

	fill_sandbox(&pod);
	runtime_run_sandbox(s->rig->rt, &pod, deadline_in_ms(1000), rt_id, &a);
	sandbox_request_release(&pod);
	rt_wait(s->rig, &a, 20000);
	req = (void *)protobuf_c_message_unpack(&runtime__v1__run_pod_sandbox_request__descriptor,
						NULL, s->request_len, s->request);
	assert_non_null(req);
	config = req->config;
	assert_string_equal(config->metadata->name, "pod-u1");
	assert_string_equal(config->metadata->uid, "u1");
	assert_string_equal(config->metadata->namespace_, "default");
	assert_int_equal(config->metadata->attempt, 4);
	assert_string_equal(config->hostname, "pod");
	assert_int_equal(config->n_labels, 4);
	assert_int_equal(config->n_annotations, 1);
	assert_string_equal(config->dns_config->servers[0], "10.96.0.10");
	assert_string_equal(config->dns_config->options[0], "ndots:5");
	assert_int_equal(config->port_mappings[0]->protocol, RUNTIME__V1__PROTOCOL__UDP);
	assert_int_equal(config->port_mappings[0]->host_port, 5353);
	assert_string_equal(config->linux_config->cgroup_parent, "/kubepods/podu1");
	assert_string_equal(config->linux_config->sysctls[0]->value, "9");
	assert_int_equal(config->linux_config->security_context->namespace_options->pid,
			 RUNTIME__V1__NAMESPACE_MODE__CONTAINER);
	assert_int_equal(config->linux_config->security_context->namespace_options->network,
			 RUNTIME__V1__NAMESPACE_MODE__POD);
	protobuf_c_message_free_unpacked(&req->base, NULL);
}

static void fill_container(struct container_request *r)
{
	rt_container_request(r, "u1", "app", "demo:1");
	free(r->image_ref);
	r->image_ref = strdup("sha256:abc");
	strv_add(&r->command, "/bin/demo");
	strv_add(&r->args, "--x=");
	r->working_dir = strdup("/srv");
	assert_true(kv_add(&r->envs, "A", "b=c"));
	r->mounts = calloc(1, sizeof(*r->mounts));
	r->mount_count = 1;
	r->mounts[0] = (struct mount_request){ strdup("/h"), strdup("/c"), true, false,
					       MOUNT_BIDIRECTIONAL };
	r->attempt = 2;
	r->tty = true;
	r->has_user = true;
	r->run_as_user = 0;
	r->no_new_privs = true;
	strv_add(&r->capabilities_add, "NET_ADMIN");
	r->cpu_shares = 512;
	r->cpu_quota_us = 50000;
	r->cpu_period_us = 100000;
	r->memory_bytes = 1 << 26;
	r->oom_score_adj = -997;
	r->namespaces.share_pid = true;
}

static void check_linux(const Runtime__V1__LinuxContainerConfig *lin)
{
	const Runtime__V1__LinuxContainerSecurityContext *security = lin->security_context;

	assert_int_equal(lin->resources->cpu_shares, 512);
	assert_int_equal(lin->resources->cpu_quota, 50000);
	assert_int_equal(lin->resources->cpu_period, 100000);
	assert_int_equal(lin->resources->memory_limit_in_bytes, 1 << 26);
	assert_int_equal(lin->resources->oom_score_adj, -997);
	/* User 0 is root, not "unset". */
	assert_non_null(security->run_as_user);
	assert_int_equal(security->run_as_user->value, 0);
	assert_null(security->run_as_group);
	assert_true(security->no_new_privs);
	assert_string_equal(security->capabilities->add_capabilities[0], "NET_ADMIN");
	assert_int_equal(security->namespace_options->pid, RUNTIME__V1__NAMESPACE_MODE__POD);
	/* PS-195 */
	assert_int_equal(security->n_masked_paths, 9);
	assert_int_equal(security->n_readonly_paths, 6);
	assert_int_equal(security->seccomp->profile_type,
			 RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined);
}

/* PS-159, PS-193 */
static void a_container_request_is_carried_whole(void **state)
{
	Runtime__V1__CreateContainerRequest *req;
	Runtime__V1__ContainerConfig *config;
	struct stage *s = *state;
	struct container_request app;
	struct sandbox_request pod;
	struct rt_answer a = { 0 };

	fill_sandbox(&pod);
	fill_container(&app);
	runtime_create_container(s->rig->rt, "s1", &app, &pod, deadline_in_ms(1000), rt_id, &a);
	container_request_release(&app);
	sandbox_request_release(&pod);
	rt_wait(s->rig, &a, 20000);
	req = (void *)protobuf_c_message_unpack(&runtime__v1__create_container_request__descriptor,
						NULL, s->request_len, s->request);
	assert_non_null(req);
	config = req->config;
	assert_string_equal(req->pod_sandbox_id, "s1");
	assert_string_equal(req->sandbox_config->metadata->name, "pod-u1");
	assert_string_equal(config->metadata->name, "app");
	assert_int_equal(config->metadata->attempt, 2);
	assert_string_equal(config->image->image, "sha256:abc");
	assert_string_equal(config->image->user_specified_image, "demo:1");
	assert_string_equal(config->command[0], "/bin/demo");
	assert_string_equal(config->args[0], "--x=");
	assert_string_equal(config->working_dir, "/srv");
	assert_string_equal(config->envs[0]->value, "b=c");
	assert_string_equal(config->mounts[0]->container_path, "/c");
	assert_true(config->mounts[0]->readonly);
	assert_int_equal(config->mounts[0]->propagation,
			 RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL);
	assert_string_equal(config->log_path, "app/0.log");
	assert_true(config->tty);
	assert_false(config->stdin_open);
	check_linux(config->linux_config);
	protobuf_c_message_free_unpacked(&req->base, NULL);
}

static void a_stop_carries_its_grace(void **state)
{
	Runtime__V1__StopContainerRequest *req;
	struct stage *s = *state;

	assert_int_equal(rt_stop(s->rig, "c1", 7, 500), ERR_OK);
	req = (void *)protobuf_c_message_unpack(&runtime__v1__stop_container_request__descriptor,
						NULL, s->request_len, s->request);
	assert_string_equal(req->container_id, "c1");
	assert_int_equal(req->timeout, 7);
	protobuf_c_message_free_unpacked(&req->base, NULL);
}

/* NS-067: a frozen container would not hear it. */
static void a_stop_thaws_first(void **state)
{
	struct stage *s = *state;

	assert_int_equal(rt_stop(s->rig, "c1", 7, 500), ERR_OK);
	assert_int_equal(s->asked_count, 2);
	assert_string_equal(s->asked[0], "Resume");
	assert_string_equal(s->asked[1], "StopContainer");
	assert_non_null(strstr(h2_server_headers(s->server), "StopContainer"));
}

static void can_task(struct stage *s, Containerd__Services__Tasks__V1__TaskStatus status)
{
	Containerd__Services__Tasks__V1__GetTaskResponse got =
		CONTAINERD__SERVICES__TASKS__V1__GET_TASK_RESPONSE__INIT;
	Containerd__Services__Tasks__V1__ListTasksResponse listed =
		CONTAINERD__SERVICES__TASKS__V1__LIST_TASKS_RESPONSE__INIT;
	Containerd__Services__Tasks__V1__TaskProcess task =
		CONTAINERD__SERVICES__TASKS__V1__TASK_PROCESS__INIT;
	Containerd__Services__Tasks__V1__TaskProcess *all[] = { &task };

	task.id = (char *)"c1";
	task.status = status;
	got.process = &task;
	listed.tasks = all;
	listed.n_tasks = 1;
	can(s, "Get", &got.base);
	can(s, "List", &listed.base);
}

static enum err_code set_paused(struct stage *s, bool paused)
{
	struct rt_answer *a = &s->rig->answer;

	memset(a, 0, sizeof(*a));
	if (paused)
		runtime_pause_container(s->rig->rt, "c1", deadline_in_ms(500), rt_done, a);
	else
		runtime_unpause_container(s->rig->rt, "c1", deadline_in_ms(500), rt_done, a);
	rt_wait(s->rig, a, 20000);
	return a->err.code;
}

static size_t list_paused(struct stage *s)
{
	struct rt_answer *a = &s->rig->answer;

	memset(a, 0, sizeof(*a));
	runtime_list_paused(s->rig->rt, deadline_in_ms(500), rt_containers, a);
	rt_wait(s->rig, a, 20000);
	return a->item_count;
}

/* NS-065 */
static void pausing_is_containerds_task_service(void **state)
{
	struct stage *s = *state;

	assert_int_equal(set_paused(s, true), ERR_OK);
	assert_string_equal(h2_server_path(s->server), "/containerd.services.tasks.v1.Tasks/Pause");
	assert_int_equal(set_paused(s, false), ERR_OK);
	assert_string_equal(s->asked[1], "Resume");
}

/* NS-066: what the task is decides, not the complaint. */
static void pausing_a_paused_one_is_success(void **state)
{
	static const enum h2_act plan[] = { H2_ERROR, H2_ANSWER };
	struct stage *s = *state;

	can_task(s, CONTAINERD__SERVICES__TASKS__V1__TASK_STATUS__TASK_PAUSED);
	h2_server_error_text(s->server, "cannot pause a paused container");
	h2_server_plan(s->server, plan, 2);
	assert_int_equal(set_paused(s, true), ERR_OK);
	h2_server_plan(s->server, plan, 2);
	assert_int_equal(set_paused(s, false), ERR_UNKNOWN);
}

static void what_does_not_run_cannot_be_paused(void **state)
{
	static const enum h2_act plan[] = { H2_ERROR, H2_ANSWER };
	struct stage *s = *state;

	can_task(s, CONTAINERD__SERVICES__TASKS__V1__TASK_STATUS__TASK_STOPPED);
	h2_server_error_text(s->server, "no");
	h2_server_plan(s->server, plan, 2);
	assert_int_equal(set_paused(s, true), ERR_FAILED_PRECONDITION);
	assert_string_equal(s->rig->answer.err.reason, "CONTAINER_NOT_RUNNING");
}

/* NS-065: CRI-O has no such service. */
static void a_runtime_that_cannot_pause_says_so(void **state)
{
	static const enum h2_act plan[] = { H2_UNIMPLEMENTED };
	struct stage *s = *state;

	h2_server_plan(s->server, plan, 1);
	assert_int_equal(set_paused(s, true), ERR_UNIMPLEMENTED);
	assert_string_equal(s->rig->answer.err.reason, "PAUSE_UNSUPPORTED");
}

/* NS-058 */
static void paused_ones_are_found(void **state)
{
	struct stage *s = *state;

	can_task(s, CONTAINERD__SERVICES__TASKS__V1__TASK_STATUS__TASK_PAUSED);
	assert_int_equal(list_paused(s), 1);
	assert_string_equal(s->rig->answer.items[0].id, "c1");
	assert_int_equal(s->rig->answer.items[0].state, RUNTIME_PAUSED);
}

static void running_ones_are_not_paused(void **state)
{
	struct stage *s = *state;

	can_task(s, CONTAINERD__SERVICES__TASKS__V1__TASK_STATUS__TASK_RUNNING);
	assert_int_equal(list_paused(s), 0);
	assert_int_equal(s->rig->answer.err.code, ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(info_is_version_and_status),
		TEST(a_runtime_that_says_nothing_is_not_ready),
		TEST(containers_come_newest_first_and_whole),
		TEST(lists_of_a_pod_are_asked_by_its_label),
		TEST(a_sandbox_tells_its_address),
		TEST(answers_without_their_contents_are_errors),
		TEST(bytes_that_are_no_message_are_data_loss),
		TEST(a_list_of_nothings_is_refused_before_it_is_huge),
		TEST(not_found_by_code_means_absent),
		TEST(unknown_with_words_about_the_id_means_absent),
		TEST(other_things_not_found_are_not_the_container),
		TEST(a_running_container_is_not_removed),
		TEST(a_left_over_task_is_ended_and_the_removal_repeated),
		TEST(a_task_that_stays_is_told_and_not_asked_for_ever),
		TEST(an_exited_container_is_removed),
		TEST(a_sandbox_request_is_carried_whole),
		TEST(a_container_request_is_carried_whole),
		TEST(a_stop_carries_its_grace),
		TEST(a_stop_thaws_first),
		TEST(pausing_is_containerds_task_service),
		TEST(pausing_a_paused_one_is_success),
		TEST(what_does_not_run_cannot_be_paused),
		TEST(a_runtime_that_cannot_pause_says_so),
		TEST(paused_ones_are_found),
		TEST(running_ones_are_not_paused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
