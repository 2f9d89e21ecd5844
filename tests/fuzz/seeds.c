/*
 * Writes the seed corpora of codec, delta, body and bundle into the folder given: a few files each that
 * show every shape once. Run by hand when a format changes; the files are committed.
 */
#include "crdt/codec.h"
#include "tests/lib/gen.h"
#include "tests/lib/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *folder;

static void save(const char *corpus, const char *name, struct buf *content)
{
    struct buf path = {0};
    buf_printf(&path, "%s/%s", folder, corpus);
    (void)mkdir(buf_cstr(&path), 0777);
    buf_printf(&path, "/%s", name);
    FILE *f = fopen(buf_cstr(&path), "wb");
    if (f == NULL || fwrite(content->p, 1, content->n, f) != content->n || fclose(f) != 0) {
        perror(buf_cstr(&path));
        exit(1);
    }
    buf_close(&path);
    buf_close(content);
}

static void save_hex(const char *corpus, const char *name, const char *hex)
{
    struct buf b = {0};
    hex_put(&b, hex);
    save(corpus, name, &b);
}

static void codec(void)
{
    struct rng rng;
    save_hex("codec", "integers", "9d 00 7f cc80 cd0100 ce00010000 cf0000000100000000 ff e0 d0df d1ff7f d2ffff7fff "
                                  "d3ffffffff7fffffff cfffffffffffffffff");
    save_hex("codec", "floats", "93 cb3fe0000000000000 cb43f0000000000000 cbc3e0000000000001");
    save_hex("codec", "texts", "95 a0 a2c3a9 d920 61*32 da0100 62*256 a4f09f9880");
    save_hex("codec", "bins", "93 c400 c40100 c50100 00*256");
    save_hex("codec", "map", "84 a0 c0 a161 c2 a26162 c3 a162 81 a163 90");
    save_hex("codec", "deep", "91*15 90");
    save_hex("codec", "wide", "dc0010 c0*16");
    rng_seed(&rng, 5);
    for (int i = 0; i < 4; i++) {
        char name[24];
        struct buf b = {0};
        while (b.n < 60) {
            buf_reset(&b);
            gen_value(&b, &rng, 5);
        }
        (void)snprintf(name, sizeof name, "random-%d", i);
        save("codec", name, &b);
    }
}

static void bodies(void)
{
    struct buf b = {0};
    gen_body(&b, 1, 0, 0, NULL);
    save("body", "empty", &b);
    gen_body(&b, 2, 7, 3, (struct gen_field[]){{"name", 9, "m"}, {"description", 8, "words"}, {"gone", 9, NULL}});
    save("body", "three-fields", &b);
    save_hex("body", "nested", "93 c410 00*16 07 81 a161 92 cd0100 82 a162 93 01 ff cb3fe0000000000000 a163 80");
    save_hex("body", "time-ahead", "93 c410 00*16 00 81 a161 92 cfffffffffffffffff c0");
}

/* Four deltas, each as a delta and as a bundle. */
static void deltas(void)
{
    struct gen_author a, b;
    gen_author(&a, 1);
    gen_author(&b, 2);
    struct id mesh = gen_id(1), parents[2] = {gen_id(2), gen_id(3)};
    struct grant rows[2] = {{b.key, 1, true}, {{{9}}, 7, false}};
    struct buf body = {0};
    gen_body_text(&body, "name", 5, "m");
    struct gen_op ops[] = {
        {.verb = VERB_PUT, .name = "org/model", .body = buf_view(&body)},
        {.verb = VERB_PUT, .name = "m", .body = buf_view(&body), .parent_count = 2, .parents = parents},
        {.verb = VERB_DELETE, .name = "m", .owner = &b.key, .epoch = UINT64_C(1) << 40, .parent_count = 1, .parents = parents},
        {.verb = VERB_STATEMENT, .name = "m", .kind = KIND_AGENT, .grant_count = 2, .grants = rows},
        {.verb = VERB_PUT, .kind = KIND_CHARTER, .name = "mesh", .body = buf_view(&body)},
        {.verb = VERB_PUT, .kind = KIND_MEMBER, .name = "0f", .body = buf_view(&body), .travel = GEN_WITHHELD},
    };
    static const struct {
        const char *name;
        size_t from, count;
    } parts[] = {{"put", 0, 1}, {"parents", 1, 1}, {"mixed", 0, 4}, {"charter", 4, 2}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct gen_delta d = {&mesh, &a, (UINT64_C(1) << 48) + i, parts[i].count, ops + parts[i].from};
        struct buf out = {0};
        gen_delta(&out, &d, NULL);
        save("delta", parts[i].name, &out);
        gen_bundle(&out, &d, NULL);
        save("bundle", parts[i].name, &out);
    }
    buf_close(&body);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    codec();
    bodies();
    deltas();
    return 0;
}
