/*
 * The laws of MODEL 8 as functions over histories: those that the definition itself must keep, and those that the
 * store must keep against the definition.
 */
#ifndef SOUK_TESTS_LAWS_H
#define SOUK_TESTS_LAWS_H

#include "tests/lib/history.h"

extern const struct law model_laws[];
extern const size_t model_law_count;
extern const struct law store_laws[];
extern const size_t store_law_count;

#endif
