#pragma once
/*
 * What is going on, on stderr (cli.md section 1): a list of steps with their times on a terminal, plain
 * lines elsewhere, one JSON object a line on request. No spinner and no animation: a line changes when
 * something has happened.
 */
#include "controller/cli/options.h"
#include "controller/cluster/cluster.h"

#include <stdio.h>

struct progress_view;

/* 'out' is borrowed. NULL on allocation failure. */
struct progress_view *progress_view_new(FILE *out, const struct options *opt);
/* Takes NULL. */
void progress_view_free(struct progress_view *view);

/* struct progress's event function; 'view' is a struct progress_view. */
void progress_view_event(void *view, const struct progress_event *event);
