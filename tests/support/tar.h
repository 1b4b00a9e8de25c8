#pragma once
/* Tar archives by hand, also those that no honest packer makes. */
#include "shared/base/text.h"

#include <stddef.h>

struct tar_entry {
	const char *name;
	char type; /* '0' file, '1' hard link, '2' link, '3' '4' devices, '5' directory, '6' pipe */
	const char *link; /* NULL: none */
	unsigned mode;
	const char *data; /* NULL: none */
	size_t size;      /* as the header says it; 'data' has as much */
};

/* Appends it; a name or link over 100 bytes by GNU's long-name entries. */
void tar_add(struct text *archive, const struct tar_entry *entry);
/* The two empty blocks. */
void tar_end(struct text *archive);
