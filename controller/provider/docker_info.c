/* What docker says of itself and its host (CN-238). */
#include "controller/provider/docker_parse.h"
#include "controller/provider/oci_parse.h"

#include <stdio.h>
#include <string.h>

static void copy(char *ret, size_t size, struct json_object *object, const char *key)
{
	snprintf(ret, size, "%s", oci_json_text(object, key));
}

/* "name=rootless", "name=seccomp,profile=default" ... */
static bool has_option(struct json_object *options, const char *name)
{
	for (size_t i = 0; i < oci_json_count(options); i++) {
		struct json_object *option = json_object_array_get_idx(options, i);
		const char *text = json_object_is_type(option, json_type_string)
					   ? json_object_get_string(option)
					   : "";
		size_t len = strlen(name);

		if (strncmp(text, "name=", 5) == 0 && strncmp(text + 5, name, len) == 0 &&
		    (!text[5 + len] || text[5 + len] == ','))
			return true;
	}
	return false;
}

/* docker names the limits and not the controllers. */
static void name_controllers(struct engine_info *info, struct json_object *json)
{
	snprintf(info->controllers, sizeof(info->controllers), "%s%s%s%s",
		 info->cpu_limit ? "cpu " : "", oci_json_bool(json, "CPUSet") ? "cpuset " : "",
		 info->memory_limit ? "memory " : "",
		 oci_json_bool(json, "PidsLimit") ? "pids " : "");
}

/* [["Backing Filesystem", "extfs"], ...] */
static void find_backing_fs(struct engine_info *info, struct json_object *status)
{
	for (size_t i = 0; i < oci_json_count(status); i++) {
		struct json_object *pair = json_object_array_get_idx(status, i);
		struct json_object *key, *value;

		if (oci_json_count(pair) != 2)
			continue;
		key = json_object_array_get_idx(pair, 0);
		value = json_object_array_get_idx(pair, 1);
		if (json_object_is_type(key, json_type_string) &&
		    json_object_is_type(value, json_type_string) &&
		    strcmp(json_object_get_string(key), "Backing Filesystem") == 0)
			snprintf(info->backing_fs, sizeof(info->backing_fs), "%s",
				 json_object_get_string(value));
	}
}

static void fill(struct engine_info *info, struct json_object *json)
{
	struct json_object *options = oci_json_member(json, "SecurityOptions");
	const char *cgroup = oci_json_text(json, "CgroupVersion");

	copy(info->version, sizeof(info->version), json, "ServerVersion");
	copy(info->runtime, sizeof(info->runtime), json, "DefaultRuntime");
	copy(info->storage, sizeof(info->storage), json, "DockerRootDir");
	copy(info->driver, sizeof(info->driver), json, "Driver");
	copy(info->os_type, sizeof(info->os_type), json, "OSType");
	if (*cgroup)
		snprintf(info->cgroup, sizeof(info->cgroup), "v%s", cgroup);
	find_backing_fs(info, oci_json_member(json, "DriverStatus"));
	info->rootless = has_option(options, "rootless");
	info->userns_remap = has_option(options, "userns");
	info->cpus = (int)oci_json_number(json, "NCPU");
	info->memory_bytes = oci_json_number(json, "MemTotal");
	info->memory_limit = oci_json_bool(json, "MemoryLimit");
	info->swap_limit = oci_json_bool(json, "SwapLimit");
	info->cpu_limit = oci_json_bool(json, "CpuCfsPeriod") && oci_json_bool(json, "CpuCfsQuota");
	/* Its containers live in a machine of its own. */
	info->remote = strcmp(oci_json_text(json, "OperatingSystem"), "Docker Desktop") == 0;
	name_controllers(info, json);
}

/* A docker before 23 succeeds at telling that it did not get through. */
static int check_answer(struct json_object *json, struct err *err)
{
	struct json_object *errors = oci_json_member(json, "ServerErrors"), *first;

	if (oci_json_count(errors)) {
		first = json_object_array_get_idx(errors, 0);
		return oci_error("docker", json_object_get_string(first), 0, err);
	}
	if (*oci_json_text(json, "ServerVersion"))
		return 0;
	if (oci_json_member(json, "host")) {
		err_set(err, ERR_UNAVAILABLE, 0, "the program 'docker' here is podman");
		return err_explain(err, "ENGINE_IS_PODMAN", "use --provider=podman");
	}
	return oci_garbled("it names no version", err);
}

int docker_parse_info(const char *text, size_t len, struct engine_info *ret, char *ret_context,
		      size_t context_size, struct err *err)
{
	struct engine_info info = { 0 };
	struct json_object *json;
	int rc;

	if (oci_json_parse(text, len, json_type_object, &json, err) < 0)
		return -1;
	rc = check_answer(json, err);
	if (rc == 0) {
		fill(&info, json);
		copy(ret_context, context_size, oci_json_member(json, "ClientInfo"), "Context");
		*ret = info;
	}
	json_object_put(json);
	return rc;
}

int docker_parse_context(const char *text, size_t len, char *ret_url, size_t size, struct err *err)
{
	struct json_object *json, *endpoints;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	endpoints = oci_json_count(json)
			    ? oci_json_member(json_object_array_get_idx(json, 0), "Endpoints")
			    : NULL;
	copy(ret_url, size, oci_json_member(endpoints, "docker"), "Host");
	json_object_put(json);
	return 0;
}
