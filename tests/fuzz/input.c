#include "tests/fuzz/fuzz.h"

#include <string.h>

uint8_t input_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

uint16_t input_word(struct input *in)
{
	uint16_t low = input_byte(in);

	return (uint16_t)(low | input_byte(in) << 8);
}

const uint8_t *input_bytes(struct input *in, size_t len, size_t *ret_len)
{
	const uint8_t *bytes = in->at;

	*ret_len = len < in->left ? len : in->left;
	in->at += *ret_len;
	in->left -= *ret_len;
	return bytes;
}

char *input_text(struct input *in)
{
	size_t len;
	const uint8_t *bytes = input_bytes(in, input_byte(in), &len);
	char *text = strndup(len ? (const char *)bytes : "", len);

	PROMISE(text);
	return text;
}
