/*
 * Builds the node's own entry and compares it with the one that is shown. Pure but for the queue it writes to.
 */
#include "node/describe.h"

#include "crdt/codec.h"
#include "crdt/record.h"
#include "node/jsonscan.h"

#include <assert.h>

#define DESCRIBED_FIELDS 4

static void put_text_or_nil(struct buf *out, const char *text)
{
    if (text[0] == 0)
        mp_put_nil(out);
    else
        mp_put_str(out, bytes_str(text));
}

static void put_list(struct buf *out, const char *text)
{
    mp_put_array(out, text[0] != 0);
    if (text[0] != 0)
        mp_put_str(out, bytes_str(text));
}

/* Is the value shown the text, or null where the text is empty? */
static bool shows(struct bytes value, const char *text)
{
    return text[0] == 0 ? bytes_eq(value, bytes_str("null")) : jsonscan_is(value, bytes_str(text));
}

static bool shows_list(struct bytes list, const char *text)
{
    size_t at = 0;
    struct bytes first = jsonscan_item(list, &at);
    if (text[0] == 0)
        return first.p == NULL;
    return jsonscan_is(first, bytes_str(text)) && jsonscan_item(list, &at).p == NULL;
}

static void put_deployments(struct buf *out, const struct node_description *d)
{
    assert(d->deployment_count == 0 || d->deployments != NULL);
    char hex[ID_HEX_SIZE];
    mp_put_array(out, d->deployment_count);
    for (size_t i = 0; i < d->deployment_count; i++) {
        const struct node_deployment *one = &d->deployments[i];
        mp_put_map(out, one->has_revision ? 2 : 1);
        mp_put_str(out, bytes_str("entry"));
        id_hex(hex, &one->entry);
        mp_put_str(out, bytes_str(hex));
        if (!one->has_revision)
            continue;
        mp_put_str(out, bytes_str("revision"));
        id_hex(hex, &one->revision);
        mp_put_str(out, bytes_str(hex));
    }
}

static bool shows_deployments(struct bytes list, const struct node_description *d)
{
    char hex[ID_HEX_SIZE];
    size_t at = 0, i = 0;
    struct bytes row;
    for (; (row = jsonscan_item(list, &at)).p != NULL; i++) {
        if (i == d->deployment_count)
            return false;
        id_hex(hex, &d->deployments[i].entry);
        if (!jsonscan_is(jsonscan_member(row, "entry"), bytes_str(hex)))
            return false;
        id_hex(hex, &d->deployments[i].revision);
        if (!shows(jsonscan_member(row, "revision"), d->deployments[i].has_revision ? hex : ""))
            return false;
    }
    return i == d->deployment_count;
}

static bool is_shown(const struct store *s, const struct id *entry, const struct node_description *d)
{
    assert(d->version[0] != 0);
    struct buf json = {0};
    struct entry_info info;
    bool same = false;
    if (store_get(s, KIND_NODE, entry, &info, &json) == ERR_OK) {
        buf_put_str(&json, "}}");
        struct bytes record = jsonscan_member(buf_view(&json), "node");
        same = shows(jsonscan_member(record, "http_url"), d->http_url) &&
               shows_list(jsonscan_member(record, "mesh_addresses"), d->mesh_address) &&
               shows_deployments(jsonscan_member(record, "deployments"), d) &&
               jsonscan_is(jsonscan_member(record, "version"), bytes_str(d->version));
    }
    buf_close(&json);
    return same;
}

enum err node_describe(struct node *n, const struct store *s, struct author *self,
                       const struct node_description *d)
{
    struct id entry;
    entry_id(&entry, KIND_NODE, &self->key, bytes_str(d->name));
    if (is_shown(s, &entry, d))
        return ERR_OK;
    struct buf url = {0}, addresses = {0}, version = {0}, deployments = {0};
    put_deployments(&deployments, d);
    put_text_or_nil(&url, d->http_url);
    put_list(&addresses, d->mesh_address);
    mp_put_str(&version, bytes_str(d->version));
    struct field fields[DESCRIBED_FIELDS] = { /* by name */
        {.name = bytes_str("deployments"), .value = buf_view(&deployments)},
        {.name = bytes_str("http_url"), .value = buf_view(&url)},
        {.name = bytes_str("mesh_addresses"), .value = buf_view(&addresses)},
        {.name = bytes_str("version"), .value = buf_view(&version)}};
    struct node_write w = {.action = WRITE_PUT,
                           .kind = KIND_NODE,
                           .owner = self->key,
                           .name = bytes_str(d->name),
                           .author = self,
                           .change = {.mode = CHANGE_PATCH, .field_count = DESCRIBED_FIELDS, .fields = fields}};
    assert(d->name[0] != 0);
    enum err e = node_write(n, &w);
    buf_close(&url);
    buf_close(&addresses);
    buf_close(&version);
    buf_close(&deployments);
    return e;
}
