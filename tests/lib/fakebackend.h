/*
 * A node in memory for the tests of the HTTP engine: a map of entries, a change log, a few tokens. Completes calls at
 * once, or one by one when a test says so. Knows nothing of the store or the mesh.
 *
 * Tokens: "writer" (scope write, owner 1), "other" (scope write, owner 2), "reader" (scope read), "invoker" (scope
 * invoke), "hasty" (scope write, over its rate: wait 7 s). The admin socket is owner 1.
 */
#ifndef SOUK_TESTS_FAKEBACKEND_H
#define SOUK_TESTS_FAKEBACKEND_H

#include "api/api.h"

#define FAKE_ENTRIES 64
#define FAKE_FIELDS  48
#define FAKE_CHANGES 1024

struct fake_field {
    struct buf name, value;
};

struct fake_entry {
    bool used, deleted, incomplete;
    uint64_t kind;
    struct id id, revision;
    struct key owner;
    struct buf name;
    size_t field_count;
    struct fake_field fields[FAKE_FIELDS];
};

struct fake {
    struct api *api;
    struct fake_entry entries[FAKE_ENTRIES];
    size_t change_count;
    struct id changes[FAKE_CHANGES]; /* the entry that each was of                  */
    uint64_t revisions;
    bool delay;                  /* calls wait for fake_step                        */
    bool not_ready;
    struct api_call *first, *last;
    size_t waiting, cancelled, calls;
    enum api_op fail_op;         /* the next call of this kind ends in fail_with    */
    enum err fail_with;
    size_t meddle;               /* so many guarded writes are overtaken by a write from elsewhere */
    struct buf delta;            /* the last one handed in                          */
    struct buf admin_body;
    char admin_verb[32], as[64], invoke_key[64];
    struct api_invoke invoke;    /* of the last invoke; its pointers are not valid  */
    enum api_media output;       /* what invokes give                               */
    uint64_t admin_kind;
    struct api_query query;      /* of the last list; its pointers are not valid    */
    char query_text[64], query_tag[64];
};

struct api_backend fake_backend(struct fake *f);
/* Completes the oldest waiting call. False: none waits. */
bool fake_step(struct fake *f);
/* Adds an entry of owner 1 or 2 with a description; returns it. */
struct fake_entry *fake_add(struct fake *f, uint64_t kind, unsigned owner, const char *name, const char *description);
void fake_close(struct fake *f);

#endif
