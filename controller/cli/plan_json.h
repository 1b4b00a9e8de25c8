#pragma once
/* What `plan pod` reads and writes (cli.md section 4). Pure. */
#include "controller/cli/fields.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/pod/plan.h"

#include <stddef.h>

/* Reads the JSON of --observed (YAML too). 'pod' is defaulted and checked: a hash of "match" is that of
 * its container, and where no network was observed, the network is taken to be as it wants. Fields that
 * are not known give a warning, appended to 'warnings'. ERR_INVALID_ARGUMENT: "seen.json:3:5: ...".
 * Caller releases '*ret'. */
int plan_json_read(const char *source, const char *text, size_t len, const K8s__Core__V1__Pod *pod,
		   struct pod_observed *ret, struct strv *warnings, struct err *err);

/* The decision as an object. Caller puts it. */
struct json_object *plan_json_decision(const struct pod_decision *decision);
