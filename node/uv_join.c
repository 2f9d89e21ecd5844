/*
 * A newcomer's side: the invitation lies in D/invitation until both of the node's keys are admitted; until then every peer
 * hears the application. A refusal by a node that the invitation names is the end of the run; anyone else's is only told.
 */
#include "node/uv_server.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_admitted(const struct server *s, const struct key *key)
{
    struct standing standing;
    return store_standing(s->store, key, &standing) == ERR_OK && standing.admitted;
}

/* Its entry in the catalogue may be written as soon as the node is one of the mesh. */
static void settle(struct server *s)
{
    struct buf why = {0};
    s->joining = false;
    sodium_memzero(&s->invitation, sizeof s->invitation);
    net_set_application(node_net(s->node), (struct bytes){0});
    if (dir_remove(s->given->dir, DIR_INVITATION, &why) != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_WARN, "%s", buf_cstr(&why));
    buf_close(&why);
}

void server_join_check(struct server *s)
{
    const struct author *publisher = server_author(s, DIR_PUBLISHER);
    if (!s->joining || publisher == NULL || !is_admitted(s, &s->keys.node.key) || !is_admitted(s, &publisher->key))
        return;
    settle(s);
    uv_log(&s->log, LOG_NODE, LOG_INFO, "this node is a member of the mesh now");
    server_describe(s);
}

void server_join_start(struct server *s)
{
    struct buf text = {0}, why = {0}, application = {0};
    struct keypair pair;
    if (dir_read(s->given->dir, DIR_INVITATION, INVITE_TEXT_MAX, &text, &why) == ERR_OK) {
        buf_reset(&why);
        s->joining = invite_read(buf_view(&text), &s->invitation, &why) == ERR_OK && id_eq(&s->invitation.mesh, &s->mesh.id);
        if (!s->joining)
            uv_log(&s->log, LOG_NODE, LOG_WARN, "%s/%s is left aside: %s", s->given->dir, DIR_INVITATION,
                   why.n > 0 ? buf_cstr(&why) : "it is for another mesh");
    }
    if (s->joining && dir_author(s->given->dir, DIR_PUBLISHER, &pair, &why) == ERR_OK) {
        invite_apply(&application, &s->invitation, &s->keys.node.key, &pair);
        net_set_application(node_net(s->node), buf_view(&application));
        for (size_t i = 0; i < s->invitation.address_count; i++)
            server_feed(s, &(struct node_event){.kind = NODE_NET,
                                                .net = {.kind = NET_PEER_ADD, .addr = s->invitation.addresses[i]}});
    }
    sodium_memzero(&pair, sizeof pair);
    buf_close(&text);
    buf_close(&why);
    buf_close(&application);
    server_join_check(s);
}

void server_welcome(struct server *s, const struct net_action *a)
{
    char hex[ID_HEX_SIZE];
    if (!s->joining)
        return;
    key_hex(hex, &a->peer);
    hex[16] = '\0';
    if (a->welcome == NET_WELCOME_ADMITTED) {
        uv_log(&s->log, LOG_NODE, LOG_INFO, "%s admits this node; waiting for the mesh's word of it", hex);
    } else if (a->welcome == NET_WELCOME_REFUSED && invite_names_node(&s->invitation, &a->peer)) {
        buf_printf(&s->refusal,
                   "the mesh did not take this node in: %s; then start again with souk run --dir %s --join INVITATION", a->text,
                   s->given->dir);
        settle(s);
    } else {
        enum log_level level = a->welcome == NET_WELCOME_REFUSED ? LOG_WARN : LOG_INFO;
        uv_log(&s->log, LOG_NODE, level, "%s says of the invitation: %s", hex, a->text);
    }
}
