/* podman's and docker's answers. The first byte chooses the question. */
#include "controller/provider/docker_parse.h"
#include "controller/provider/podman_parse.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static int ask_nodes(unsigned question, const char *text, size_t len, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 };
	cleanup_with(strv) struct strv ids = { 0 }, foreign = { 0 };

	if (question == 0)
		return podman_parse_nodes(text, len, NULL, &list, &foreign, err);
	if (question == 1)
		return docker_parse_nodes(text, len, "c", &list, &foreign, err);
	return docker_parse_list(text, &ids, &foreign, err);
}

static int ask_networks(unsigned question, const char *text, size_t len, struct err *err)
{
	struct network_list list = { 0 };
	cleanup_free char *keep = NULL;
	size_t count;
	int rc;

	if (question == 3)
		rc = podman_parse_networks(text, len, &list, err);
	else if (question == 4)
		rc = docker_parse_networks(text, len, &list, err);
	else
		return docker_parse_twins(text, len, "c", &keep, &count, err);
	network_list_release(&list);
	return rc;
}

/* Of nodes that are known already. */
static int ask_more(unsigned question, const char *text, size_t len, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 };
	cleanup_with(strv) struct strv ids = { 0 };
	char url[256] = "";
	int rc = 0;

	if (question == 9) {
		PROMISE(node_list_add(&list, node_new("c-a", "c", NODE_WORKER, "podman", "/r"),
				      err) == 0);
		rc = podman_parse_addresses(text, len, &list, err);
	} else if (question == 10) {
		rc = podman_parse_connection(text, len, "a", url, sizeof(url), err);
		PROMISE(strlen(url) < sizeof(url));
	} else {
		docker_parse_ids(text, &ids);
	}
	return rc;
}

static int ask_info(unsigned question, const char *text, size_t len, struct err *err)
{
	struct engine_info info;
	char url[256];

	if (question == 6)
		return podman_parse_info(text, len, &info, err);
	if (question == 7)
		return docker_parse_info(text, len, &info, url, sizeof(url), err);
	return docker_parse_context(text, len, url, sizeof(url), err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	unsigned question = len ? bytes[0] % 12 : 0;
	struct err err = { 0 };
	char *text;
	int rc;

	if (len == 0)
		return 0;
	text = strndup((const char *)bytes + 1, len - 1);
	len = strlen(text);
	if (question < 3)
		rc = ask_nodes(question, text, len, &err);
	else if (question < 6)
		rc = ask_networks(question, text, len, &err);
	else if (question < 9)
		rc = ask_info(question, text, len, &err);
	else
		rc = ask_more(question, text, len, &err);
	PROMISE(rc == 0 || (err.code != ERR_OK && err.msg[0]));
	free(text);
	return 0;
}
