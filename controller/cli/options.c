#include "controller/cli/options.h"

#include "controller/cli/signals.h"
#include "controller/cli/suggest.h"
#include "shared/base/parse.h"

#include <stdio.h>
#include <string.h>

static const char output_choices[] = "table wide json yaml name";

const struct option_spec global_options[] = {
	{ .name = "name",
	  .value = "CLUSTER",
	  .type = OPTION_TEXT,
	  OPTION_AT(name),
	  .help = "cluster (default: $BERTH_CLUSTER, else berth)" },
	{ .name = "provider",
	  .value = "P",
	  .type = OPTION_TEXT,
	  OPTION_AT(provider),
	  .help = "podman, docker or fake (default: $BERTH_PROVIDER, else the first "
		  "that is installed)" },
	{ .name = "output",
	  .letter = 'o',
	  .value = "FORMAT",
	  .type = OPTION_CHOICE,
	  OPTION_AT(output),
	  .choices = output_choices,
	  .help = "table, wide, json, yaml or name (default: table)" },
	{ .name = "progress",
	  .value = "MODE",
	  .type = OPTION_CHOICE,
	  OPTION_AT(progress),
	  .choices = "auto plain json none",
	  .help = "auto, plain, json or none (default: auto: steps on a terminal, else plain)" },
	{ .name = "channel",
	  .value = "WAY",
	  .type = OPTION_CHOICE,
	  OPTION_AT(channel),
	  .choices = "auto ipc tls relay",
	  .help = "way to the agents: auto, ipc, tls or relay (default: $BERTH_CHANNEL, else auto: "
		  "the "
		  "node's socket, or TLS or the engine's exec where this host does not have it)" },
	{ .name = "timeout",
	  .value = "DUR",
	  .type = OPTION_DURATION,
	  OPTION_AT(timeout_ms),
	  .min = 1,
	  .max = INT64_MAX,
	  .help = "deadline of the whole command: 90s, 2m" },
	{ .name = "state-dir",
	  .value = "DIR",
	  .type = OPTION_TEXT,
	  OPTION_AT(state_dir),
	  .help = "state directory (default: $BERTH_STATE_DIR, else /var/lib/berth for root, "
		  "$XDG_STATE_HOME/berth)" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = OPTION_SWITCH,
	  OPTION_AT(quiet),
	  .help = "no progress, no notes: only results and errors" },
	{ .name = "verbose",
	  .letter = 'v',
	  .type = OPTION_COUNT,
	  OPTION_AT(verbose),
	  .help = "say what is done; -vv shows every engine command" },
	{ .name = "help",
	  .letter = 'h',
	  .type = OPTION_SWITCH,
	  OPTION_AT(help),
	  .help = "help on the command" },
	{ 0 },
};

void options_init(struct options *opt)
{
	*opt = (struct options){
		.timeout_ms = -1,
		.wait_ms = -1,
		.grace_ms = -1,
		.workers = -1,
		.control_planes = -1,
		.ip_family = -1,
		.signal = -1,
		.tail = -1,
		.since_ms = -1,
		.wait_gone = true,
	};
}

void options_release(struct options *opt)
{
	strv_release(&opt->nodes);
	strv_release(&opt->namespaces);
	strv_release(&opt->files);
	strv_release(&opt->packages);
	strv_release(&opt->preloads);
	strv_release(&opt->env);
	strv_release(&opt->units);
	strv_release(&opt->labels);
	strv_release(&opt->mounts);
	strv_release(&opt->publish);
	strv_release(&opt->dns_search);
}

const char *output_format_name(enum output_format format)
{
	static const char *const names[] = { "table", "wide", "json", "yaml", "name" };

	return names[format];
}

