/*
 * Readers on threads of their own while one thread writes and reopens the database under them: every answer is whole, an
 * entry that was acknowledged is never missing, and nobody waits for ever. Then verify beside a writer finds no fault.
 */
#include "crdt/codec.h"
#include "tests/lib/stores.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READERS = 3, WRITES = 120, NAMES = 20, REOPEN_EVERY = 40, VERIFIES = 8 };

struct shared {
    struct test_store t;
    struct key owner;
    atomic_size_t written; /* names m0 .. are acknowledged */
    atomic_bool stop;
    atomic_size_t reads, verified;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "store_threads: %s\n", what);
    exit(1);
}

static void read_one(struct shared *s, size_t i)
{
    char name[32];
    struct entry_info info;
    struct buf out = {0};
    snprintf(name, sizeof name, "m%zu", i);
    struct id id = test_entry(&s->owner, KIND_MODEL, name), found;
    must(store_get(s->t.store, KIND_MODEL, &id, &info, &out) == ERR_OK, "an acknowledged entry is missing");
    must(strncmp(buf_cstr(&out), "{\"model\":{", 10) == 0, "an answer is not whole");
    must(strstr(buf_cstr(&out), "\"incomplete\":false") != NULL, "an answer is cut short");
    must(test_by_name(s->t.store, bytes_str(name), &found, 1) == 1 && id_eq(&id, &found), "not listed");
    buf_close(&out);
}

static void scan_all(struct shared *s, size_t at_least)
{
    struct id id;
    struct bytes name;
    struct buf nested = {0};
    struct entry_info info;
    size_t n = 0;
    struct store_scan *c = store_scan_open(s->t.store, KIND_MODEL, (struct bytes){0}, NULL);
    for (; store_scan_next(c, &id, &name); n++) /* a lookup while the scan is open, as a list does */
        must(store_get(s->t.store, KIND_MODEL, &id, &info, &nested) == ERR_OK, "listed and not there");
    must(store_scan_close(c) == ERR_OK, "store_scan_close");
    must(n >= at_least, "the listing lacks an entry");
    buf_close(&nested);
}

static void show_failure(void *ctx, const struct verify_finding *f)
{
    (void)ctx;
    if (!f->ok)
        fprintf(stderr, "%s: %s\n", f->check, f->detail);
}

/* What is written meanwhile is no fault: everything is examined as of one moment. */
static void *verify_on(void *arg)
{
    struct shared *s = arg;
    struct id id = test_entry(&s->owner, KIND_MODEL, "m0");
    for (size_t i = 0; i < VERIFIES; i++) {
        must(store_verify(s->t.store, i % 2 == 0 ? NULL : &id, show_failure, NULL, NULL) == ERR_OK, "verify beside a writer");
        atomic_fetch_add(&s->verified, 1);
    }
    return NULL;
}

static void *read_on(void *arg)
{
    struct shared *s = arg;
    for (size_t i = 0; !atomic_load(&s->stop); i++) {
        size_t written = atomic_load(&s->written);
        if (written == 0)
            continue;
        read_one(s, i % written);
        if (i % 16 == 0)
            scan_all(s, written);
        atomic_fetch_add(&s->reads, 1);
    }
    return NULL;
}

static void write_one(struct shared *s, struct author *a, size_t i)
{
    char name[16], text[40];
    snprintf(name, sizeof name, "m%zu", i % NAMES);
    snprintf(text, sizeof text, "revision %zu", i);
    must(test_put(&s->t, a, name, "description", text, NULL) == ERR_OK, "a write");
}

/* Readers and reopenings beside a writer. */
static void read_beside(struct shared *s, struct author *a)
{
    pthread_t readers[READERS];
    for (size_t i = 0; i < READERS; i++)
        must(pthread_create(&readers[i], NULL, read_on, s) == 0, "pthread_create");
    for (size_t i = 0; i < WRITES; i++) {
        write_one(s, a, i);
        if (i < NAMES)
            atomic_store(&s->written, i + 1);
        if (i % REOPEN_EVERY == REOPEN_EVERY - 1)
            must(store_reopen(s->t.store) == ERR_OK, "store_reopen");
    }
    atomic_store(&s->stop, true);
    for (size_t i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    must(atomic_load(&s->reads) > 0, "nobody read");
}

/* Writes go on until the examinations, which began beside them, have ended. */
static void verify_beside(struct shared *s, struct author *a)
{
    pthread_t verifier;
    must(pthread_create(&verifier, NULL, verify_on, s) == 0, "pthread_create");
    for (size_t i = 0; atomic_load(&s->verified) < VERIFIES; i++)
        write_one(s, a, i);
    pthread_join(verifier, NULL);
}

int main(void)
{
    static struct shared s;
    struct author a;
    test_store_open(&s.t, BACKEND_ROCKS);
    test_open_mesh(&s.t);
    test_author(&a, 2);
    s.owner = a.key;
    read_beside(&s, &a);
    verify_beside(&s, &a);
    printf("ok: %zu reads beside %d writes\n", (size_t)atomic_load(&s.reads), WRITES);
    test_store_close(&s.t);
    return 0;
}
