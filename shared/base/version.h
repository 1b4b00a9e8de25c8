#pragma once
/* What was built. Static strings. */

/* "0.1.0" */
const char *version_number(void);
/* First 12 digits of the commit, or "unknown". */
const char *version_commit(void);
