#include "controller/cli/command.h"

#include <string.h>

/* One row a line: additions of different people meet less often. */
/* clang-format off */
const struct command *const command_table[] = {
	&cmd_cluster_create,
	&cmd_node_create,
	&cmd_cluster_delete,
	&cmd_node_delete,
	&cmd_cluster_start,
	&cmd_node_start,
	&cmd_cluster_stop,
	&cmd_node_stop,
	&cmd_cluster_restart,
	&cmd_node_restart,
	&cmd_cluster_kill,
	&cmd_node_kill,
	&cmd_cluster_get,
	&cmd_node_get,
	&cmd_container_get,
	&cmd_pod_get,
	&cmd_unit_get,
	&cmd_cert_get,
	&cmd_cert_renew,
	&cmd_status,
	&cmd_health,
	&cmd_unit_start,
	&cmd_unit_stop,
	&cmd_unit_restart,
	&cmd_unit_kill,
	&cmd_container_stop,
	&cmd_container_kill,
	&cmd_container_delete,
	&cmd_quiesce,
	&cmd_exec,
	&cmd_attach,
	&cmd_apply,
	&cmd_pod_delete,
	&cmd_file_delete,
	&cmd_pod_plan,
	&cmd_cp,
	&cmd_port_forward,
	&cmd_image_get,
	&cmd_image_load,
	&cmd_archive_load,
	&cmd_image_build,
	&cmd_doctor,
	&cmd_version,
	&cmd_help,
	NULL,
};
/* clang-format on */

const char *noun_singular(const char *word)
{
	/* clang-format off */
	static const char *const nouns[][4] = {
		{ "cluster", "clusters" },
		{ "node", "nodes", "no" },
		{ "container", "containers" },
		{ "pod", "pods", "po" },
		{ "unit", "units" },
		{ "image", "images" },
		{ "archive", "archives" },
		{ "cert", "certs" },
		{ "node-image" },
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++) {
		for (size_t j = 0; j < 4 && nouns[i][j]; j++) {
			if (strcmp(nouns[i][j], word) == 0)
				return nouns[i][0];
		}
	}
	return NULL;
}

bool command_has_verb(const struct command *command, const char *verb)
{
	size_t len = strlen(verb);

	return strncmp(command->name, verb, len) == 0 &&
	       (command->name[len] == ' ' || command->name[len] == '\0');
}

const char *command_noun(const struct command *command)
{
	const char *space = strchr(command->name, ' ');

	return space ? noun_singular(space + 1) : NULL;
}

const struct command *command_find(const char *verb, const char *noun)
{
	for (size_t i = 0; command_table[i]; i++) {
		const char *has = command_noun(command_table[i]);

		if (!command_has_verb(command_table[i], verb))
			continue;
		if ((!noun && !has) || (noun && has && strcmp(noun, has) == 0))
			return command_table[i];
	}
	return NULL;
}
