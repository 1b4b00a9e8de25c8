#include "tests/support/tar.h"

#include <stdio.h>
#include <string.h>

#define BLOCK 512

static void add_padded(struct text *archive, const void *bytes, size_t len)
{
	static const char zeros[BLOCK];

	text_add_bytes(archive, bytes, len);
	if (len % BLOCK)
		text_add_bytes(archive, zeros, BLOCK - len % BLOCK);
}

static void add_header(struct text *archive, const struct tar_entry *entry)
{
	char block[BLOCK] = { 0 };
	unsigned sum = 0;

	memcpy(block, entry->name, strnlen(entry->name, 100));
	snprintf(block + 100, 8, "%07o", entry->mode);
	snprintf(block + 108, 8, "%07o", 0U);
	snprintf(block + 116, 8, "%07o", 0U);
	snprintf(block + 124, 12, "%011llo", (unsigned long long)entry->size);
	snprintf(block + 136, 12, "%011o", 1000000000U);
	memset(block + 148, ' ', 8);
	block[156] = entry->type;
	if (entry->link)
		memcpy(block + 157, entry->link, strnlen(entry->link, 100));
	memcpy(block + 257, "ustar  ", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	text_add_bytes(archive, block, BLOCK);
}

static void add_long(struct text *archive, char type, const char *text)
{
	struct tar_entry entry = {
		.name = "././@LongLink",
		.type = type,
		.size = strlen(text) + 1,
	};

	add_header(archive, &entry);
	add_padded(archive, text, entry.size);
}

void tar_add(struct text *archive, const struct tar_entry *entry)
{
	if (entry->link && strlen(entry->link) > 100)
		add_long(archive, 'K', entry->link);
	if (strlen(entry->name) > 100)
		add_long(archive, 'L', entry->name);
	add_header(archive, entry);
	if (entry->data)
		add_padded(archive, entry->data, entry->size);
}

void tar_end(struct text *archive)
{
	static const char zeros[2 * BLOCK];

	text_add_bytes(archive, zeros, sizeof(zeros));
}
