/*
 * Lists and searches over a real store in memory: pages that neither skip nor repeat while the catalogue changes
 * under them, every filter, and the order of a search.
 */
#include "crdt/codec.h"
#include "node/jsonscan.h"
#include "node/query.h"
#include "tests/lib/stores.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig {
    struct test_store t;
    struct author author;
    struct query_env env;
};

static void rig_open(struct rig *r)
{
    test_store_open(&r->t, BACKEND_MEM);
    test_author(&r->author, 1); /* the founder */
    r->env = (struct query_env){.store = r->t.store, .node = r->author.key, .cursors = {{9}}};
}

static void rig_close(struct rig *r)
{
    test_store_close(&r->t);
}

static void apply(struct rig *r, struct store_write *w)
{
    w->owner = r->author.key;
    w->author = &r->author;
    cr_assert_eq(test_write(&r->t, w), ERR_OK);
}

/* `fields`: name, text or raw msgpack pairs, by increasing name. */
static void put(struct rig *r, uint64_t kind, const char *name, const struct field *fields, size_t n)
{
    struct store_write w = {.action = WRITE_PUT, .kind = kind, .name = bytes_str(name),
                            .change = {.mode = CHANGE_PATCH, .field_count = n, .fields = fields}};
    apply(r, &w);
}

static void put_text(struct rig *r, const char *name, const char *description)
{
    struct buf value = {0};
    mp_put_str(&value, bytes_str(description));
    struct field f = {.name = bytes_str("description"), .value = buf_view(&value)};
    put(r, KIND_MODEL, name, &f, 1);
    buf_close(&value);
}

/* Nothing happens if there is none. */
static void take_away(struct rig *r, const char *name)
{
    struct store_write w = {.action = WRITE_DELETE, .kind = KIND_MODEL, .owner = r->author.key,
                            .author = &r->author, .name = bytes_str(name)};
    enum err e = test_write(&r->t, &w);
    cr_assert(e == ERR_OK || e == ERR_NOT_FOUND);
}

/* The page as text; the caller frees. */
static char *page(struct rig *r, const struct api_query *q)
{
    struct buf out = {0};
    cr_assert_eq(query_run(&r->env, q, &out), ERR_OK);
    return buf_cstr(&out);
}

/* Copies the next cursor into out; false at the last page. */
static bool next_cursor(const char *text, char out[512])
{
    struct bytes c = jsonscan_member(bytes_str(text), "next_cursor");
    if (c.n < 2 || c.p[0] != '"')
        return false;
    (void)snprintf(out, 512, "%.*s", (int)c.n - 2, (const char *)c.p + 1);
    return true;
}

/* Adds each row's name to the counts of names "e000".."e999". */
static void count_rows(const char *text, int seen[1000])
{
    struct bytes rows = jsonscan_member(bytes_str(text), "models"), row;
    for (size_t at = 0; (row = jsonscan_item(rows, &at)).p != NULL;) {
        struct bytes name = jsonscan_member(jsonscan_member(row, "model"), "name");
        int number;
        cr_assert_eq(sscanf((const char *)name.p, "\"e%3d\"", &number), 1);
        seen[number]++;
    }
}

/* Walks all pages; between them, odd entries come and go. Even entries stay from start to end. */
static void walk_while_changing(bool filtered)
{
    struct rig r;
    struct rng chance;
    char name[32], cursor[512] = "";
    int seen[1000] = {0};
    rig_open(&r);
    rng_seed(&chance, filtered ? 2 : 3);
    for (int i = 0; i < 200; i += 2) {
        (void)snprintf(name, sizeof name, "e%03d", i);
        put_text(&r, name, "word");
    }
    for (bool more = true; more;) {
        struct api_query q = {.kind = KIND_MODEL, .limit = 7, .cursor = bytes_str(cursor)};
        if (filtered)
            q.text = bytes_str("WORD");
        char *text = page(&r, &q);
        count_rows(text, seen);
        more = next_cursor(text, cursor);
        free(text);
        for (int k = 0; k < 5; k++) {
            (void)snprintf(name, sizeof name, "e%03d", (int)rng_below(&chance, 100) * 2 + 1);
            if (rng_below(&chance, 2) == 0)
                put_text(&r, name, "word");
            else
                take_away(&r, name);
        }
    }
    for (int i = 0; i < 200; i++) {
        cr_assert_leq(seen[i], 1, "e%03d was shown %d times", i, seen[i]);
        if (i % 2 == 0)
            cr_assert_eq(seen[i], 1, "e%03d was skipped", i);
    }
    rig_close(&r);
}

