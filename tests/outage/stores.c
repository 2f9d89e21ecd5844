/*
 * Scenarios of the store: what strangers and repetition make it grow by, a write that the power cut short, concurrent
 * writers, and deletes that arrive before what they delete.
 */
#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "tests/lib/stores.h"
#include "tests/lib/tmpdir.h"
#include "tests/outage/outage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGERS     64
#define ROUNDS        60
#define WRITES        40

static uint64_t rows(struct kv *kv)
{
    uint64_t n = 0;
    struct kv_iter *it = kv->ops->iter(kv, NULL, bytes_of(NULL, 0));
    for (bool more = kv->ops->seek(it, bytes_of(NULL, 0)); more; more = kv->ops->next(it))
        n++;
    (void)kv->ops->iter_close(it);
    return n;
}

/* One model of `author`, in a bundle of its own. */
static struct id bundle_of(const struct test_store *t, struct buf *out, const struct gen_author *author, uint64_t number)
{
    char name[32];
    struct buf body = {0};
    uint64_t time = hlc_from_ms(t->now_ms - 1000) + number;
    (void)snprintf(name, sizeof name, "m%llu", (unsigned long long)number % 100);
    gen_body_text(&body, "description", time, "grows");
    struct gen_op op = {.verb = VERB_PUT, .name = name, .body = buf_view(&body)};
    struct id id = gen_one(out, &t->mesh, author, time, &op);
    buf_close(&body);
    return id;
}

/* lightning#7763: what was rejected, repeated or superseded fills the disk. */
void outage_store_growth(void)
{
    struct test_store t;
    struct buf b = {0};
    struct gen_author stranger, member;
    struct store_stats stats;
    test_store_open(&t, BACKEND_MEM);
    test_charter(&t, &b, "members", hlc_from_ms(t.now_ms - 2000));
    (void)test_apply(&t, buf_view(&b));
    for (uint64_t i = 0; i < STORE_ASIDE_MAX + 500; i++) {
        gen_author(&stranger, 1000 + i % STRANGERS);
        buf_reset(&b);
        (void)bundle_of(&t, &b, &stranger, i);
        (void)test_apply(&t, buf_view(&b));
    }
    store_stats(t.store, &stats);
    promise(stats.aside <= STORE_ASIDE_MAX, "%llu deltas of strangers are kept", (unsigned long long)stats.aside);
    gen_author(&member, 1);
    buf_reset(&b);
    (void)bundle_of(&t, &b, &member, 1);
    promise(test_apply(&t, buf_view(&b)) == VERDICT_NEW, "no room is left for those who belong here");
    uint64_t before = rows(t.kv);
    for (unsigned i = 0; i < 1000; i++)
        (void)test_apply(&t, buf_view(&b));
    promise(rows(t.kv) == before, "a delta that came 1000 times left %llu rows instead of %llu", (unsigned long long)rows(t.kv),
            (unsigned long long)before);
    buf_close(&b);
    test_store_close(&t);
}

/* ---- power ---------------------------------------------------------------------------------------------------------- */

/* The last bytes of the newest write-ahead log never reached the disk. */
static bool tear_log(const char *dir)
{
    char newest[512] = "", path[512];
    struct dirent *e;
    DIR *d = opendir(dir);
    struct stat st;
    while (d != NULL && (e = readdir(d)) != NULL) {
        size_t n = strlen(e->d_name);
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (n > 4 && strcmp(e->d_name + n - 4, ".log") == 0 && strcmp(path, newest) > 0)
            memcpy(newest, path, sizeof newest);
    }
    if (d != NULL)
        (void)closedir(d);
    return newest[0] != 0 && stat(newest, &st) == 0 && st.st_size > 100 && truncate(newest, st.st_size - 7) == 0;
}

static enum err reopen(struct test_store *t)
{
    struct kv_rocks_config config = {.path = t->dir, .cache_mb = 8, .write_buffer_mb = 4};
    struct store_config sc = {.mesh = t->mesh, .has_founder = true, .founder = t->founder.key, .mesh_name = bytes_str(TEST_MESH)};
    enum err e = kv_rocks_open(&t->kv, &config, NULL);
    return e != ERR_OK ? e : store_open(&t->store, t->kv, &sc);
}

/* lightning#7249: the power goes during a write, and the node does not start again. */
void outage_power_loss(void)
{
    struct test_store t;
    struct author author;
    char name[32];
    test_store_open(&t, BACKEND_ROCKS);
    test_author(&author, 1);
    for (unsigned i = 0; i < WRITES; i++) {
        (void)snprintf(name, sizeof name, "kept-%u", i);
        promise(test_put(&t, &author, name, "description", "acknowledged", NULL) == ERR_OK, "write %u fails", i);
    }
    promise(test_put(&t, &author, "torn", "description", "under way when the power went", NULL) == ERR_OK, "the last write fails");
    store_close(t.store);
    t.kv->ops->close(t.kv);
    promise(tear_log(t.dir), "the scenario means nothing: there is no log to tear");
    enum err e = reopen(&t);
    promise(e == ERR_OK, "the store does not open again: %s", err_text(e));
    for (unsigned i = 0; e == ERR_OK && i < WRITES; i++) {
        (void)snprintf(name, sizeof name, "kept-%u", i);
        struct id entry = test_entry(&author.key, KIND_MODEL, name);
        char *json = test_json(&t, &entry);
        promise(strcmp(json, "-") != 0, "%s was acknowledged and is gone", name);
        free(json);
    }
    if (e == ERR_OK) {
        promise(test_put(&t, &author, "after", "description", "goes on", NULL) == ERR_OK, "nothing can be written any more");
        store_close(t.store);
        t.kv->ops->close(t.kv);
    }
    tmpdir_remove(t.dir);
}

