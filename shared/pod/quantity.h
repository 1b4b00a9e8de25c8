#pragma once
/*
 * Kubernetes quantities: "500m", "1.5Gi", "2e3". Exact to a billionth, as Kubernetes has them; finer
 * parts are rounded up. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

enum quantity_format { QUANTITY_DECIMAL, QUANTITY_BINARY, QUANTITY_EXPONENT };

struct quantity {
	__int128 nano; /* billionths */
	enum quantity_format format;
};

/* False for what is no quantity, or beyond 2^63. */
bool quantity_parse(const char *s, struct quantity *ret);

/* The canonical text (as Kubernetes prints it): "0.5" is "500m", "1024Mi" is "1Gi". 'ret' holds 48
 * bytes. */
void quantity_print(const struct quantity *q, char ret[48]);

/* Thousandths and wholes, rounded up, within int64. */
int64_t quantity_milli(const struct quantity *q);
int64_t quantity_value(const struct quantity *q);
