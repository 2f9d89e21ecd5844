/*
 * Opens a directory's store read-only under its lock. Knows no verb.
 */
#include "node/cli_store.h"

#include "node/uv_store.h"

#include <unistd.h>

enum err cli_store_try(struct cli *c, struct cli_store *s, struct buf *why)
{
    struct mesh_file mesh;
    struct uv_store_config config = {.dir = c->dir, .mesh = &mesh, .cache_mb = 64, .write_buffer_mb = 4, .read_only = true};
    *s = (struct cli_store){.lock = -1};
    enum err err = dir_mesh(c->dir, &mesh, why);
    if (err == ERR_NOT_FOUND)
        buf_put_str(why, "; `souk run` or `souk init` makes a data directory, --dir names another one");
    if (err == ERR_OK)
        err = dir_lock(c->dir, &s->lock, why);
    return err == ERR_OK ? uv_store_open(&config, &s->kv, &s->store, why) : err;
}

enum cli_exit cli_store_open(struct cli *c, struct cli_store *out)
{
    struct buf why = {0};
    enum err err = cli_store_try(c, out, &why);
    if (err == ERR_OK) {
        buf_close(&why);
        return CLI_OK;
    }
    cli_store_close(out);
    return cli_fail(err, &why);
}

void cli_store_close(struct cli_store *s)
{
    if (s->store != NULL)
        store_close(s->store);
    if (s->kv != NULL)
        s->kv->ops->close(s->kv);
    if (s->lock >= 0)
        close(s->lock);
    *s = (struct cli_store){.lock = -1};
}

#define CANDIDATES_MAX 16

enum cli_exit cli_store_find(const struct cli_store *s, const struct kind_desc *kind, const char *text, struct id *out)
{
    struct id found[CANDIDATES_MAX];
    if (id_parse(out, bytes_str(text)))
        return CLI_OK;
    struct store_named named = {.ids = found, .max = CANDIDATES_MAX};
    enum err e = store_by_name(s->store, kind->kind, bytes_str(text), &named);
    if (e != ERR_OK) {
        cli_error("the names in the store cannot be read: %s; `souk verify` says more", err_text(e));
        return cli_exit_of(e);
    }
    size_t n = named.count;
    if (n == 0) {
        cli_error("there is no %s named \"%s\" here", kind->singular, text);
        return CLI_NOT_FOUND;
    }
    *out = found[0];
    if (n == 1)
        return CLI_OK;
    cli_error("%zu entries have that name; give the id of one:", n);
    for (size_t i = 0; i < n && i < CANDIDATES_MAX; i++) {
        char hex[ID_HEX_SIZE];
        id_hex(hex, &found[i]);
        cli_note("  %s", hex);
    }
    return CLI_CONFLICT;
}
