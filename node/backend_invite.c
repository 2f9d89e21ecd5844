/*
 * Newcomers: invitations are made here, applications judged, and an invitation that two nodes honoured at once is settled.
 * Only a node that holds the inviter's own key admits, so one node decides what "used" and "expired" mean; where that key is on
 * several nodes that could not hear each other, the earlier admission stays. Knows no socket: answers go to the mesh engine.
 */
#include "node/backend_mesh.h"

#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "node/config.h"
#include "node/invite.h"
#include "node/jsonscan.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t clock_s(const struct backend *b)
{
    struct node_stats stats;
    node_stats(b->node, &stats);
    return stats.clock_ms / 1000;
}

/* ---- making one -------------------------------------------------------------------------------------------------- */

static bool add_address(struct backend *b, struct invitation *in, const char *address)
{
    assert(in->address_count <= INVITE_ADDRESSES_MAX);
    char host[256], hex[ID_HEX_SIZE], *out = in->addresses[in->address_count];
    unsigned port = 0;
    if (in->address_count == INVITE_ADDRESSES_MAX || !config_split_address(bytes_str(address), host, sizeof host, &port) || port == 0)
        return false;
    key_hex(hex, &b->config.node);
    int n = snprintf(out, NET_ADDR_MAX, "%s@%s", hex, address);
    if (n <= 0 || n >= NET_ADDR_MAX)
        return false;
    in->address_count++;
    return true;
}

/* The addresses asked for, else the one at which this node is reached. */
static bool take_addresses(struct backend *b, struct api_call *call, const json_t *root, struct invitation *in)
{
    const json_t *list = json_object_get(root, "addresses"), *row;
    size_t i;
    json_array_foreach(list, i, row)
    {
        const char *text = json_string_value(row);
        if (text != NULL && add_address(b, in, text))
            continue;
        buf_printf(&call->detail, "addresses: at most %d of HOST:PORT, not \"%.80s\"", INVITE_ADDRESSES_MAX, text != NULL ? text : "");
        return false;
    }
    if (in->address_count > 0 || (b->config.address[0] != '\0' && add_address(b, in, b->config.address)))
        return true;
    buf_put_str(&call->detail, "this node has no address that a newcomer could dial; give one with --address HOST:PORT");
    return false;
}

static bool take_terms(struct api_call *call, const json_t *root, uint64_t now_s, struct invitation *in)
{
    const json_t *span = json_object_get(root, "expires_s");
    const char *role = json_string_value(json_object_get(root, "role"));
    json_int_t seconds = span != NULL ? json_integer_value(span) : (json_int_t)INVITE_DEFAULT_S;
    if (seconds < 1 || seconds > (json_int_t)INVITE_LONGEST_S) {
        buf_printf(&call->detail, "expires_s: 1 to %u seconds", INVITE_LONGEST_S);
        return false;
    }
    in->expires_s = now_s + (uint64_t)seconds;
    assert(in->expires_s > now_s);
    role = role != NULL ? role : "member";
    if (!members_role_valid(call, role) || strcmp(role, "operator") == 0) {
        if (call->detail.n == 0)
            buf_put_str(&call->detail, "an invitation brings in members; the founder makes one an operator afterwards");
        return false;
    }
    (void)snprintf(in->role, sizeof in->role, "%s", role);
    return true;
}

static void answer_invitation(struct backend *b, struct api_call *call, const struct author *author, struct invitation *in)
{
    struct buf text = {0};
    char hex[ID_HEX_SIZE], time[25];
    rng_bytes(&b->rng, in->seed, sizeof in->seed);
    enum err e = invite_write(&text, in, author->secret);
    assert(key_eq(&author->key, &in->inviter) && in->address_count > 0);
    sodium_memzero(in->seed, sizeof in->seed);
    if (e != ERR_OK) {
        backend_fail(call, e, "the mesh's name, the role and the addresses do not fit into one invitation: give fewer addresses");
        return;
    }
    key_hex(hex, &in->name);
    json_time(time, hlc_from_ms(in->expires_s * 1000));
    buf_printf(&call->out, "{\"invitation\":\"%s\",\"name\":\"%s\",\"expires_at\":\"%s\",\"addresses\":[", buf_cstr(&text), hex, time);
    for (size_t i = 0; i < in->address_count; i++) {
        buf_put_str(&call->out, i > 0 ? "," : "");
        json_put_string(&call->out, bytes_str(in->addresses[i]));
    }
    buf_put_str(&call->out, "]}");
    sodium_memzero(text.p, text.n);
    buf_close(&text);
    backend_ok(call);
}

void invite_make(struct backend *b, struct api_call *call)
{
    struct mesh_of mesh;
    struct invitation in = {0};
    json_t *root = members_begin(b, call, &mesh);
    if (root == NULL)
        return;
    const char *as = json_string_value(json_object_get(root, "as"));
    struct author *author = mesh_signer(b, as != NULL ? as : "", POWER_OPERATOR, &call->detail);
    in.founder = mesh.founder;
    memcpy(in.mesh_name, mesh.name, sizeof in.mesh_name);
    if (author == NULL) {
        backend_fail(call, ERR_DENIED, NULL);
    } else if (!take_terms(call, root, clock_s(b), &in) || !take_addresses(b, call, root, &in)) {
        backend_fail(call, ERR_INVALID, NULL);
    } else {
        in.inviter = author->key;
        answer_invitation(b, call, author, &in);
    }
    json_decref(root);
}

