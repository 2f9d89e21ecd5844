/*
 * The examples of crdt/MODEL.md: every value in its section 9 is worked out here and compared byte for
 * byte, and none may be missing, so the document cannot drift from the code.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/register.h"
#include "crdt/setindex.h"
#include "tests/lib/gen.h"
#include "tests/lib/hex.h"
#include "tests/lib/oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLES_MAX 64

struct example {
    char label[64];
    struct buf value;
    bool told; /* the document says it */
};

struct examples {
    size_t count;
    struct example list[EXAMPLES_MAX];
};

static struct example *find(struct examples *all, const char *label)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i].label, label) == 0)
            return &all->list[i];
    return NULL;
}

static void say(struct examples *all, const char *label, const void *p, size_t n)
{
    cr_assert_lt(all->count, EXAMPLES_MAX);
    struct example *e = &all->list[all->count++];
    (void)snprintf(e->label, sizeof e->label, "%s", label);
    buf_put(&e->value, p, n);
}

static void say_id(struct examples *all, const char *label, const struct id *id)
{
    say(all, label, id->b, ID_BYTES);
}

/* ---- what the document must say ---- */

#define TIME_1 ((UINT64_C(1735689600000) << 16) + 1) /* 2025-01-01, counter 1 */
#define TIME_2 ((UINT64_C(1735689601000) << 16) + 1) /* a second later */

struct world {
    struct gen_author founder, writer;
    struct id mesh, delta[3], op[4];
    struct buf body, charter_body, delta_bytes[3], bundle[3];
};

static void salted_body(struct buf *out, uint8_t first, const struct field *fields, size_t n)
{
    struct body b = {.field_count = n};
    struct field copy[4];
    memcpy(copy, fields, n * sizeof *copy);
    b.fields = copy;
    for (size_t i = 0; i < sizeof b.salt; i++)
        b.salt[i] = (uint8_t)(first + i);
    body_encode(&b, out);
}

static void make_deltas(struct world *w)
{
    struct grant grant = {w->writer.key, 0, true};
    struct gen_op first[2] = {
        {.verb = VERB_PUT, .name = "hello", .body = buf_view(&w->body)},
        {.verb = VERB_STATEMENT, .name = "hello", .grant_count = 1, .grants = &grant},
    };
    struct gen_op second = {.verb = VERB_DELETE, .name = "hello", .owner = &w->founder.key, .epoch = 0,
                            .parent_count = 1, .parents = &w->op[0]};
    struct gen_op third = {.verb = VERB_PUT, .kind = KIND_CHARTER, .name = "example", .body = buf_view(&w->charter_body)};
    struct gen_delta all[3] = {
        {&w->mesh, &w->founder, TIME_1, 2, first},
        {&w->mesh, &w->writer, TIME_2, 1, &second},
        {&w->mesh, &w->founder, TIME_1 - 1, 1, &third},
    };
    for (size_t i = 0; i < 3; i++) {
        gen_delta(&w->delta_bytes[i], &all[i], &w->delta[i]);
        gen_bundle(&w->bundle[i], &all[i], NULL);
        op_id(&w->op[i == 0 ? 0 : i + 1], &w->delta[i], 0);
        if (i == 0)
            op_id(&w->op[1], &w->delta[0], 1);
    }
}

static void world_init(struct world *w)
{
    uint8_t seed[64];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    memset(w, 0, sizeof *w);
    gen_author_seed(&w->founder, seed);
    gen_author_seed(&w->writer, seed + 32);
    mesh_id(&w->mesh, &w->founder.key, bytes_str("example"));
    struct field model[2] = {{bytes_str("description"), TIME_1, bytes_str("\xaasays hello")},
                             {bytes_str("name"), TIME_1, bytes_str("\xa5hello")}};
    struct field charter[1] = {{bytes_str("admission"), TIME_1 - 1, bytes_str("\xa4open")}};
    salted_body(&w->body, 0xa0, model, 2);
    salted_body(&w->charter_body, 0xb0, charter, 1);
    make_deltas(w);
}

