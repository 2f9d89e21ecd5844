/*
 * Names, lists and places of blobs.
 */
#include "node/blob.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void blob_chunk_hash(struct id *out, struct bytes chunk)
{
    struct hasher h;
    hash_init(&h, "souk/blob-chunk/1");
    hash_part(&h, chunk.p, chunk.n);
    hash_end(&h, out);
}

void blob_name(struct id *out, struct bytes list)
{
    struct hasher h;
    hash_init(&h, "souk/blob/1");
    hash_part(&h, list.p, list.n);
    hash_end(&h, out);
}

enum err blob_list_read(struct bytes list, uint64_t *size, uint64_t *chunks)
{
    if (list.n < 8 || (list.n - 8) % ID_BYTES != 0 || list.n > BLOB_LIST_MAX)
        return ERR_FORM;
    *size = get_be(list.p, 8);
    *chunks = (list.n - 8) / ID_BYTES;
    uint64_t want = *size / BLOB_CHUNK + (*size % BLOB_CHUNK != 0);
    return want == *chunks ? ERR_OK : ERR_FORM;
}

struct id blob_list_at(struct bytes list, uint64_t chunk)
{
    struct id id;
    assert(8 + (chunk + 1) * ID_BYTES <= list.n);
    memcpy(id.b, list.p + 8 + chunk * ID_BYTES, ID_BYTES);
    return id;
}

uint64_t blob_chunk_size(uint64_t size, uint64_t chunk)
{
    assert(chunk * BLOB_CHUNK < size);
    uint64_t left = size - chunk * BLOB_CHUNK;
    return left < BLOB_CHUNK ? left : BLOB_CHUNK;
}

void blob_path(char *out, size_t size, const char *dir, const struct id *name)
{
    char hex[ID_HEX_SIZE];
    id_hex(hex, name);
    (void)snprintf(out, size, "%s/blobs/%s", dir, hex);
}

void blob_list_path(char *out, size_t size, const char *dir, const struct id *name)
{
    char hex[ID_HEX_SIZE];
    id_hex(hex, name);
    (void)snprintf(out, size, "%s/blobs/%s.list", dir, hex);
}
