#pragma once
/*
 * Flags: what each may be, as data, and the values a command line gave them. The parser, help and
 * completion all read the same rows (cli.md section 1).
 */
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum output_format { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME };
enum progress_mode { PROGRESS_AUTO, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

/* Every flag's value, of every command. Strings are borrowed from argv. A duration or number that
 * was not given is -1, a text NULL. */
struct options {
	const char *name;
	const char *provider;
	const char *state_dir;
	const char *namespace;
	const char *config;
	const char *image;
	const char *role;
	const char *observed;
	const char *address;
	const char *tag;
	const char *base;
	const char *kubelet;
	const char *container;
	const char *directory;
	const char *user;
	const char *memory;
	const char *cpus;
	const char *gpus;
	const char *subnet;
	const char *static_ip;
	const char *network;
	struct strv nodes;
	struct strv namespaces;
	struct strv files;
	struct strv packages;
	struct strv preloads;
	struct strv env;
	struct strv units;
	int output;   /* enum output_format */
	int progress; /* enum progress_mode */
	int channel;  /* enum node_channel */
	struct strv labels;
	struct strv mounts;
	struct strv publish;
	struct strv dns_search;
	int ip_family; /* enum ip_family; -1: not given */
	int verbose;
	int64_t timeout_ms;
	int64_t wait_ms;
	int64_t grace_ms;
	int64_t workers;
	int64_t control_planes;
	int64_t signal; /* Linux number */
	int64_t tail;   /* lines or events */
	int64_t since_ms;
	bool quiet;
	bool help;
	bool version;
	bool dry_run;
	bool all;
	bool all_namespaces;
	bool agent_tls;
	bool authority;
	bool retain;
	bool allow_default_network;
	bool force;
	bool wait;
	bool wait_gone;
	bool sandboxes;
	bool client;
	bool kernel;
	bool watch;
	bool warnings;
	bool follow;
	bool previous;
	bool timestamps;
	bool input;
	bool tty;
};

enum option_type {
	OPTION_SWITCH,    /* bool; --flag, --flag=true, --flag=false */
	OPTION_COUNT,     /* int; -v -v */
	OPTION_TEXT,      /* const char * */
	OPTION_LIST,      /* struct strv; repeatable, commas separate */
	OPTION_REPEAT,    /* struct strv; repeatable */
	OPTION_DURATION,  /* int64_t milliseconds */
	OPTION_NUMBER,    /* int64_t within [min, max] */
	OPTION_CHOICE,    /* int: index among 'choices' */
	OPTION_SIGNAL_NO, /* int64_t: "TERM", "SIGTERM", "15" */
};

struct option_spec {
	const char *name;  /* without the dashes; NULL ends an array */
	char letter;       /* 0: none */
	const char *value; /* how help calls it: "DUR"; NULL for switches */
	const char *help;
	enum option_type type;
	size_t offset; /* in struct options */
	int64_t min;
	int64_t max;
	const char *choices; /* blank-separated */
};

#define OPTION_AT(field) .offset = offsetof(struct options, field)

/* Flags that several commands share. */
#define OPTION_ROW_NODE                                                                            \
	{                                                                                          \
		.name = "node", .letter = 'N', .value = "NODE", .type = OPTION_LIST,               \
		OPTION_AT(nodes),                                                                  \
		.help = "node to act on, with or without the cluster's prefix; repeatable, globs " \
			"allowed"                                                                  \
	}
#define OPTION_ROW_NAMESPACE                                                            \
	{                                                                               \
		.name = "namespace", .letter = 'n', .value = "NS", .type = OPTION_TEXT, \
		OPTION_AT(namespace), .help = "pod namespace (default: default)"        \
	}
#define OPTION_ROW_ALL_NAMESPACES                                               \
	{                                                                       \
		.name = "all-namespaces", .letter = 'A', .type = OPTION_SWITCH, \
		OPTION_AT(all_namespaces), .help = "all pod namespaces"         \
	}
#define OPTION_ROW_DRY_RUN                                                    \
	{                                                                     \
		.name = "dry-run", .type = OPTION_SWITCH, OPTION_AT(dry_run), \
		.help = "print the plan and touch nothing"                    \
	}
#define OPTION_ROW_GRACE(text)                                                                 \
	{                                                                                      \
		.name = "grace", .value = "DUR", .type = OPTION_DURATION, OPTION_AT(grace_ms), \
		.max = 24 * 3600 * 1000, .help = text                                          \
	}
#define OPTION_ROW_SIGNAL(text)                                                                   \
	{                                                                                         \
		.name = "signal", .value = "SIGNAL", .type = OPTION_SIGNAL_NO, OPTION_AT(signal), \
		.help = text                                                                      \
	}
#define OPTION_ROW_FILE                                                                    \
	{                                                                                  \
		.name = "filename", .letter = 'f', .value = "FILE", .type = OPTION_REPEAT, \
		OPTION_AT(files),                                                          \
		.help = "manifest, directory of manifests, or - for stdin; repeatable"     \
	}
#define OPTION_ROW_IMAGE                                                                  \
	{                                                                                 \
		.name = "image", .value = "IMAGE", .type = OPTION_TEXT, OPTION_AT(image), \
		.help = "node image"                                                      \
	}

/* Accepted by every command. Ends with an empty row. */
extern const struct option_spec global_options[];

void options_init(struct options *opt);
void options_release(struct options *opt);

/* A word that begins with '-' and is more than that. */
bool option_is_flag(const char *word);

/* The row 'word' ("--grace", "--grace=2s", "-N", "-Nx") means in the arrays 'first' and
 * 'global_options', or NULL. '*ret_alone' (may be NULL): whether its value is the next word. */
const struct option_spec *option_find(const struct option_spec *first, const char *word,
				      bool *ret_alone);

/* Parses argv[*index] and, when it needs one, the value after it; moves '*index' past both. 'first'
 * may be NULL. ERR_INVALID_ARGUMENT reason UNKNOWN_FLAG or BAD_VALUE; 'command' is for the message. */
int option_parse(const char *command, const struct option_spec *first, int argc, char **argv,
		 int *index, struct options *opt, struct err *err);

const char *output_format_name(enum output_format format);