Test(query, pages_neither_skip_nor_repeat_while_entries_come_and_go)
{
    walk_while_changing(false);
}

Test(query, filtered_pages_neither_skip_nor_repeat_either)
{
    walk_while_changing(true);
}

Test(query, a_cursor_survives_the_deletion_of_its_row)
{
    struct rig r;
    char cursor[512];
    int seen[1000] = {0};
    rig_open(&r);
    put_text(&r, "e001", "a");
    put_text(&r, "e002", "b");
    put_text(&r, "e003", "c");
    struct api_query q = {.kind = KIND_MODEL, .limit = 2};
    char *text = page(&r, &q);
    cr_assert(next_cursor(text, cursor));
    free(text);
    take_away(&r, "e002");
    q.cursor = bytes_str(cursor);
    text = page(&r, &q);
    count_rows(text, seen);
    cr_assert_eq(seen[3], 1);
    cr_assert_eq(seen[1] + seen[2], 0);
    cr_assert_not(next_cursor(text, cursor));
    free(text);
    rig_close(&r);
}

Test(query, a_foreign_or_broken_cursor_is_refused)
{
    struct rig r;
    struct buf out = {0};
    char cursor[512];
    rig_open(&r);
    put_text(&r, "e001", "a");
    put_text(&r, "e002", "b");
    struct api_query q = {.kind = KIND_MODEL, .limit = 1};
    char *text = page(&r, &q);
    cr_assert(next_cursor(text, cursor));
    free(text);
    q.cursor = bytes_str(cursor);
    q.kind = KIND_AGENT;
    cr_assert_eq(query_run(&r.env, &q, &out), ERR_MESH, "a cursor belongs to its kind");
    q.kind = KIND_MODEL;
    r.env.cursors.secret[0] ^= 1;
    cr_assert_eq(query_run(&r.env, &q, &out), ERR_MESH, "and to its node");
    q.cursor = bytes_str("!!");
    cr_assert_eq(query_run(&r.env, &q, &out), ERR_FORM);
    buf_close(&out);
    rig_close(&r);
}

static void expect(struct rig *r, struct api_query q, const char *total, const char *first)
{
    q.kind = KIND_MODEL;
    q.limit = 10;
    char *text = page(r, &q);
    struct bytes got = jsonscan_member(bytes_str(text), "total");
    size_t at = 0;
    struct bytes row = jsonscan_item(jsonscan_member(bytes_str(text), "models"), &at);
    cr_assert(bytes_eq(got, bytes_str(total)), "%s hits wanted: %.300s", total, text);
    if (first != NULL)
        cr_assert(jsonscan_is(jsonscan_member(jsonscan_member(row, "model"), "name"), bytes_str(first)), "%s", text);
    free(text);
}

static void put_rich(struct rig *r)
{
    struct buf tags = {0}, pricing = {0}, context = {0}, license = {0}, capabilities = {0};
    mp_put_array(&tags, 2);
    mp_put_str(&tags, bytes_str("vision"));
    mp_put_str(&tags, bytes_str("open"));
    mp_put_array(&capabilities, 1);
    mp_put_str(&capabilities, bytes_str("chat"));
    mp_put_array(&pricing, 1);
    mp_put_map(&pricing, 2);
    mp_put_str(&pricing, bytes_str("pico_usd"));
    mp_put_uint(&pricing, 500000);
    mp_put_str(&pricing, bytes_str("unit"));
    mp_put_str(&pricing, bytes_str("input_token"));
    mp_put_uint(&context, 32768);
    mp_put_str(&license, bytes_str("Apache2"));
    struct field fields[] = {{.name = bytes_str("capabilities"), .value = buf_view(&capabilities)},
                             {.name = bytes_str("context_length"), .value = buf_view(&context)},
                             {.name = bytes_str("license"), .value = buf_view(&license)},
                             {.name = bytes_str("pricing"), .value = buf_view(&pricing)},
                             {.name = bytes_str("tags"), .value = buf_view(&tags)}};
    put(r, KIND_MODEL, "rich", fields, sizeof fields / sizeof *fields);
    buf_close(&tags);
    buf_close(&pricing);
    buf_close(&context);
    buf_close(&license);
    buf_close(&capabilities);
}

