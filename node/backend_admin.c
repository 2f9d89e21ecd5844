/*
 * Admin verbs that concern the mesh and the catalogue. Everything else goes on to the process around the node.
 */
#include "node/backend_internal.h"

#include "crdt/alloc.h"
#include "node/config.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell_net(struct backend *b, struct net_event event)
{
    struct node_stats stats;
    node_stats(b->node, &stats);
    struct node_event node = {.kind = NODE_NET, .net = event, .clock_ms = stats.clock_ms};
    node_input(b->node, &node, stats.now_ms);
}

/* The string member `name` of the call's JSON body, borrowed from *root; NULL after answering the call. */
const char *backend_text_member(struct api_call *call, const char *name, json_t **root)
{
    *root = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    const char *text = json_string_value(json_object_get(*root, name));
    if (text != NULL)
        return text;
    json_decref(*root);
    *root = NULL;
    buf_printf(&call->detail, "the body must be a JSON object with a string member \"%s\"", name);
    backend_fail(call, ERR_INVALID, NULL);
    return NULL;
}

static void admin_peers(struct backend *b, struct api_call *call)
{
    backend_put_peers(b, &call->out);
    backend_ok(call);
}

static void admin_peer_add(struct backend *b, struct api_call *call)
{
    json_t *root;
    const char *address = backend_text_member(call, "address", &root);
    if (address == NULL)
        return;
    if (strlen(address) >= NET_ADDR_MAX || !config_peer_valid(bytes_str(address))) {
        buf_printf(&call->detail, "peer add " CONFIG_PEER_WANTED ", not \"%.200s\"", address);
        json_decref(root);
        backend_fail(call, ERR_INVALID, NULL);
        return;
    }
    tell_net(b, (struct net_event){.kind = NET_PEER_PIN, .addr = address});
    json_decref(root);
    buf_put_str(&call->out, "{}");
    backend_ok(call);
}

/* Finds the one peer whose id is `text` or starts with it. Only a ban may name a stranger, by its whole id. One to be
 * removed may be named by its address: as long as it never answered it has no other name. */
static bool find_peer(struct backend *b, const char *text, enum net_event_kind kind, struct key *out)
{
    size_t n = net_peers(node_net(b->node), NULL, 0), found = 0, length = strlen(text);
    struct net_peer_info *peers = mem_calloc(n + 1, sizeof *peers);
    size_t again = net_peers(node_net(b->node), peers, n);
    assert(again == n);
    (void)again;
    for (size_t i = 0; i < n && length >= 4; i++) {
        char hex[ID_HEX_SIZE];
        key_hex(hex, &peers[i].id);
        bool known = !key_eq(&peers[i].id, &(struct key){{0}}),
             named = kind == NET_PEER_REMOVE && strcmp(peers[i].address, text) == 0;
        if (named || (known && length < ID_HEX_SIZE && strncmp(hex, text, length) == 0)) {
            *out = peers[i].id;
            found++;
        }
    }
    free(peers);
    return found == 1 || (found == 0 && kind == NET_PEER_BAN && key_parse(out, bytes_str(text)));
}

static void admin_peer(struct backend *b, struct api_call *call, enum net_event_kind kind)
{
    json_t *root;
    struct key key;
    const char *id = backend_text_member(call, "id", &root);
    if (id == NULL)
        return;
    bool found = find_peer(b, id, kind, &key), keyless = found && key_eq(&key, &(struct key){{0}});
    if (found)
        tell_net(b, (struct net_event){.kind = kind, .peer = key, .addr = keyless ? id : NULL});
    else
        buf_printf(&call->detail, "no single peer has an id that starts with \"%.64s\"; souk peer ls shows them", id);
    json_decref(root);
    if (!found) {
        backend_fail(call, ERR_NOT_FOUND, NULL);
        return;
    }
    buf_put_str(&call->out, "{}");
    backend_ok(call);
}

