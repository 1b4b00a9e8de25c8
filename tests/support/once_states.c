/* Cases of calls that change units, containers, pods, processes, or the node as a whole. */
#include "tests/support/once_cases.h"

#include "node/v1/balancer.pb-c.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/images.pb-c.h"
#include "node/v1/lifecycle.pb-c.h"
#include "node/v1/pods.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* --- Units ---------------------------------------------------------------------------------------- */

/* The method as the fakes' logs have it. */
static const char *verb_of(const struct once_case *c)
{
	static char verb[32];

	snprintf(verb, sizeof(verb), "%s", c->method);
	verb[0] |= 0x20;
	return verb;
}

/* Each of the four has a unit of its own, whose lines of that verb are counted. */
static unsigned unit_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *const words[] = { verb_of(c), c->word, NULL };

	(void)round;
	return once_lines(rig->units_log, words);
}

static void unit_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;

	(void)round;
	req.name = (char *)c->word;
	once_request(rig, &req.base);
}

static void unit_kill_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__UnitKillRequest req = BERTH__NODE__V1__UNIT_KILL_REQUEST__INIT;

	(void)round;
	req.name = (char *)c->word;
	req.signal = SIGKILL;
	once_request(rig, &req.base);
}

/* Also before a round: the call has something to do then. */
static void unit_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	const char *opposite = strcmp(c->method, "Start") == 0 ? "Stop" : "Start";

	(void)round;
	req.name = (char *)c->word;
	frames_free(once_call(rig, "Units", opposite, &req.base));
}

/* --- Containers and Images ------------------------------------------------------------------------ */

static const char *effects(const struct once_rig *rig)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/effects", rig->agent->runtime_dir);
	return path;
}

static unsigned effect_count(struct once_rig *rig, const char *verb, const char *what)
{
	const char *const words[] = { verb, what, NULL };

	return once_lines(effects(rig), words);
}

/* A running container, and alone in its pod, of the name "WORD-ROUND" that only the test has made. */
void once_make_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *id = once_tag(c->word, round);

	once_note(
		effects(rig),
		"create-container u-%s main 0 %s 77 s-%s img:1 l:io.kubernetes.container.name=main "
		"l:io.kubernetes.pod.namespace=other l:io.kubernetes.pod.name=%s "
		"l:io.kubernetes.pod.uid=u-%s",
		id, id, id, id, id);
	once_note(effects(rig), "start %s 78", id);
}

static void make_paused(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_make_container(rig, c, round);
	once_note(effects(rig), "pause %s 79", once_tag(c->word, round));
}

static void start_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "start %s 80", once_tag(c->word, round));
}

static void pause_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "pause %s 81", once_tag(c->word, round));
}

static void unpause_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "unpause %s 82", once_tag(c->word, round));
}

static void container_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	char *id = once_tag(c->word, round);

	req.ids = &id;
	req.n_ids = 1;
	req.grace_seconds = 1;
	req.force = true;
	once_request(rig, &req.base);
}

/* A kill is a stop without grace. */
static unsigned container_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *verb = verb_of(c);

	if (strcmp(verb, "kill") == 0 || strcmp(verb, "quiesce") == 0)
		verb = "stop";
	else if (strcmp(verb, "delete") == 0)
		verb = "remove";
	return effect_count(rig, verb, once_tag(c->word, round)) -
	       /* the test's own, by which it undid or prepared */
	       (strcmp(verb, "pause") == 0 ? effect_count(rig, "81", once_tag(c->word, round))
					   : 0) -
	       (strcmp(verb, "unpause") == 0 ? effect_count(rig, "82", once_tag(c->word, round))
					     : 0);
}

static void pull_image(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "pull %s 1", once_tag(c->word, round));
}

static void image_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ImageRemoveRequest req = BERTH__NODE__V1__IMAGE_REMOVE_REQUEST__INIT;

	req.image = once_tag(c->word, round);
	once_request(rig, &req.base);
}

static unsigned image_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return effect_count(rig, "remove-image", once_tag(c->word, round));
}

/* --- Pods ----------------------------------------------------------------------------------------- */

static Berth__Node__V1__PodApplyRequest *pod_of(const struct once_case *c, unsigned round)
{
	static Berth__Node__V1__PodApplyRequest req = BERTH__NODE__V1__POD_APPLY_REQUEST__INIT;
	static K8s__Core__V1__Pod pod = K8S__CORE__V1__POD__INIT;
	static K8s__Core__V1__ObjectMeta meta = K8S__CORE__V1__OBJECT_META__INIT;
	static K8s__Core__V1__PodSpec spec = K8S__CORE__V1__POD_SPEC__INIT;
	static K8s__Core__V1__Container container = K8S__CORE__V1__CONTAINER__INIT;
	static K8s__Core__V1__Container *containers[] = { &container };

	meta.name = once_tag(c->word, round);
	container.name = (char *)"main";
	container.image = (char *)"img:1";
	spec.n_containers = 1;
	spec.containers = containers;
	pod.metadata = &meta;
	pod.spec = &spec;
	req.pod = &pod;
	return &req;
}