/* ---- entries ---------------------------------------------------------------------------------------------------------- */

static bool count_head(void *ctx, const struct revision_info *r)
{
    *(size_t *)ctx += r->head;
    return true;
}

static size_t heads(const struct test_store *t, const struct id *entry)
{
    size_t n = 0;
    enum err e = store_history(t->store, entry, &(struct history_page){.limit = 10000}, count_head, &n);
    promise(e == ERR_OK, "the history cannot be read: %s", err_text(e));
    return n;
}

static void hand_over(struct test_store *from, struct test_store *to, const struct id *op_delta)
{
    struct buf b = {0};
    if (store_bundle(from->store, op_delta, &b) == ERR_OK)
        (void)test_apply(to, buf_view(&b));
    buf_close(&b);
}

static bool newest_delta(void *ctx, const struct revision_info *r)
{
    *(struct id *)ctx = r->delta;
    return false;
}

static struct id newest(const struct test_store *t, const struct id *entry)
{
    struct id delta = {{0}};
    enum err e = store_history(t->store, entry, &(struct history_page){.limit = 1}, newest_delta, &delta);
    promise(e == ERR_OK, "the history cannot be read: %s", err_text(e));
    return delta;
}

/* The newest op of one store goes to the other. */
static void tell(struct test_store *from, struct test_store *to, const struct id *entry)
{
    struct id delta = newest(from, entry);
    hand_over(from, to, &delta);
}

/* Riak: two clients write one entry in turns, each blindly, and its siblings pile up. */
void outage_sibling_explosion(void)
{
    struct test_store a, b;
    struct author one, two;
    char text[32];
    size_t most = 0;
    test_store_open(&a, BACKEND_MEM);
    test_store_open(&b, BACKEND_MEM);
    b.now_ms += 50000; /* so that their salts and times differ */
    rng_seed(&b.rng, 2);
    test_author(&one, 1);
    test_author(&two, 1);
    struct id entry = test_entry(&one.key, KIND_MODEL, "contended");
    for (unsigned i = 0; i < ROUNDS; i++) {
        (void)snprintf(text, sizeof text, "round %u", i);
        promise(test_put(&a, &one, "contended", "description", text, NULL) == ERR_OK, "a write fails in round %u", i);
        promise(test_put(&b, &two, "contended", "license", text, NULL) == ERR_OK, "a write fails in round %u", i);
        tell(&b, &a, &entry);
        tell(&a, &b, &entry);
        most = heads(&a, &entry) > most ? heads(&a, &entry) : most;
    }
    promise(most <= 3, "%zu siblings after %d rounds of two writers", most, ROUNDS);
    promise(test_put(&a, &one, "contended", "description", "last", NULL) == ERR_OK, "the last write fails");
    promise(heads(&a, &entry) == 1, "%zu siblings after a write that saw them all", heads(&a, &entry));
    test_store_close(&a);
    test_store_close(&b);
}

/* Cassandra: a delete comes, the tombstone is dropped or comes first, an old copy of the entry brings it back. */
void outage_tombstone(void)
{
    struct test_store a, b;
    struct author author;
    struct buf put = {0};
    test_store_open(&a, BACKEND_MEM);
    test_store_open(&b, BACKEND_MEM);
    test_author(&author, 1);
    struct id entry = test_entry(&author.key, KIND_MODEL, "gone");
    promise(test_put(&a, &author, "gone", "description", "was here", NULL) == ERR_OK, "a write fails");
    struct id delta = newest(&a, &entry);
    promise(store_bundle(a.store, &delta, &put) == ERR_OK, "the put is not held");
    struct store_write w = {.action = WRITE_DELETE, .kind = KIND_MODEL, .owner = author.key, .name = bytes_str("gone"), .author = &author};
    promise(test_write(&a, &w) == ERR_OK, "the delete fails");
    tell(&a, &b, &entry);               /* the delete before what it deletes */
    (void)test_apply(&b, buf_view(&put));
    (void)test_apply(&a, buf_view(&put)); /* and an old copy once more */
    char *on_a = test_json(&a, &entry), *on_b = test_json(&b, &entry);
    promise(strcmp(on_a, "-") == 0, "an old copy brought the entry back where it was deleted");
    promise(strcmp(on_b, "-") == 0, "the entry is shown where the delete came first");
    struct id x = test_state(&a), y = test_state(&b);
    promise(id_eq(&x, &y), "the order of arrival shows in the state");
    free(on_a);
    free(on_b);
    buf_close(&put);
    test_store_close(&a);
    test_store_close(&b);
}
