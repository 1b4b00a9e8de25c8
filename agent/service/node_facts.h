#pragma once
/*
 * What a node says about itself in Health.Version (NS-230).
 */
#include <stdint.h>

struct node_facts {
	char host_name[65];
	char os[128];    /* PRETTY_NAME of os-release(5); "" when there is none */
	char kernel[65]; /* uname(2): release and machine */
	char arch[65];
	char boot_id[40];
	char init[32];           /* what PID 1 is: "systemd" */
	uint32_t cgroup_version; /* 1, 2; 0: cannot be told */
};

/* Reads them below 'root' ("" but in tests). What cannot be read is "" or 0. */
void node_facts_read(const char *root, struct node_facts *ret);