static void wait_pod(struct once_rig *rig, const struct once_case *c, unsigned round, bool gone)
{
	Berth__Node__V1__PodWaitRequest req = BERTH__NODE__V1__POD_WAIT_REQUEST__INIT;

	req.namespace_ = (char *)"default";
	req.name = once_tag(c->word, round);
	req.gone = gone;
	frames_free(once_call(rig, "Pods", "Wait", &req.base));
}

static void apply_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_request(rig, &pod_of(c, round)->base);
}

static unsigned apply_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return effect_count(rig, "run-sandbox", once_tag(c->word, round));
}

static void delete_pod(const struct once_case *c, unsigned round,
		       Berth__Node__V1__PodDeleteRequest *ret)
{
	berth__node__v1__pod_delete_request__init(ret);
	ret->namespace_ = (char *)"default";
	ret->name = once_tag(c->word, round);
	ret->grace_seconds = -1;
}

static void apply_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__PodDeleteRequest req;

	delete_pod(c, round, &req);
	frames_free(once_call(rig, "Pods", "Delete", &req.base));
	wait_pod(rig, c, round, true);
}

static void delete_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__PodDeleteRequest req;

	delete_pod(c, round, &req);
	once_request(rig, &req.base);
}

/* Also before: a pod of that name runs. */
static void delete_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	wait_pod(rig, c, round, true);
	frames_free(once_call(rig, "Pods", "Apply", &pod_of(c, round)->base));
	wait_pod(rig, c, round, false);
}

/* Sandboxes of that name that were removed. */
static unsigned delete_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *want = once_tag(c->word, round);
	char line[2048], id[80], name[80];
	FILE *f = fopen(effects(rig), "re");
	unsigned count = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "run-sandbox %*s %*s %79s %*s %79s", id, name) == 2 &&
		    strcmp(name, want) == 0)
			count += effect_count(rig, "remove-sandbox", id);
	}
	if (f)
		fclose(f);
	return count;
}

/* --- Processes ------------------------------------------------------------------------------------ */

static pid_t victim, server;

/* Starts one and shows it to the agent. */
static pid_t start_counter(struct once_rig *rig, const char *name)
{
	char *argv[] = { (char *)once_self(), (char *)"count", rig->log, (char *)name, NULL };
	char from[64], to[128];
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, once_self(), NULL, NULL, argv, environ), 0);
	once_wait_line(rig->log, name, "ready");
	snprintf(from, sizeof(from), "/proc/%d", (int)pid);
	snprintf(to, sizeof(to), "%s/%d", rig->proc, (int)pid);
	assert_int_equal(symlink(from, to), 0);
	return pid;
}

static void end_counter(struct once_rig *rig, pid_t *pid)
{
	char path[128];

	if (*pid <= 0)
		return;
	snprintf(path, sizeof(path), "%s/%d", rig->proc, (int)*pid);
	unlink(path);
	kill(*pid, SIGKILL);
	assert_int_equal(waitpid(*pid, NULL, 0), *pid);
	*pid = 0;
}

static void victim_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	end_counter(rig, &victim);
	victim = start_counter(rig, once_tag(c->word, round));
}

static void victim_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ProcessKillRequest req = BERTH__NODE__V1__PROCESS_KILL_REQUEST__INIT;

	(void)c;
	(void)round;
	req.pid = (uint32_t)victim;
	req.signal = 40;
	once_request(rig, &req.base);
}

static unsigned victim_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return once_noted(rig, once_tag(c->word, round), "40");
}

static void server_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	end_counter(rig, &server);
	server = start_counter(rig, once_tag(c->word, round));
}

static void server_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__KillApiServerRequest req = BERTH__NODE__V1__KILL_API_SERVER_REQUEST__INIT;

	(void)c;
	(void)round;
	req.grace_millis = 20000;
	once_request(rig, &req.base);
}

static char *second_server(const struct once_case *c, unsigned round)
{
	return once_tag(c->word, round + 100);
}

/* Another has been started meanwhile. */
static void server_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	end_counter(rig, &server);
	server = start_counter(rig, second_server(c, round));
}

static unsigned server_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return once_noted(rig, once_tag(c->word, round), "15") +
	       once_noted(rig, second_server(c, round), "15");
}

void once_states_end(struct once_rig *rig)
{
	end_counter(rig, &victim);
	end_counter(rig, &server);
}

/* --- the whole node ------------------------------------------------------------------------------- */

static void set_paused(struct once_rig *rig, const char *method)
{
	Berth__Node__V1__PauseRequest req = BERTH__NODE__V1__PAUSE_REQUEST__INIT;

	frames_free(once_call(rig, "Lifecycle", method, &req.base));
}

static void node_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	if (strcmp(c->method, "Pause") == 0)
		set_paused(rig, "Unpause");
	once_make_container(rig, c, round);
	if (strcmp(c->method, "Unpause") == 0)
		set_paused(rig, "Pause");
}

static void node_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	if (strcmp(c->method, "Quiesce") == 0)
		start_container(rig, c, round);
	else
		set_paused(rig, strcmp(c->method, "Pause") == 0 ? "Unpause" : "Pause");
}

