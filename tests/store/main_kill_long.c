/*
 * A process that imports is killed with SIGKILL at random moments, again and again on the same directory. After each kill:
 * every delta that was acknowledged is there with its body, the digest and the state equal a replay into a new store, and
 * verify finds nothing. The parent never opens the store itself. `store_kill_long [rounds] [seed]`.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/lib/stores.h"
#include "tests/lib/tmpdir.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 400, WRITES_MAX = 24, ACKS_MAX = 12, DELAY_MAX_US = 4000, ROUND_MS = 1000 * 1000 };

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "store_kill: %s\n", what);
    exit(1);
}

static void open_store(struct test_store *t, const char *dir, uint64_t round)
{
    struct kv_rocks_config config = {.path = dir, .cache_mb = 8, .write_buffer_mb = 1};
    *t = (struct test_store){.now_ms = 1700000000000 + round * ROUND_MS};
    gen_author(&t->founder, 1);
    mesh_id(&t->mesh, &t->founder.key, bytes_str(TEST_MESH));
    rng_seed(&t->rng, round);
    struct store_config sc = {.mesh = t->mesh, .has_founder = true, .founder = t->founder.key,
                              .mesh_name = bytes_str(TEST_MESH)};
    must(kv_rocks_open(&t->kv, &config, NULL) == ERR_OK, "kv_rocks_open");
    must(store_open(&t->store, t->kv, &sc) == ERR_OK, "store_open");
}

static void close_store(struct test_store *t)
{
    store_close(t->store);
    t->kv->ops->close(t->kv);
}

/* ---- the process that is killed ---- */

static struct store_write draw_write(struct test_store *t, struct author *a, struct buf *text, char name[16])
{
    snprintf(name, 16, "m%u", (unsigned)rng_below(&t->rng, NAMES));
    struct store_write w = {.kind = KIND_MODEL, .owner = a->key, .name = bytes_str(name), .author = a};
    w.action = rng_below(&t->rng, 10) == 0 ? WRITE_DELETE : WRITE_PUT;
    struct buf words = {0};
    gen_text(&words, &t->rng, 200 + rng_below(&t->rng, 2000));
    mp_put_str(text, buf_view(&words));
    buf_close(&words);
    return w;
}

static void import_one(struct test_store *t, struct author *a, int out)
{
    struct store_write w[WRITES_MAX];
    struct field fields[WRITES_MAX];
    struct buf text[WRITES_MAX] = {0};
    char names[WRITES_MAX][16];
    size_t n = 1 + rng_below(&t->rng, WRITES_MAX);
    for (size_t i = 0; i < n; i++) {
        w[i] = draw_write(t, a, &text[i], names[i]);
        fields[i] = (struct field){.name = bytes_str("description"), .value = buf_view(&text[i])};
        w[i].change = (struct change){.mode = CHANGE_PATCH, .field_count = 1, .fields = &fields[i]};
    }
    struct store_job job = {.now_ms = ++t->now_ms, .rng = &t->rng, .write_count = n, .writes = w};
    must(store_apply(t->store, &job) == ERR_OK, "store_apply");
    for (size_t i = 0; i < job.own_count; i++)
        must(write(out, job.own[i].id.b, ID_BYTES) == ID_BYTES, "write to the pipe");
    store_job_close(&job);
    for (size_t i = 0; i < n; i++)
        buf_close(&text[i]);
}

static void import_until_killed(const char *dir, uint64_t round, int out)
{
    struct test_store t;
    struct author a;
    test_author(&a, 1);
    open_store(&t, dir, round);
    if (store_count(t.store, KIND_CHARTER) == 0)
        test_open_mesh(&t);
    for (;;)
        import_one(&t, &a, out);
}

/* ---- the process that looks ---- */

static void print_finding(void *ctx, const struct verify_finding *f)
{
    char hex[ID_HEX_SIZE];
    (void)ctx;
    id_hex(hex, &f->subject);
    fprintf(stderr, "store_kill: %s %s: %s\n", f->check, hex, f->detail);
}

