/*
 * Stores for tests: either back end under one handle, a mesh with a founder and its charter, jobs in one call, answers
 * as plain values. Knows nothing of what a test wants to see.
 */
#ifndef SOUK_TESTS_STORES_H
#define SOUK_TESTS_STORES_H

#include "store/store.h"
#include "tests/lib/gen.h"

enum backend { BACKEND_MEM, BACKEND_ROCKS };

struct test_store {
    enum backend backend;
    char dir[200];
    struct kv *kv;
    struct store *store;
    struct gen_author founder;
    struct id mesh;
    uint64_t now_ms;
    struct rng rng;
};
#define TEST_MESH "test mesh"

/* A new, empty store of the test mesh; its founder is author number 1. */
void test_store_open(struct test_store *t, enum backend backend);
/* Closes and opens the same data again; memory keeps its kv. */
void test_store_again(struct test_store *t);
void test_store_close(struct test_store *t);

/* Bundle of the charter that makes the mesh open (or not), at `time`. */
void test_charter(const struct test_store *t, struct buf *out, const char *admission, uint64_t time);
/* Opens the mesh: applies such a charter. */
void test_open_mesh(struct test_store *t);

/* Applies one bundle and runs sweeps to their end; returns the verdict. */
enum verdict test_apply(struct test_store *t, struct bytes bundle);
struct store_in test_apply_in(struct test_store *t, struct bytes bundle);
/* One write as a job of its own. */
enum err test_write(struct test_store *t, struct store_write *w);
/* A put of one text field by `author` under its own name. */
enum err test_put(struct test_store *t, struct author *author, const char *name, const char *field, const char *text,
                  struct store_write *result);
/* Ids of the models that have this name, at most `max` of them; how many there are. */
size_t test_by_name(const struct store *s, struct bytes name, struct id *out, size_t max);
void test_author(struct author *out, uint64_t number);
/* A write to a model, to be filled and applied; one text field of it; a statement about a model. */
struct store_write test_write_of(enum write_action action, struct author *author, const struct key *owner, const char *name);
enum err test_write_text(struct test_store *t, struct store_write *w, const char *field, const char *text);
enum err test_write_statement(struct test_store *t, enum write_action action, struct author *owner, const char *name,
                              const struct key *writer);
/* A bundle with one put of one text field; `op` says everything but its body. */
struct id test_put_bundle(const struct test_store *t, struct buf *out, const struct gen_author *author, uint64_t time,
                          struct gen_op op);

struct id test_entry(const struct key *owner, uint64_t kind, const char *name);
struct id test_digest(const struct test_store *t);
struct id test_state(const struct test_store *t);
/* The JSON of an entry, or "-"; owned by the caller. */
char *test_json(const struct test_store *t, const struct id *entry);
bool test_shows(const struct test_store *t, const struct id *entry, const char *text);
/* For store_verify: appends what failed to a struct buf. */
void test_collect_failure(void *out, const struct verify_finding *f);

#endif