bool option_is_flag(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

static bool takes_value(const struct option_spec *spec)
{
	return spec->type != OPTION_SWITCH && spec->type != OPTION_COUNT;
}

static const struct option_spec *find_long(const struct option_spec *specs, const char *name,
					   size_t len)
{
	for (; specs && specs->name; specs++) {
		if (strlen(specs->name) == len && memcmp(specs->name, name, len) == 0)
			return specs;
	}
	return NULL;
}

static const struct option_spec *find_letter(const struct option_spec *specs, char letter)
{
	for (; specs && specs->name; specs++) {
		if (specs->letter == letter)
			return specs;
	}
	return NULL;
}

const struct option_spec *option_find(const struct option_spec *first, const char *word,
				      bool *ret_alone)
{
	const struct option_spec *spec;
	size_t len;

	if (word[1] == '-') {
		len = strcspn(word + 2, "=");
		spec = find_long(first, word + 2, len);
		if (!spec)
			spec = find_long(global_options, word + 2, len);
		if (spec && ret_alone)
			*ret_alone = takes_value(spec) && word[2 + len] == '\0';
		return spec;
	}
	/* The first letter with a value ends a cluster such as -vvN. */
	for (const char *p = word + 1; *p; p++) {
		spec = find_letter(first, *p);
		if (!spec)
			spec = find_letter(global_options, *p);
		if (!spec)
			return NULL;
		if (ret_alone)
			*ret_alone = takes_value(spec) && p[1] == '\0';
		if (takes_value(spec) || !p[1])
			return spec;
	}
	return NULL;
}

static int unknown_flag(const char *command, const struct option_spec *first, const char *word,
			struct err *err)
{
	struct suggest suggest;
	bool is_long = word[1] == '-';
	int len = is_long ? (int)strcspn(word, "=") : (int)strlen(word);

	err_set(err, ERR_INVALID_ARGUMENT, 0, "%s%s%s has no flag %.*s", *command ? "'" : "",
		*command ? command : "berth", *command ? "'" : "", len, word);
	suggest_init(&suggest, word + 2, is_long ? (size_t)len - 2 : 0);
	for (const struct option_spec *spec = first; is_long && spec && spec->name; spec++)
		suggest_try(&suggest, spec->name);
	for (const struct option_spec *spec = global_options; is_long && spec->name; spec++)
		suggest_try(&suggest, spec->name);
	suggest_advise(&suggest, "--", err);
	return err_explain(err, "UNKNOWN_FLAG", NULL);
}

static int bad_value(const struct option_spec *spec, const char *value, const char *wanted,
		     struct err *err)
{
	err_set(err, ERR_INVALID_ARGUMENT, 0, "--%s: '%s' is not %s", spec->name, value, wanted);
	return err_explain(err, "BAD_VALUE", NULL);
}

static int set_duration(const struct option_spec *spec, const char *value, int64_t *field,
			struct err *err)
{
	int64_t ms;

	if (!parse_duration_ms(value, &ms))
		return bad_value(spec, value, "a duration such as 90s or 2m", err);
	if (ms < spec->min)
		return bad_value(spec, value, "more than 0", err);
	if (spec->max && ms > spec->max)
		return bad_value(spec, value, "a day or less", err);
	*field = ms;
	return 0;
}

static int set_number(const struct option_spec *spec, const char *value, int64_t *field,
		      struct err *err)
{
	char wanted[80];

	if (parse_int(value, spec->min, spec->max, field))
		return 0;
	if (spec->max >= INT64_MAX / 2)
		snprintf(wanted, sizeof(wanted), "a number from %lld on", (long long)spec->min);
	else
		snprintf(wanted, sizeof(wanted), "a number from %lld to %lld", (long long)spec->min,
			 (long long)spec->max);
	return bad_value(spec, value, wanted, err);
}

static int set_choice(const struct option_spec *spec, const char *value, int *field,
		      struct err *err)
{
	struct suggest suggest;
	const char *p = spec->choices;
	size_t len = strlen(value);
	char choice[16];

	suggest_init(&suggest, value, len);
	for (int i = 0; *p; i++) {
		size_t n = strcspn(p, " ");

		if (n == len && memcmp(p, value, n) == 0) {
			*field = i;
			return 0;
		}
		snprintf(choice, sizeof(choice), "%.*s", (int)n, p);
		suggest_try(&suggest, choice);
		p += n + (p[n] == ' ');
	}
	err_set(err, ERR_INVALID_ARGUMENT, 0, "--%s: '%s' is not one of: %s", spec->name, value,
		spec->choices);
	suggest_advise(&suggest, "", err);
	return err_explain(err, "BAD_VALUE", NULL);
}

static int set_switch(const struct option_spec *spec, const char *value, bool *field,
		      struct err *err)
{
	if (!value || strcmp(value, "true") == 0)
		*field = true;
	else if (strcmp(value, "false") == 0)
		*field = false;
	else
		return bad_value(spec, value, "true or false", err);
	return 0;
}

static int add_list(const struct option_spec *spec, const char *value, struct strv *field,
		    struct err *err)
{
	for (;;) {
		size_t n = strcspn(value, ",");

		if (n == 0)
			return bad_value(spec, value, "a name", err);
		strv_addf(field, "%.*s", (int)n, value);
		if (!value[n])
			break;
		value += n + 1;
	}
	return strv_failed(field) ? err_oom(err) : 0;
}

static int set_value(const struct option_spec *spec, const char *value, struct options *opt,
		     struct err *err)
{
	void *field = (char *)opt + spec->offset;

	if (takes_value(spec) && !*value)
		return bad_value(spec, value, "a value", err);
	switch (spec->type) {
	case OPTION_SWITCH:
		return set_switch(spec, value, field, err);
	case OPTION_COUNT:
		if (value)
			return bad_value(spec, value, "expected here: repeat the flag instead",
					 err);
		++*(int *)field;
		return 0;
	case OPTION_TEXT:
		*(const char **)field = value;
		return 0;
	case OPTION_LIST:
		return add_list(spec, value, field, err);
	case OPTION_REPEAT:
		strv_add(field, value);
		return strv_failed(field) ? err_oom(err) : 0;
	case OPTION_DURATION:
		return set_duration(spec, value, field, err);
	case OPTION_NUMBER:
		return set_number(spec, value, field, err);
	case OPTION_CHOICE:
		return set_choice(spec, value, field, err);
	case OPTION_SIGNAL_NO:
		if (signal_parse(value, field))
			return 0;
		return bad_value(spec, value, "a signal such as TERM or 15", err);
	}
	return err_set(err, ERR_INTERNAL, 0, "--%s has no type", spec->name);
}

static int parse_long(const char *command, const struct option_spec *first, int argc, char **argv,
		      int *index, struct options *opt, struct err *err)
{
	const char *word = argv[*index];
	const char *value = strchr(word, '=');
	const struct option_spec *spec;
	bool alone = false;

	spec = option_find(first, word, &alone);
	if (!spec)
		return unknown_flag(command, first, word, err);
	++*index;
	if (value)
		return set_value(spec, value + 1, opt, err);
	if (!alone)
		return set_value(spec, NULL, opt, err);
	if (*index >= argc) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "--%s needs a value: --%s %s", spec->name,
			spec->name, spec->value);
		return err_explain(err, "BAD_VALUE", NULL);
	}
	return set_value(spec, argv[(*index)++], opt, err);
}

