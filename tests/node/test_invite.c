/*
 * Invitations and applications: what is written is read again; nothing changed, cut, borrowed or stolen passes.
 */
#include "node/invite.h"

#include <criterion/criterion.h>
#include <string.h>

static struct keypair pair_of(uint8_t number)
{
    struct keypair pair;
    uint8_t seed[32] = {number};
    keypair_from_seed(&pair, seed);
    return pair;
}

static void make(struct invitation *in, struct buf *text)
{
    struct keypair inviter = pair_of(2);
    *in = (struct invitation){.founder = pair_of(1).key, .mesh_name = "ours", .inviter = inviter.key, .expires_s = 2000000000,
                              .role = "mirror", .address_count = 2, .seed = {9}};
    char hex[ID_HEX_SIZE];
    struct key node = pair_of(3).key;
    key_hex(hex, &node);
    (void)snprintf(in->addresses[0], NET_ADDR_MAX, "%s@10.0.0.1:7071", hex);
    (void)snprintf(in->addresses[1], NET_ADDR_MAX, "%s@node.example:7071", hex);
    cr_assert_eq(invite_write(text, in, inviter.secret), ERR_OK);
}

Test(invite, what_is_written_is_read_again)
{
    struct invitation in, out;
    struct buf text = {0}, why = {0}, padded = {0};
    struct id mesh;
    make(&in, &text);
    buf_printf(&padded, " \n%s\r\n", buf_cstr(&text));
    cr_assert_eq(invite_read(buf_view(&padded), &out, &why), ERR_OK, "%s", buf_cstr(&why));
    mesh_id(&mesh, &in.founder, bytes_str("ours"));
    cr_assert(id_eq(&out.mesh, &mesh), "the mesh id follows from founder and name");
    cr_assert(key_eq(&out.inviter, &in.inviter) && key_eq(&out.name, &in.name));
    cr_assert_eq(out.expires_s, 2000000000);
    cr_assert_str_eq(out.role, "mirror");
    cr_assert_eq(out.address_count, 2);
    cr_assert_str_eq(out.addresses[1], in.addresses[1]);
    struct key node = pair_of(3).key, other = pair_of(4).key;
    cr_assert(invite_names_node(&out, &node));
    cr_assert_not(invite_names_node(&out, &other));
    buf_close(&text);
    buf_close(&why);
    buf_close(&padded);
}

Test(invite, nothing_changed_or_cut_passes)
{
    struct invitation in, out;
    struct buf text = {0}, why = {0};
    make(&in, &text);
    for (size_t n = 0; n < text.n; n++) {
        cr_assert_neq(invite_read(bytes_of(text.p, n), &out, &why), ERR_OK, "%zu of %zu characters", n, text.n);
        cr_assert_gt(why.n, 0);
        buf_reset(&why);
    }
    for (size_t i = 0; i + 1 < text.n; i++) { /* of the last character only some bits count */
        uint8_t was = text.p[i];
        text.p[i] = was == 'A' ? 'B' : 'A';
        cr_assert_neq(invite_read(buf_view(&text), &out, &why), ERR_OK, "character %zu", i);
        text.p[i] = was;
        buf_reset(&why);
    }
    buf_close(&text);
    buf_close(&why);
}

Test(invite, only_the_inviter_signs_and_only_what_fits)
{
    struct invitation in, out;
    struct buf text = {0}, why = {0};
    make(&in, &text);
    buf_reset(&text);
    struct keypair stranger = pair_of(8);
    cr_assert_eq(invite_write(&text, &in, stranger.secret), ERR_OK);
    cr_assert_eq(invite_read(buf_view(&text), &out, &why), ERR_SIGNATURE);
    cr_assert_not_null(strstr(buf_cstr(&why), "ask for another one"));
    in.address_count = INVITE_ADDRESSES_MAX;
    for (size_t i = 0; i < INVITE_ADDRESSES_MAX; i++)
        memset(in.addresses[i], 'a', NET_ADDR_MAX - 1);
    memset(in.mesh_name, 'm', MODEL_NAME_MAX);
    memset(in.role, 'r', RECORD_ITEM_MAX);
    buf_reset(&text);
    cr_assert_eq(invite_write(&text, &in, pair_of(2).secret), ERR_OK, "the most that an invitation can say fits");
    cr_assert_leq(text.n, INVITE_TEXT_MAX);
    cr_assert_eq(invite_read(buf_view(&text), &out, &why), ERR_OK);
    buf_close(&text);
    buf_close(&why);
}

Test(invite, an_application_holds_for_its_own_node_and_author_alone)
{
    struct invitation in, out;
    struct buf text = {0}, application = {0};
    struct keypair author = pair_of(5);
    struct key node = pair_of(6).key, thief = pair_of(7).key, got;
    make(&in, &text);
    invite_apply(&application, &in, &node, &author);
    cr_assert_leq(application.n, NET_APPLICATION_MAX);
    cr_assert_eq(invite_judge(buf_view(&application), &node, &out, &got), ERR_OK);
    cr_assert(key_eq(&got, &author.key) && key_eq(&out.name, &in.name));
    const uint8_t none[32] = {0};
    cr_assert_eq(memcmp(out.seed, none, 32), 0, "the seed stays with the newcomer");
    cr_assert_eq(invite_judge(buf_view(&application), &thief, &out, &got), ERR_SIGNATURE, "who sees it cannot use it");
    for (size_t i = 0; i < application.n; i++) {
        application.p[i] ^= 1;
        cr_assert_neq(invite_judge(buf_view(&application), &node, &out, &got), ERR_OK, "byte %zu", i);
        application.p[i] ^= 1;
        cr_assert_neq(invite_judge(bytes_of(application.p, i), &node, &out, &got), ERR_OK);
    }
    buf_close(&text);
    buf_close(&application);
}

Test(invite, spans)
{
    static const char *const bad[] = {"", "7", "d", "0d", "-1d", "7x", "7dd", "7 d", "999999999w", "367d", "1.5h"};
    uint64_t s = 0;
    cr_assert(invite_span("90s", &s) && s == 90);
    cr_assert(invite_span("30m", &s) && s == 1800);
    cr_assert(invite_span("12h", &s) && s == 43200);
    cr_assert(invite_span("7d", &s) && s == 604800);
    cr_assert(invite_span("2w", &s) && s == 1209600);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(invite_span(bad[i], &s), "%s", bad[i]);
}
