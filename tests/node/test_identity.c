/*
 * Key files, exported keys and the mesh file: what is written is read back; one changed byte, a wrong passphrase, an
 * absurd cost or another version is refused with a reason.
 */
#include "node/identity.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct key_cost cheap = {1, 8192};

static void seed_of(uint8_t seed[32], uint8_t n)
{
    memset(seed, n, 32);
}

Test(identity, key_names_are_safe_file_names)
{
    cr_assert(key_name_valid(bytes_str("publisher")));
    cr_assert(key_name_valid(bytes_str("a.b_c-9")));
    cr_assert(!key_name_valid(bytes_str("")));
    cr_assert(!key_name_valid(bytes_str("../node")));
    cr_assert(!key_name_valid(bytes_str(".hidden")));
    cr_assert(!key_name_valid(bytes_str("-rf")));
    cr_assert(!key_name_valid(bytes_str("a/b")));
    cr_assert(!key_name_valid(bytes_str("a b")));
}

Test(identity, key_file_round_trip_and_type)
{
    uint8_t seed[32], back[32] = {0};
    struct buf out = {0}, why = {0};
    seed_of(seed, 7);
    key_file_write(&out, KEY_X25519, seed);
    cr_assert(key_file_read(buf_view(&out), KEY_X25519, back, &why) == ERR_OK);
    cr_assert_arr_eq(back, seed, 32);
    cr_assert(key_file_read(buf_view(&out), KEY_ED25519, back, &why) == ERR_FORM);
    cr_assert(strstr(buf_cstr(&why), "not of type ed25519") != NULL);
    buf_put_str(&out, "more\n");
    cr_assert(key_file_read(buf_view(&out), KEY_X25519, back, &why) == ERR_FORM);
    cr_assert(key_file_read(bytes_str("souk-key 2\n"), KEY_X25519, back, &why) == ERR_VERSION);
    cr_assert(key_file_read(bytes_str(""), KEY_X25519, back, &why) == ERR_FORM);
    buf_close(&out);
    buf_close(&why);
}

static void export_one(struct buf *out, const char *passphrase)
{
    uint8_t seed[32], salt[KEY_SALT_SIZE] = {1}, nonce[KEY_NONCE_SIZE] = {2};
    seed_of(seed, 9);
    struct key_export e = {.name = bytes_str("publisher"),
                           .seed = seed,
                           .passphrase = bytes_str(passphrase),
                           .salt = salt,
                           .nonce = nonce,
                           .cost = cheap};
    key_export_write(out, &e);
}

Test(identity, an_exported_key_opens_with_its_passphrase_alone)
{
    struct buf out = {0}, why = {0};
    char name[KEY_NAME_MAX + 1];
    uint8_t seed[32], want[32];
    seed_of(want, 9);
    export_one(&out, "correct horse");
    cr_assert_null(memmem(out.p, out.n, want, 32));
    cr_assert(key_export_read(buf_view(&out), bytes_str("correct horse"), name, seed, &why) == ERR_OK);
    cr_assert_str_eq(name, "publisher");
    cr_assert_arr_eq(seed, want, 32);
    cr_assert(key_export_read(buf_view(&out), bytes_str("correct horsf"), name, seed, &why) == ERR_DENIED);
    cr_assert(strstr(buf_cstr(&why), "passphrase does not open") != NULL);
    buf_close(&out);
    buf_close(&why);
}

/* Every byte of the file is authenticated or makes it malformed. */
Test(identity, any_changed_byte_is_noticed)
{
    struct buf out = {0}, why = {0};
    char name[KEY_NAME_MAX + 1];
    uint8_t seed[32];
    export_one(&out, "p");
    for (size_t i = 0; i < out.n; i++) {
        uint8_t was = out.p[i];
        if (was == '\n' && i == out.n - 1)
            continue;
        out.p[i] = (uint8_t)(was == '0' ? '1' : '0');
        buf_reset(&why);
        cr_assert(key_export_read(buf_view(&out), bytes_str("p"), name, seed, &why) != ERR_OK, "byte %zu", i);
        cr_assert(why.n > 0);
        out.p[i] = was;
    }
    for (size_t n = 0; n + 1 < out.n; n++)
        cr_assert(key_export_read(bytes_of(out.p, n), bytes_str("p"), name, seed, &why) != ERR_OK);
    buf_close(&out);
    buf_close(&why);
}

Test(identity, an_absurd_cost_is_refused_before_it_is_paid)
{
    struct buf why = {0};
    char name[KEY_NAME_MAX + 1];
    uint8_t seed[32];
    const char *text = "souk-key-export 1\nname a\npublic "
                       "0000000000000000000000000000000000000000000000000000000000000000\n"
                       "passes 999999\nmemory 99999999999\n";
    cr_assert(key_export_read(bytes_str(text), bytes_str("p"), name, seed, &why) == ERR_LIMIT);
    buf_close(&why);
}

Test(identity, mesh_file_round_trip)
{
    struct mesh_file m = {.has_founder = true, .name = "our models", .founded_here = true,
                          .admission = ADMISSION_MEMBERS},
                     back;
    struct buf out = {0}, why = {0};
    memset(m.founder.b, 3, 32);
    mesh_id(&m.id, &m.founder, bytes_str(m.name));
    mesh_file_write(&out, &m);
    cr_assert(mesh_file_read(buf_view(&out), &back, &why) == ERR_OK, "%s", buf_cstr(&why));
    cr_assert(id_eq(&back.id, &m.id) && key_eq(&back.founder, &m.founder));
    cr_assert_str_eq(back.name, "our models");
    cr_assert(back.founded_here && back.admission == ADMISSION_MEMBERS);
    m.has_founder = m.founded_here = false;
    buf_reset(&out);
    mesh_file_write(&out, &m);
    cr_assert(mesh_file_read(buf_view(&out), &back, &why) == ERR_OK);
    cr_assert(!back.has_founder && !back.founded_here);
    buf_close(&out);
    buf_close(&why);
}

Test(identity, a_mesh_id_that_does_not_follow_is_refused)
{
    struct mesh_file m = {.has_founder = true, .name = "x"}, back;
    struct buf out = {0}, why = {0};
    mesh_file_write(&out, &m);
    cr_assert(mesh_file_read(buf_view(&out), &back, &why) == ERR_MESH);
    cr_assert(mesh_file_read(bytes_str("souk-mesh 1\nid 12\n"), &back, &why) == ERR_FORM);
    cr_assert(mesh_file_read(bytes_str("souk-mesh 9\n"), &back, &why) == ERR_VERSION);
    cr_assert(strstr(buf_cstr(&why), "version 9") != NULL);
    buf_close(&out);
    buf_close(&why);
}