static void world_close(struct world *w)
{
    buf_close(&w->body);
    buf_close(&w->charter_body);
    for (size_t i = 0; i < 3; i++) {
        buf_close(&w->delta_bytes[i]);
        buf_close(&w->bundle[i]);
    }
}

static void say_names(struct examples *all, const struct world *w)
{
    struct id id;
    say(all, "founder seed", w->founder.secret, 32);
    say(all, "founder key", w->founder.key.b, 32);
    say(all, "writer seed", w->writer.secret, 32);
    say(all, "writer key", w->writer.key.b, 32);
    say(all, "mesh name", "example", 7);
    say_id(all, "mesh id", &w->mesh);
    entry_id(&id, KIND_MODEL, &w->founder.key, bytes_str("hello"));
    say_id(all, "entry id", &id);
    entry_id(&id, KIND_CHARTER, &w->founder.key, bytes_str("example"));
    say_id(all, "charter id", &id);
    say(all, "body", w->body.p, w->body.n);
    body_hash(&id, buf_view(&w->body));
    say_id(all, "body hash", &id);
    value_hash(&id, bytes_str("\xa5hello"));
    say_id(all, "value hash of name", &id);
}

static void say_signed(struct examples *all, const struct world *w)
{
    static const char *const ordinal[3] = {"first", "second", "third"};
    char label[64];
    for (size_t i = 0; i < 3; i++) {
        struct bundle b;
        cr_assert_eq(bundle_parse(buf_view(&w->bundle[i]), &b), ERR_OK);
        (void)snprintf(label, sizeof label, "%s delta", ordinal[i]);
        say(all, label, w->delta_bytes[i].p, w->delta_bytes[i].n);
        (void)snprintf(label, sizeof label, "%s delta id", ordinal[i]);
        say_id(all, label, &w->delta[i]);
        (void)snprintf(label, sizeof label, "%s signature", ordinal[i]);
        say(all, label, b.sig, SIG_BYTES);
        bundle_close(&b);
    }
    struct buf message = {0};
    hex_put(&message, "0c000000 736f756b2f64656c74612f31 20000000");
    buf_put(&message, w->delta[0].b, ID_BYTES);
    say(all, "first signed message", message.p, message.n);
    buf_close(&message);
    say_id(all, "first op id of the first delta", &w->op[0]);
    say_id(all, "second op id of the first delta", &w->op[1]);
    say_id(all, "op id of the second delta", &w->op[2]);
    say_id(all, "op id of the third delta", &w->op[3]);
    say(all, "third bundle", w->bundle[2].p, w->bundle[2].n);
}

/* State and digest of a node that holds the deltas named, by the plain definition. */
static void say_state(struct examples *all, const struct world *w, const char *who, const size_t *held, size_t n)
{
    struct oracle o;
    struct id id;
    struct item *items = NULL;
    struct setindex *set = setindex_new();
    char label[64];
    oracle_init(&o, &w->founder.key, bytes_str("example"));
    for (size_t i = 0; i < n; i++)
        cr_assert(oracle_add(&o, buf_view(&w->bundle[held[i]])));
    oracle_judge(&o);
    oracle_state_hash(&o, &id);
    (void)snprintf(label, sizeof label, "state hash with %s", who);
    say_id(all, label, &id);
    size_t count = oracle_set(&o, &items);
    cr_assert_eq(count, n);
    for (size_t i = 0; i < count; i++)
        cr_assert(setindex_insert(set, &items[i]));
    setindex_digest(set, &id);
    (void)snprintf(label, sizeof label, "digest with %s", who);
    say_id(all, label, &id);
    entry_id(&id, KIND_MODEL, &w->founder.key, bytes_str("hello"));
    const struct oracle_entry *entry = oracle_find(&o, &id);
    cr_assert(entry != NULL && entry->head_count == 1 && entry->deleted == (n == 3));
    (void)snprintf(label, sizeof label, "revision with %s", who);
    say_id(all, label, &entry->revision);
    free(items);
    setindex_free(set);
    oracle_close(&o);
}