Test(query, filters)
{
    struct rig r;
    char owner[ID_HEX_SIZE], stranger[ID_HEX_SIZE] = "00";
    rig_open(&r);
    put_text(&r, "plain", "nothing special");
    put_rich(&r);
    key_hex(owner, &r.author.key);
    struct bytes vision[] = {bytes_str("vision"), bytes_str("open")}, other[] = {bytes_str("vision"), bytes_str("x")};
    struct bytes chat = bytes_str("chat");
    expect(&r, (struct api_query){0}, "2", "plain");
    expect(&r, (struct api_query){.owner = bytes_str(owner)}, "2", "plain");
    expect(&r, (struct api_query){.owner = bytes_str(stranger)}, "0", NULL);
    expect(&r, (struct api_query){.tag_count = 2, .tags = vision}, "1", "rich");
    expect(&r, (struct api_query){.tag_count = 2, .tags = other}, "0", NULL);
    expect(&r, (struct api_query){.capability_count = 1, .capabilities = &chat}, "1", "rich");
    expect(&r, (struct api_query){.license = bytes_str("Apache2")}, "1", "rich");
    expect(&r, (struct api_query){.license = bytes_str("MIT")}, "1", "plain");
    expect(&r, (struct api_query){.model_type = bytes_str("LLM")}, "2", NULL);
    expect(&r, (struct api_query){.framework = bytes_str("JAX")}, "0", NULL);
    expect(&r, (struct api_query){.min_context = 32768}, "1", "rich");
    expect(&r, (struct api_query){.min_context = 32769}, "0", NULL);
    expect(&r, (struct api_query){.has_max_price = true, .max_price_pico = 500000}, "1", "rich");
    expect(&r, (struct api_query){.has_max_price = true, .max_price_pico = 499999}, "0", NULL);
    rig_close(&r);
}

Test(query, a_search_puts_names_first_and_wants_every_word)
{
    struct rig r;
    rig_open(&r);
    put_text(&r, "alpha", "a speech model by zeta");
    put_text(&r, "zeta speech", "x");
    put_text(&r, "zeta", "no talking");
    struct api_query both = {.text = bytes_str("  Speech ZETA "), .scored = true};
    expect(&r, both, "2", "zeta speech");
    expect(&r, (struct api_query){.text = bytes_str("speech nothing"), .scored = true}, "0", NULL);
    expect(&r, (struct api_query){.text = bytes_str("speech zeta")}, "2", "alpha");
    struct api_query first = {.kind = KIND_MODEL, .limit = 1, .text = both.text, .scored = true};
    char cursor[512];
    char *text = page(&r, &first);
    cr_assert_not_null(strstr(text, "\"score\":2"));
    cr_assert(next_cursor(text, cursor));
    free(text);
    first.cursor = bytes_str(cursor);
    text = page(&r, &first);
    cr_assert_not_null(strstr(text, "\"name\":\"alpha\""), "the second class follows the first: %s", text);
    cr_assert_not(next_cursor(text, cursor));
    free(text);
    rig_close(&r);
}

static size_t count_named(const struct rig *r, uint64_t kind, const char *name, struct id *out, size_t max)
{
    struct store_named named = {.ids = out, .max = max};
    cr_assert_eq(query_name(r->t.store, kind, bytes_str(name), &named), ERR_OK);
    return named.count;
}

Test(query, names_and_owner_prefixes)
{
    struct rig r;
    struct id ids[4], wanted;
    char name[80], hex[ID_HEX_SIZE];
    rig_open(&r);
    put_text(&r, "acme/one", "a");
    entry_id(&wanted, KIND_MODEL, &r.author.key, bytes_str("acme/one"));
    cr_assert_eq(count_named(&r, KIND_MODEL, "acme/one", ids, 4), 1);
    cr_assert(id_eq(&ids[0], &wanted));
    key_hex(hex, &r.author.key);
    (void)snprintf(name, sizeof name, "%.8s/acme/one", hex);
    cr_assert_eq(count_named(&r, KIND_MODEL, name, ids, 4), 1);
    (void)snprintf(name, sizeof name, "%.3s/acme/one", hex);
    cr_assert_eq(count_named(&r, KIND_MODEL, name, ids, 4), 0, "a prefix has four digits or more");
    cr_assert_eq(count_named(&r, KIND_AGENT, "acme/one", ids, 4), 0);
    rig_close(&r);
}
