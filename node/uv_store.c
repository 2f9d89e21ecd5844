/*
 * Opens a directory's store and says what to do when that fails. Knows neither locks nor settings.
 */
#include "node/uv_store.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void uv_store_next_step(const char *dir, enum err err, struct buf *why)
{
    if (err == ERR_CORRUPT)
        buf_printf(why,
                   "; bytes on disk are not what was written: stop the node, move %s/store away and start it again; it copies the "
                   "catalogue from its peers",
                   dir);
}

static enum err nothing_yet(const char *dir, struct buf *why)
{
    buf_printf(why, "%s holds no entries yet: no node has run there; `souk run` starts one", dir);
    return ERR_NOT_FOUND;
}

static enum err open_rows(const struct uv_store_config *c, struct kv **kv, struct store **store, struct buf *why)
{
    struct store_config config = {.mesh = c->mesh->id, .has_founder = c->mesh->has_founder, .founder = c->mesh->founder,
                                  .mesh_name = bytes_str(c->mesh->name)};
    enum err err = store_open(store, *kv, &config);
    /* Read-only, a store is never made: there is a database, and its first commit is missing. */
    if (err == ERR_READ_ONLY && c->read_only)
        return nothing_yet(c->dir, why);
    if (err != ERR_OK) {
        buf_printf(why, "cannot open the store in %s/store: ", c->dir);
        store_open_fault(*kv, err, why);
        uv_store_next_step(c->dir, err, why);
    }
    return err;
}

enum err uv_store_open(const struct uv_store_config *c, struct kv **kv, struct store **store, struct buf *why)
{
    char path[DIR_PATH_MAX + 8];
    struct buf said = {0};
    snprintf(path, sizeof path, "%s/store", c->dir);
    if (c->read_only && access(path, F_OK) != 0 && errno == ENOENT)
        return nothing_yet(c->dir, why);
    struct kv_rocks_config rocks = {
        .path = path, .cache_mb = c->cache_mb, .write_buffer_mb = c->write_buffer_mb, .read_only = c->read_only};
    enum err err = kv_rocks_open(kv, &rocks, &said);
    if (err == ERR_OK) {
        err = open_rows(c, kv, store, why);
    } else {
        buf_printf(why, "cannot open the store in %s: %s", path, buf_cstr(&said));
        uv_store_next_step(c->dir, err, why);
    }
    buf_close(&said);
    return err;
}
