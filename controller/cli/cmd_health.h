#pragma once

/* The word for a berth.node.v1.PartState (cli.md section 3). Static. */
const char *health_part_state(int state);
