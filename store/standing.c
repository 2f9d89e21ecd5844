/*
 * How the mesh stands to a key, for readers: the charter's mode, whether a key is founder, operator, member or removed.
 * Reads what commits have stored, so any thread may ask; the writer's own view is policy.c's. Decides nothing.
 */
#include "store/work.h"

#include <assert.h>

enum { MEMBER_LIVE = 1, MEMBER_REMOVED = 2, POLICY_CHARTER_LIVE = 1, POLICY_OPEN = 2 }; /* as FORMAT 2 and 6 lay them out */

/* A row of one byte of flags; no row: none is set. */
static enum err get_flags(const struct store *s, const struct dbkey *key, uint8_t *out)
{
    struct buf row = {0};
    *out = 0;
    enum err e = s->kv->ops->get(s->kv, NULL, dbkey_view(key), &row);
    if (e == ERR_OK && row.n != 1)
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        *out = row.p[0];
    buf_close(&row);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err store_admission(const struct store *s, enum mesh_admission *out)
{
    struct dbkey key;
    uint8_t flags;
    dbkey_meta(&key, "policy");
    enum err e = get_flags(s, &key, &flags);
    *out = (flags & POLICY_CHARTER_LIVE) == 0 ? MESH_NO_CHARTER : (flags & POLICY_OPEN) != 0 ? MESH_OPEN : MESH_MEMBERS;
    return e;
}

/* The charter's statements about one key, revoked ones first: the last one granted decides. */
static enum err read_operator(const struct store *s, const struct id *charter, const struct key *k, bool *out)
{
    enum { AT_GRANTED = 1 + 2 * ID_BYTES, AT_EPOCH = AT_GRANTED + 1, ROW_KEY = AT_EPOCH + 8 };
    struct dbkey prefix;
    uint64_t revoked = 0;
    bool any_revoked = false;
    enum err e = ERR_OK;
    dbkey_of_id(&prefix, FAMILY_GRANT, charter);
    dbkey_add_key(&prefix, k);
    *out = false;
    struct kv_iter *it = s->kv->ops->iter(s->kv, NULL, dbkey_view(&prefix));
    for (bool on = s->kv->ops->seek(it, dbkey_view(&prefix)); on; on = s->kv->ops->next(it)) {
        struct bytes key = s->kv->ops->key(it);
        if (key.n != ROW_KEY) {
            e = ERR_CORRUPT;
            break;
        }
        uint64_t epoch = get_be(key.p + AT_EPOCH, 8);
        if (key.p[AT_GRANTED] == 0) {
            any_revoked = true;
            revoked = epoch;
        } else {
            *out = !any_revoked || epoch > revoked;
        }
    }
    enum err read = s->kv->ops->iter_close(it);
    return read != ERR_OK ? read : e;
}

enum err store_standing(const struct store *s, const struct key *k, struct standing *out)
{
    struct key founder;
    struct id charter;
    struct dbkey row;
    struct buf name = {0};
    enum mesh_admission admission = MESH_NO_CHARTER;
    uint8_t flags = 0;
    bool known;
    *out = (struct standing){0};
    enum err e = read_founder(s, &founder, &name, &known);
    if (known)
        entry_id(&charter, KIND_CHARTER, &founder, buf_view(&name));
    buf_close(&name);
    if (!known)
        return e;
    out->founder = key_eq(k, &founder);
    dbkey_start(&row, FAMILY_MEMBER);
    dbkey_add_key(&row, k);
    e = get_flags(s, &row, &flags);
    if (e == ERR_OK)
        e = read_operator(s, &charter, k, &out->operator);
    if (e == ERR_OK)
        e = store_admission(s, &admission);
    out->member = (flags & MEMBER_LIVE) != 0 && (flags & MEMBER_REMOVED) == 0;
    out->removed = (flags & MEMBER_REMOVED) != 0 && !out->founder && !out->operator;
    bool admitted = admission == MESH_OPEN ? !out->removed : admission == MESH_MEMBERS && out->member;
    out->admitted = out->founder || out->operator || admitted;
    assert(!out->removed || !out->admitted);
    return e;
}
