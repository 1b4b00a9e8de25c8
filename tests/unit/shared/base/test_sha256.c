#include "shared/base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void to_hex(const uint8_t sum[SHA256_BYTES], char ret[2 * SHA256_BYTES + 1])
{
	for (size_t i = 0; i < SHA256_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

/* In two parts. */
static void sum_of(const uint8_t *bytes, size_t len, size_t cut, uint8_t ret[SHA256_BYTES])
{
	struct sha256 h;

	sha256_start(&h);
	sha256_add(&h, bytes, cut);
	sha256_add(&h, bytes + cut, len - cut);
	sha256_end(&h, ret);
}

static void assert_sum(const char *text, size_t times, const char *hex)
{
	char told[2 * SHA256_BYTES + 1];
	uint8_t sum[SHA256_BYTES];
	struct sha256 h;

	sha256_start(&h);
	for (size_t i = 0; i < times; i++)
		sha256_add(&h, text, strlen(text));
	sha256_end(&h, sum);
	to_hex(sum, told);
	assert_string_equal(told, hex);
}

/* NS-075: the examples of FIPS 180-2, B.1 to B.3 */
static void known_values_come_out(void **state)
{
	(void)state;
	assert_sum("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_sum("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	assert_sum("a", 1000000,
		   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* NS-075: the sum over all sums is Python's hashlib's */
static void every_length_comes_out_however_it_is_cut(void **state)
{
	uint8_t bytes[260], whole[SHA256_BYTES], parts[SHA256_BYTES];
	char sums[2 * SHA256_BYTES + 1];
	struct sha256 all;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
	sha256_start(&all);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		sum_of(bytes, len, 0, whole);
		for (size_t cut = 1; cut <= len; cut++) {
			sum_of(bytes, len, cut, parts);
			assert_memory_equal(parts, whole, SHA256_BYTES);
		}
		sha256_add(&all, whole, sizeof(whole));
	}
	sha256_end(&all, whole);
	to_hex(whole, sums);
	assert_string_equal(sums,
			    "cc84a8ee2451eb5a88851a3df4f63939b560643b61a61f19de2de6aa599a5d1b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values_come_out),
		cmocka_unit_test(every_length_comes_out_however_it_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