static void pause_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__PauseRequest req = BERTH__NODE__V1__PAUSE_REQUEST__INIT;

	(void)c;
	(void)round;
	once_request(rig, &req.base);
}

static void quiesce_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__QuiesceRequest req = BERTH__NODE__V1__QUIESCE_REQUEST__INIT;

	(void)c;
	(void)round;
	req.grace_seconds = 1;
	once_request(rig, &req.base);
}

static const ProtobufCMessage *balancer_for(unsigned port)
{
	static Berth__Node__V1__BalancerSetRequest req =
		BERTH__NODE__V1__BALANCER_SET_REQUEST__INIT;
	static Berth__Node__V1__BalancerBackend backend = BERTH__NODE__V1__BALANCER_BACKEND__INIT;
	static Berth__Node__V1__BalancerBackend *backends[] = { &backend };

	backend.name = (char *)"cp";
	backend.address = (char *)"10.0.0.2";
	backend.port = 6443;
	req.listen_port = port;
	req.backends = backends;
	req.n_backends = 1;
	return &req.base;
}

#define PORT(round) (7000 + (round))

static void balancer_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	(void)c;
	once_request(rig, balancer_for(PORT(round)));
}

static void balancer_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	(void)c;
	frames_free(once_call(rig, "LoadBalancers", "Set", balancer_for(PORT(round) + 100)));
}

/* A configuration that takes effect has been checked, and the checker has noted its port. */
static unsigned balancer_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	char port[16];

	(void)c;
	snprintf(port, sizeof(port), "%u", PORT(round));
	return once_noted(rig, "checked", port);
}

/* --- the table ------------------------------------------------------------------------------------ */

const struct once_case once_states[] = {
	{ .service = "Units",
	  .method = "Start",
	  .word = "haproxy.service",
	  .prepare = unit_undo,
	  .request = unit_request,
	  .count = unit_count,
	  .undo = unit_undo },
	{ .service = "Units",
	  .method = "Stop",
	  .word = "berthd.service",
	  .prepare = unit_undo,
	  .request = unit_request,
	  .count = unit_count,
	  .undo = unit_undo },
	{ .service = "Units",
	  .method = "Restart",
	  .word = "containerd.service",
	  .request = unit_request,
	  .count = unit_count },
	{ .service = "Units",
	  .method = "Kill",
	  .word = "kubelet.service",
	  .request = unit_kill_request,
	  .count = unit_count },
	{ .service = "Containers",
	  .method = "Stop",
	  .word = "c-stop",
	  .prepare = once_make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = start_container },
	{ .service = "Containers",
	  .method = "Kill",
	  .word = "c-kill",
	  .prepare = once_make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = start_container },
	{ .service = "Containers",
	  .method = "Pause",
	  .word = "c-pause",
	  .prepare = once_make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = unpause_container },
	{ .service = "Containers",
	  .method = "Unpause",
	  .word = "c-unpause",
	  .prepare = make_paused,
	  .request = container_request,
	  .count = container_count,
	  .undo = pause_container },
	{ .service = "Containers",
	  .method = "Delete",
	  .word = "c-delete",
	  .prepare = once_make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = once_make_container },
	{ .service = "Images",
	  .method = "Remove",
	  .word = "img",
	  .prepare = pull_image,
	  .request = image_request,
	  .count = image_count,
	  .undo = pull_image },
	{ .service = "Pods",
	  .method = "Apply",
	  .word = "p-apply",
	  .request = apply_request,
	  .count = apply_count,
	  .undo = apply_undo },
	{ .service = "Pods",
	  .method = "Delete",
	  .word = "p-delete",
	  .prepare = delete_undo,
	  .request = delete_request,
	  .count = delete_count,
	  .undo = delete_undo,
	  .may_miss = true },
	{ .service = "Processes",
	  .method = "Kill",
	  .word = "victim",
	  .prepare = victim_prepare,
	  .request = victim_request,
	  .count = victim_count },
	{ .service = "Processes",
	  .method = "KillApiServer",
	  .word = "api",
	  .prepare = server_prepare,
	  .request = server_request,
	  .count = server_count,
	  .undo = server_undo },
	{ .service = "Lifecycle",
	  .method = "Pause",
	  .house = HOUSE_PAUSE,
	  .word = "n-pause",
	  .prepare = node_prepare,
	  .request = pause_request,
	  .count = container_count,
	  .undo = node_undo },
	{ .service = "Lifecycle",
	  .method = "Unpause",
	  .house = HOUSE_UNPAUSE,
	  .word = "n-unpause",
	  .prepare = node_prepare,
	  .request = pause_request,
	  .count = container_count,
	  .undo = node_undo },
	{ .service = "Lifecycle",
	  .method = "Quiesce",
	  .house = HOUSE_QUIESCE,
	  .word = "n-quiesce",
	  .prepare = node_prepare,
	  .request = quiesce_request,
	  .count = container_count,
	  .undo = node_undo },
	{ .service = "LoadBalancers",
	  .method = "Set",
	  .house = HOUSE_BALANCER,
	  .request = balancer_request,
	  .count = balancer_count,
	  .undo = balancer_undo,
	  .per_life = true },
	{ .service = NULL },
};