static void admin_sync(struct backend *b, struct api_call *call)
{
    tell_net(b, (struct net_event){.kind = NET_SYNC_NOW});
    buf_put_str(&call->out, "{}");
    backend_ok(call);
}

/* ---- verify ------------------------------------------------------------------------------------------------------ */

#define FINDINGS_MAX 1000 /* shown; further failures are counted by the verdict alone */

struct findings {
    struct buf *out;
    size_t count;
};

static void put_finding(void *ctx, const struct verify_finding *f)
{
    struct findings *list = ctx;
    assert(f->ok == (f->detail[0] == 0));
    char hex[ID_HEX_SIZE];
    if (list->count++ >= FINDINGS_MAX)
        return;
    id_hex(hex, &f->subject);
    buf_printf(list->out, "%s{\"ok\":%s,\"check\":\"%s\",\"subject\":\"%s\",\"detail\":", list->count > 1 ? "," : "",
               f->ok ? "true" : "false", f->check, hex);
    json_put_string(list->out, bytes_str(f->detail));
    buf_put_u8(list->out, '}');
}

static enum err work_verify(struct backend *b, struct api_call *call)
{
    struct buf rows = {0};
    struct findings list = {.out = &rows};
    struct store_stats stats;
    bool one = !id_is_zero(&call->id);
    enum err e = ERR_NOT_FOUND;
    if (!one || store_is_kind(b->store, &call->id, call->kind))
        e = store_verify(b->store, one ? &call->id : NULL, put_finding, NULL, &list);
    store_stats(b->store, &stats);
    if (e == ERR_OK || e == ERR_CORRUPT) {
        buf_printf(&call->out, "{\"ok\":%s,\"deltas\":%llu,\"findings\":[", e == ERR_OK ? "true" : "false",
                   (unsigned long long)stats.deltas);
        buf_put_bytes(&call->out, buf_view(&rows));
        buf_put_str(&call->out, "]}");
        e = ERR_OK;
    }
    if (e == ERR_NOT_FOUND)
        buf_put_str(&call->detail, "there is no entry of this kind and id here");
    buf_close(&rows);
    return e;
}

/* The body names one entry by kind and id, or nothing at all. */
static void admin_verify(struct backend *b, struct api_call *call)
{
    json_t *root = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    const char *id = json_string_value(json_object_get(root, "id")),
               *word = json_string_value(json_object_get(root, "kind"));
    const struct kind_desc *kind = word != NULL ? kind_by_word(word) : NULL;
    call->kind = kind != NULL ? kind->kind : 0;
    bool bad = id != NULL && !id_parse(&call->id, bytes_str(id));
    if (id == NULL)
        call->id = (struct id){{0}};
    json_decref(root);
    if (bad)
        backend_fail(call, ERR_INVALID, "id is not 64 hex digits");
    else
        backend_defer(b, call, work_verify);
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

void backend_admin(struct backend *b, struct api_call *call)
{
    const char *verb = call->admin;
    if (strcmp(verb, "peers") == 0)
        admin_peers(b, call);
    else if (strcmp(verb, "peer-add") == 0)
        admin_peer_add(b, call);
    else if (strcmp(verb, "peer-rm") == 0)
        admin_peer(b, call, NET_PEER_REMOVE);
    else if (strcmp(verb, "peer-ban") == 0)
        admin_peer(b, call, NET_PEER_BAN);
    else if (strcmp(verb, "peer-unban") == 0)
        admin_peer(b, call, NET_PEER_UNBAN);
    else if (strcmp(verb, "sync") == 0)
        admin_sync(b, call);
    else if (strcmp(verb, "copy") == 0)
        backend_copy(b, call);
    else if (strcmp(verb, "conflicts") == 0)
        backend_defer(b, call, backend_work_conflicts);
    else if (strcmp(verb, "verify") == 0)
        admin_verify(b, call);
    else if (strcmp(verb, "import") == 0)
        backend_import(b, call);
    else if (!backend_mesh(b, call))
        b->hooks.admin(b->hooks.ctx, call);
}