static void replay(const struct test_store *from, struct test_store *to, const struct setindex *set)
{
    size_t n = setindex_count(set);
    struct item *items = mem_calloc(n, sizeof *items);
    setindex_items(set, 0, n, items);
    for (size_t i = n; i-- > 0;) { /* newest first: the other way round */
        struct buf bundle = {0};
        must(store_bundle(from->store, &items[i].id, &bundle) == ERR_OK, "a delta of the set is not there");
        (void)test_apply(to, buf_view(&bundle));
        buf_close(&bundle);
    }
    free(items);
}

static void check(const char *dir, uint64_t round, const struct buf *acknowledged)
{
    struct test_store t, fresh;
    struct buf bundle = {0};
    open_store(&t, dir, round);
    for (size_t at = 0; at + ID_BYTES <= acknowledged->n; at += ID_BYTES) {
        struct id id;
        memcpy(id.b, acknowledged->p + at, ID_BYTES);
        must(store_bundle(t.store, &id, &bundle) == ERR_OK, "an acknowledged delta is lost");
    }
    test_store_open(&fresh, BACKEND_MEM);
    fresh.now_ms = t.now_ms;
    struct setindex *set = setindex_new();
    must(store_load_set(t.store, set) == ERR_OK, "store_load_set");
    must(setindex_count(set) >= acknowledged->n / ID_BYTES, "acknowledged deltas are not in the set");
    replay(&t, &fresh, set);
    struct id digest = test_digest(&t), state = test_state(&t);
    struct id digest_anew = test_digest(&fresh), state_anew = test_state(&fresh);
    must(id_eq(&digest, &digest_anew), "the digest is not that of a replay");
    must(id_eq(&state, &state_anew), "the state is not that of a replay");
    must(store_verify(t.store, NULL, print_finding, NULL, NULL) == ERR_OK, "verify found something");
    setindex_free(set);
    buf_close(&bundle);
    test_store_close(&fresh);
    close_store(&t);
}

/* ---- the parent ---- */

static size_t read_acks(int in, struct buf *acknowledged, size_t acks)
{
    size_t got = 0;
    while (got < acks * ID_BYTES) {
        uint8_t chunk[ID_BYTES];
        ssize_t n = read(in, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        buf_put(acknowledged, chunk, (size_t)n);
        got += (size_t)n;
    }
    return got;
}

/* An acknowledgement that was cut by the kill is none. */
static void kill_once(const char *dir, uint64_t round, struct rng *rng, struct buf *acknowledged)
{
    int pipes[2], status;
    must(pipe(pipes) == 0, "pipe");
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        close(pipes[0]);
        import_until_killed(dir, round, pipes[1]);
    }
    close(pipes[1]);
    size_t acks = rng_below(rng, ACKS_MAX + 1);
    must(read_acks(pipes[0], acknowledged, acks) == acks * ID_BYTES, "the importer ended by itself");
    struct timespec delay = {.tv_nsec = (long)rng_below(rng, DELAY_MAX_US) * 1000};
    nanosleep(&delay, NULL);
    kill(child, SIGKILL);
    read_acks(pipes[0], acknowledged, SIZE_MAX / ID_BYTES);
    acknowledged->n -= acknowledged->n % ID_BYTES;
    close(pipes[0]);
    must(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "the importer was not killed");
}

static void check_apart(const char *dir, uint64_t round, const struct buf *acknowledged)
{
    int status;
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        check(dir, round, acknowledged);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child && status == 0, "the check failed");
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 50, seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    char dir[200];
    struct rng rng;
    struct buf acknowledged = {0};
    rng_seed(&rng, seed);
    tmpdir_new(dir, sizeof dir);
    for (uint64_t round = 1; round <= rounds; round++) {
        kill_once(dir, round, &rng, &acknowledged);
        check_apart(dir, round, &acknowledged);
    }
    printf("ok: %llu kills, %zu deltas acknowledged\n", (unsigned long long)rounds, acknowledged.n / ID_BYTES);
    buf_close(&acknowledged);
    tmpdir_remove(dir);
    return 0;
}