static void say_all(struct examples *all, const struct world *w)
{
    say_names(all, w);
    say_signed(all, w);
    say_state(all, w, "the first delta", (size_t[]){0}, 1);
    say_state(all, w, "all three", (size_t[]){1, 2, 0}, 3);
}

/* ---- what the document says ---- */

struct lines {
    FILE *file;
    char text[512];
    bool section, fence;
};

/* The next line inside a fence of section 9; false at the end. Remarks are cut off. */
static bool next_line(struct lines *in)
{
    while (fgets(in->text, sizeof in->text, in->file) != NULL) {
        if (!in->fence && strncmp(in->text, "## ", 3) == 0)
            in->section = strncmp(in->text, "## 9.", 5) == 0;
        if (strncmp(in->text, "```", 3) == 0) {
            in->fence = !in->fence;
            continue;
        }
        if (!in->section || !in->fence)
            continue;
        in->text[strcspn(in->text, "#\n")] = 0;
        return true;
    }
    return false;
}

static void read_document(struct examples *out)
{
    struct lines in = {.file = fopen("crdt/MODEL.md", "r")};
    cr_assert_not_null(in.file, "crdt/MODEL.md: run from the top of the tree");
    while (next_line(&in)) {
        char *colon = strchr(in.text, ':'), *hex = in.text;
        if (colon != NULL) {
            *colon = 0;
            hex = colon + 1;
            cr_assert_null(find(out, in.text), "\"%s\" stands twice", in.text);
            say(out, in.text, "", 0);
        }
        cr_assert_gt(out->count, 0, "bytes before the first label");
        hex_put(&out->list[out->count - 1].value, hex);
    }
    (void)fclose(in.file);
}

static void close_all(struct examples *all)
{
    for (size_t i = 0; i < all->count; i++)
        buf_close(&all->list[i].value);
    free(all);
}

static void print_value(const struct example *e)
{
    char *hex = mem_alloc(2 * e->value.n + 1);
    hex_encode(hex, e->value.p, e->value.n);
    (void)fprintf(stderr, "%s: %s\n", e->label, hex);
    free(hex);
}

Test(model, every_example_of_the_document_is_what_the_code_says)
{
    struct examples *code = mem_zalloc(sizeof *code), *text = mem_zalloc(sizeof *text);
    struct world w;
    unsigned wrong = 0;
    world_init(&w);
    say_all(code, &w);
    read_document(text);
    for (size_t i = 0; i < text->count; i++) {
        struct example *e = find(code, text->list[i].label);
        cr_assert_not_null(e, "the document has \"%s\", which is not checked", text->list[i].label);
        e->told = bytes_eq(buf_view(&e->value), buf_view(&text->list[i].value));
    }
    for (size_t i = 0; i < code->count; i++)
        if (!code->list[i].told) {
            print_value(&code->list[i]);
            wrong++;
        }
    cr_assert_eq(wrong, 0, "%u examples are missing or wrong: their right values are above", wrong);
    close_all(code);
    close_all(text);
    world_close(&w);
}

/* The examples are not only consistent but good: they parse, verify and match. */
Test(model, the_examples_are_valid)
{
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < 3; i++) {
        struct bundle b;
        struct delta d;
        cr_assert_eq(bundle_parse(buf_view(&w.bundle[i]), &b), ERR_OK);
        cr_assert_eq(delta_parse(b.delta, &d), ERR_OK);
        cr_assert_eq(delta_verify(&d.id, &d.author, b.sig), ERR_OK);
        cr_assert(id_eq(&d.id, &w.delta[i]) && id_eq(&d.mesh, &w.mesh));
        for (size_t k = 0; k < b.body_count; k++)
            cr_assert(body_matches(&d.ops[b.bodies[k].index], b.bodies[k].body));
        delta_close(&d);
        bundle_close(&b);
    }
    world_close(&w);
}