/* ---- judging an application -------------------------------------------------------------------------------------- */

static void answer(struct backend *b, uint64_t conn, enum net_welcome welcome, const char *text)
{
    assert(text[0] != 0);
    struct node_stats stats;
    node_stats(b->node, &stats);
    struct node_event event = {.kind = NODE_NET,
                               .net = {.kind = NET_JOIN_ANSWER, .conn = conn, .welcome = welcome, .text = text},
                               .clock_ms = stats.clock_ms};
    node_input(b->node, &event, stats.now_ms);
}

static void refuse(struct backend *b, uint64_t conn, const char *text)
{
    answer(b, conn, NET_WELCOME_REFUSED, text);
}

/* What the mesh remembers of an invitation. */
struct use {
    const struct key *name, *node, *author;
    bool by_other, node_in, author_in;
};

static bool look_for_use(void *ctx, const struct member_row *m)
{
    struct use *use = ctx;
    if (!m->has_invitation || !key_eq(&m->invitation, use->name))
        return true;
    if (key_eq(&m->key, use->node))
        use->node_in = !m->removed;
    else if (key_eq(&m->key, use->author))
        use->author_in = !m->removed;
    else
        use->by_other = true;
    return true;
}

static struct redeeming *redeeming_of(struct backend *b, const struct key *name)
{
    for (size_t i = 0; i < b->redeeming_count; i++)
        if (key_eq(&b->redeeming[i].name, name))
            return &b->redeeming[i];
    return NULL;
}

static void redeemed(struct mesh_run *run)
{
    struct backend *b = run->backend;
    size_t i = 0;
    while (b->redeeming[i].ticket != run->ticket)
        i++;
    assert(i < b->redeeming_count);
    uint64_t conn = b->redeeming[i].conn;
    b->redeeming[i] = b->redeeming[--b->redeeming_count];
    if (run->err == ERR_OK)
        answer(b, conn, NET_WELCOME_ADMITTED, "welcome");
    else
        answer(b, conn, NET_WELCOME_ELSEWHERE, "the inviter's node cannot write just now; it is asked again");
}

static void redeem(struct backend *b, uint64_t conn, const struct invitation *in, const struct use *use)
{
    struct mesh_of mesh;
    struct author *author = author_of_key(b, &in->inviter);
    bool known = mesh_known(b, &mesh);
    assert(known && author != NULL && b->redeeming_count < BACKEND_REDEEMING_MAX);
    (void)known;
    struct mesh_run *run = mesh_run_begin(b, NULL);
    run->done = redeemed;
    run->ticket = ++b->redeeming_ticket;
    b->redeeming[b->redeeming_count++] =
        (struct redeeming){.name = in->name, .node = *use->node, .conn = conn, .ticket = run->ticket};
    struct member_change m = {.mesh = &mesh, .author = author, .role = in->role, .removed = "no", .invitation = &in->name};
    m.key = use->node;
    m.with = use->author;
    member_write(run, &m);
    m.key = use->author;
    m.with = use->node;
    member_write(run, &m);
    mesh_run_end(run);
}

static bool was_removed(const struct backend *b, const struct key *k)
{
    struct standing s;
    return store_standing(b->store, k, &s) != ERR_OK || s.removed;
}

/* Signatures hold, and this node has the inviter's key: the mesh's own say. */
static void judge_use(struct backend *b, uint64_t conn, const struct invitation *in, struct use *use)
{
    assert(b->redeeming_count <= BACKEND_REDEEMING_MAX && author_of_key(b, &in->inviter) != NULL);
    char text[160], time[25];
    struct standing inviter;
    struct redeeming *under_way = redeeming_of(b, &in->name);
    json_time(time, hlc_from_ms(in->expires_s * 1000));
    (void)snprintf(text, sizeof text, "the invitation expired at %s by the inviter's clock: ask for another one", time);
    bool ok = store_standing(b->store, &in->inviter, &inviter) == ERR_OK && members_each(b, look_for_use, use) == ERR_OK;
    if (!ok)
        answer(b, conn, NET_WELCOME_ELSEWHERE, "the inviter's node cannot read its store just now; it is asked again");
    else if (!inviter.founder && !inviter.operator)
        refuse(b, conn, "the inviter is not an operator of this mesh any more: ask another operator for an invitation");
    else if (use->by_other || (under_way != NULL && !key_eq(&under_way->node, use->node)))
        refuse(b, conn, "the invitation was used already, by another node: ask for one of your own");
    else if (use->node_in && use->author_in)
        answer(b, conn, NET_WELCOME_ADMITTED, "admitted already");
    else if (was_removed(b, use->node) || was_removed(b, use->author))
        refuse(b, conn, "this node's key or its author key was removed from the mesh: ask an operator for souk mesh admit");
    else if (under_way != NULL)
        under_way->conn = conn;
    else if (clock_s(b) > in->expires_s)
        refuse(b, conn, text);
    else if (b->redeeming_count == BACKEND_REDEEMING_MAX)
        answer(b, conn, NET_WELCOME_ELSEWHERE, "too many newcomers at once; the inviter's node is asked again");
    else
        redeem(b, conn, in, use);
}

