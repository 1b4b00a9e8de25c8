#pragma once
/*
 * A rough network: a TCP proxy on the loopback that delays, stalls and cuts, in a thread of its own. What packets
 * suffer below TCP (loss, reordering, a flipped bit) shows above it as stalls alone, so this is what an
 * application sees of it, and works where the kernel has no netem.
 */
#include <stdint.h>

struct rough;

struct rough_profile {
	const char *name;
	int delay_ms;         /* each way */
	int jitter_ms;        /* at most so much more or less */
	int stall_percent;    /* of all segments: they wait for their repetition */
	int stall_ms;         /* so long */
	int64_t bytes_to_cut; /* a connection is reset after about so many; 0: never */
};

/* Listens on '*ret_port' of 127.0.0.1 and leads to 'port'. What fails here fails the test. */
struct rough *rough_start(const struct rough_profile *profile, int port, int *ret_port);
/* Connections that were cut so far. */
unsigned rough_cuts(const struct rough *rough);
void rough_stop(struct rough *rough);