static int parse_letters(const char *command, const struct option_spec *first, int argc,
			 char **argv, int *index, struct options *opt, struct err *err)
{
	const char *word = argv[*index];

	++*index;
	for (const char *p = word + 1; *p; p++) {
		const struct option_spec *spec = find_letter(first, *p);

		if (!spec)
			spec = find_letter(global_options, *p);
		if (!spec)
			return unknown_flag(command, first, (const char[]){ '-', *p, '\0' }, err);
		if (!takes_value(spec)) {
			if (set_value(spec, NULL, opt, err) < 0)
				return -1;
			continue;
		}
		if (p[1])
			return set_value(spec, p + 1 + (p[1] == '='), opt, err);
		if (*index < argc)
			return set_value(spec, argv[(*index)++], opt, err);
		err_set(err, ERR_INVALID_ARGUMENT, 0, "-%c needs a value: -%c %s", *p, *p,
			spec->value);
		return err_explain(err, "BAD_VALUE", NULL);
	}
	return 0;
}

int option_parse(const char *command, const struct option_spec *first, int argc, char **argv,
		 int *index, struct options *opt, struct err *err)
{
	if (argv[*index][1] == '-')
		return parse_long(command, first, argc, argv, index, opt, err);
	return parse_letters(command, first, argc, argv, index, opt, err);
}
