/*
 * Who serves what, from the nodes' own entries, and which of them is asked.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "node/serving.h"
#include "tests/lib/stores.h"

#include <criterion/criterion.h>
#include <string.h>

/* Writes a node's entry that lists the entries numbered from..to-1. */
static struct key node_entry(struct test_store *t, uint64_t author, uint64_t from, uint64_t to)
{
    struct author a;
    struct buf value = {0}, address = {0};
    test_author(&a, author);
    mp_put_array(&value, to - from);
    for (uint64_t i = from; i < to; i++) {
        char hex[ID_HEX_SIZE];
        struct id id = gen_id(i);
        id_hex(hex, &id);
        mp_put_map(&value, 1);
        mp_put_str(&value, bytes_str("entry"));
        mp_put_str(&value, bytes_str(hex));
    }
    mp_put_array(&address, 1);
    mp_put_str(&address, bytes_str(author == 10 ? "10.0.0.10:7071" : "[2001:db8::1]:7071"));
    struct field fields[2] = {{.name = bytes_str("deployments"), .value = buf_view(&value)},
                              {.name = bytes_str("mesh_addresses"), .value = buf_view(&address)}};
    struct store_write w = {.action = WRITE_PUT, .kind = KIND_NODE, .owner = a.key, .name = bytes_str("n"), .author = &a,
                            .change = {.mode = CHANGE_PATCH, .field_count = 2, .fields = fields}};
    cr_assert_eq(test_write(t, &w), ERR_OK);
    buf_close(&value);
    buf_close(&address);
    return a.key;
}

Test(serving, finds_the_nodes_that_say_so)
{
    struct test_store t;
    struct serving s = {0};
    struct key out[8];
    struct id one = gen_id(1), three = gen_id(3), nine = gen_id(9);
    test_store_open(&t, BACKEND_MEM);
    test_open_mesh(&t);
    serving_refresh(&s, t.store);
    cr_assert_eq(serving_find(&s, &one, out, 8), 0);
    struct key a = node_entry(&t, 10, 1, 4), b = node_entry(&t, 11, 3, 5);
    cr_assert_eq(serving_find(&s, &one, out, 8), 0, "not read again yet");
    serving_refresh(&s, t.store);
    cr_assert_eq(serving_find(&s, &one, out, 8), 1);
    cr_assert(key_eq(&out[0], &a));
    cr_assert_eq(serving_find(&s, &three, out, 8), 2);
    cr_assert(key_cmp(&out[0], &out[1]) < 0);
    cr_assert_eq(serving_find(&s, &three, out, 1), 2);
    cr_assert_eq(serving_find(&s, &nine, out, 8), 0);
    (void)node_entry(&t, 10, 7, 7);
    serving_refresh(&s, t.store);
    cr_assert_eq(serving_find(&s, &one, out, 8), 0);
    cr_assert_eq(serving_find(&s, &three, out, 8), 1);
    cr_assert(key_eq(&out[0], &b));
    serving_close(&s);
    test_store_close(&t);
}

Test(serving, where_they_are)
{
    struct test_store t;
    struct serving s = {0};
    char addr[SERVING_ADDR_MAX];
    struct id one = gen_id(1), nine = gen_id(9);
    test_store_open(&t, BACKEND_MEM);
    test_open_mesh(&t);
    struct key a = node_entry(&t, 10, 1, 4), b = node_entry(&t, 11, 1, 2);
    serving_refresh(&s, t.store);
    cr_assert(serving_has(&s, &one, &a) && serving_has(&s, &one, &b));
    cr_assert(!serving_has(&s, &nine, &a));
    serving_address(&s, t.store, &one, &a, addr);
    cr_assert_str_eq(addr, "10.0.0.10:7071");
    serving_address(&s, t.store, &one, &b, addr);
    cr_assert_str_eq(addr, "[2001:db8::1]:7071");
    serving_address(&s, t.store, &nine, &a, addr);
    cr_assert_str_eq(addr, "");
    serving_close(&s);
    test_store_close(&t);
}

static size_t chosen(uint64_t away_0, uint64_t load_0, uint64_t away_1, uint64_t load_1)
{
    struct serving_place places[2] = {{.away_ms = away_0, .load = load_0}, {.away_ms = away_1, .load = load_1}};
    struct serving_place swapped[2] = {places[1], places[0]};
    size_t at = serving_choose(places, 2, 0);
    cr_assert_eq(serving_choose(swapped, 2, 0), 1 - at, "the order in which they are known decides");
    return at;
}

Test(serving, the_nearer_of_two_equally_loaded_is_asked)
{
    for (uint64_t load = 0; load < 20; load++) {
        cr_assert_eq(chosen(0, load, 1, load), 0, "load %llu", (unsigned long long)load);
        cr_assert_eq(chosen(40, load, 39, load), 1, "load %llu", (unsigned long long)load);
    }
    cr_assert_eq(chosen(UINT32_MAX - 2, 5, 3, 5), 1);
}

Test(serving, the_less_loaded_of_two_equally_near_is_asked)
{
    for (uint64_t away = 0; away < 20; away++) {
        cr_assert_eq(chosen(away, 0, away, 1), 0, "%llu ms away", (unsigned long long)away);
        cr_assert_eq(chosen(away, 8, away, 7), 1, "%llu ms away", (unsigned long long)away);
    }
    cr_assert_eq(chosen(10, UINT64_MAX, 10, 7), 1); /* one that is remembered for the worst */
}

Test(serving, near_and_busy_against_far_and_idle)
{
    cr_assert_eq(chosen(9, 2, 39, 0), 0); /* 30 against 40 */
    cr_assert_eq(chosen(9, 4, 39, 0), 1); /* 50 against 40 */
    cr_assert_eq(chosen(UINT64_MAX, UINT64_MAX, 39, 0), 1);
}

Test(serving, of_those_alike_each_has_its_turn)
{
    struct serving_place places[4] = {{.away_ms = 5, .load = 1}, {.away_ms = 2, .load = 1}, {.away_ms = 5, .load = 0},
                                      {.away_ms = 2, .load = 1}};
    cr_assert_eq(serving_choose(places, 4, 0), 1);
    cr_assert_eq(serving_choose(places, 4, 1), 2);
    cr_assert_eq(serving_choose(places, 4, 2), 3);
    cr_assert_eq(serving_choose(places, 4, 3), 1);
    cr_assert_eq(serving_choose(places, 1, 7), 0);
    cr_assert_eq(serving_choose(places, 0, 7), 0, "there are none");
}