void backend_join(struct backend *b, uint64_t conn, const struct key *node, struct bytes application)
{
    struct invitation in;
    struct key author;
    struct use use = {.name = &in.name, .node = node, .author = &author};
    enum err e = invite_judge(application, node, &in, &author);
    if (e == ERR_VERSION)
        refuse(b, conn, "the invitation is of a version that the inviter's node does not know");
    else if (e != ERR_OK)
        refuse(b, conn, "a signature of the application does not hold: ask for another invitation");
    else if (!id_eq(&in.mesh, &b->config.mesh))
        refuse(b, conn, "the invitation is for another mesh: start in a directory of its own, with an address of that mesh");
    else if (author_of_key(b, &in.inviter) == NULL)
        answer(b, conn, NET_WELCOME_ELSEWHERE, "this node does not hold the inviter's key; the inviter's own node admits");
    else
        judge_use(b, conn, &in, &use);
}

/* ---- one invitation, two newcomers ------------------------------------------------------------------------------- */

/* A member that came by an invitation. */
struct guest {
    struct key invitation, key, with;
    bool has_with;
    char since[40];             /* of its first statement: the same on every node that holds the same */
};
struct watch {
    struct backend *backend;
    struct guest *guests;
    size_t count;
    size_t too_many;            /* at the front of guests: those who have to go */
    enum err err;
};

static bool note_guest(void *ctx, const struct member_row *m)
{
    struct watch *watch = ctx;
    struct standing s;
    if (!m->has_invitation || m->removed || store_standing(watch->backend->store, &m->key, &s) != ERR_OK || s.operator || s.founder)
        return true;
    struct bytes since = jsonscan_member(jsonscan_member(m->json, "meta"), "created_at");
    watch->guests = mem_realloc(watch->guests, watch->count + 1, sizeof *watch->guests);
    struct guest *g = &watch->guests[watch->count++];
    *g = (struct guest){.invitation = m->invitation, .key = m->key, .with = m->with, .has_with = m->has_with};
    (void)snprintf(g->since, sizeof g->since, "%.*s", (int)since.n, (const char *)since.p);
    return true;
}

/* By invitation, then the earliest, then the smaller key. */
static int guest_order(const void *a, const void *b)
{
    const struct guest *x = a, *y = b;
    int c = key_cmp(&x->invitation, &y->invitation);
    if (c == 0)
        c = strcmp(x->since, y->since);
    return c != 0 ? c : key_cmp(&x->key, &y->key);
}

/* Who came first with an invitation stays, with its other key. */
static void sort_out(struct watch *watch)
{
    const struct guest *first = NULL;
    struct guest *gone = mem_calloc(watch->count, sizeof *gone);
    if (watch->count > 1)
        qsort(watch->guests, watch->count, sizeof *watch->guests, guest_order);
    for (size_t i = 0; i < watch->count; i++) {
        const struct guest *g = &watch->guests[i];
        if (first == NULL || !key_eq(&first->invitation, &g->invitation))
            first = g;
        else if (!first->has_with || !key_eq(&g->key, &first->with))
            gone[watch->too_many++] = *g;
    }
    free(watch->guests);
    watch->guests = gone;
    assert(watch->too_many == 0 || watch->too_many < watch->count); /* who came first stays */
    watch->count = watch->too_many;
}

static void watch_work(void *arg)
{
    struct watch *watch = arg;
    watch->err = members_each(watch->backend, note_guest, watch);
    sort_out(watch);
}

static void watch_done(void *arg)
{
    struct watch *watch = arg;
    struct backend *b = watch->backend;
    assert(b->watching);
    struct mesh_of mesh;
    struct author *author = mesh_signer(b, "", POWER_OPERATOR, NULL);
    b->watching = false;
    if (watch->err == ERR_OK && watch->count > 0 && author != NULL && mesh_known(b, &mesh)) {
        struct mesh_run *run = mesh_run_begin(b, NULL);
        for (size_t i = 0; i < watch->count; i++)
            member_write(run, &(struct member_change){
                                  .mesh = &mesh, .author = author, .key = &watch->guests[i].key, .removed = "yes"});
        mesh_run_end(run);
    }
    free(watch->guests);
    free(watch);
}

void backend_members_changed(struct backend *b)
{
    b->watch_due = true;
}

void invite_watch(struct backend *b)
{
    if (!b->watch_due || b->watching)
        return;
    b->watch_due = false;
    if (mesh_signer(b, "", POWER_OPERATOR, NULL) == NULL)
        return;
    b->watching = true;
    struct watch *watch = mem_zalloc(sizeof *watch);
    watch->backend = b;
    b->hooks.defer(b->hooks.ctx, watch_work, watch_done, watch);
}
