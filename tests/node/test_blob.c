/*
 * Blobs' lists and names: sizes at the edges, a list proves its name and its chunks.
 */
#include "node/blob.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <string.h>

static struct buf list_of(uint64_t size, uint64_t chunks)
{
    struct buf b = {0};
    buf_put_be(&b, size, 8);
    for (uint64_t i = 0; i < chunks; i++) {
        struct id id = gen_id(i);
        buf_put(&b, id.b, ID_BYTES);
    }
    return b;
}

static enum err read_list(uint64_t size, uint64_t chunks)
{
    struct buf b = list_of(size, chunks);
    uint64_t got_size, got_chunks;
    enum err e = blob_list_read(buf_view(&b), &got_size, &got_chunks);
    cr_assert(e != ERR_OK || (got_size == size && got_chunks == chunks));
    buf_close(&b);
    return e;
}

Test(blob, lists)
{
    cr_assert_eq(read_list(0, 0), ERR_OK);
    cr_assert_eq(read_list(1, 1), ERR_OK);
    cr_assert_eq(read_list(BLOB_CHUNK, 1), ERR_OK);
    cr_assert_eq(read_list(BLOB_CHUNK + 1, 2), ERR_OK);
    cr_assert_eq(read_list(0, 1), ERR_FORM);
    cr_assert_eq(read_list(1, 0), ERR_FORM);
    cr_assert_eq(read_list(BLOB_CHUNK + 1, 1), ERR_FORM);
    cr_assert_eq(read_list(UINT64_MAX, 3), ERR_FORM);
    cr_assert_eq(read_list((uint64_t)BLOB_CHUNK * BLOB_CHUNKS_MAX, BLOB_CHUNKS_MAX), ERR_OK);
    cr_assert_eq(read_list((uint64_t)BLOB_CHUNK * BLOB_CHUNKS_MAX + 1, BLOB_CHUNKS_MAX + 1), ERR_FORM);
}

Test(blob, cut_lists_are_refused)
{
    struct buf b = list_of(2 * BLOB_CHUNK, 2);
    uint64_t size, chunks;
    for (size_t n = 0; n < b.n; n++)
        cr_assert_eq(blob_list_read(bytes_of(b.p, n), &size, &chunks), ERR_FORM, "%zu", n);
    buf_close(&b);
}

Test(blob, the_last_chunk_is_what_is_left)
{
    uint64_t size = 2 * (uint64_t)BLOB_CHUNK + 5;
    cr_assert_eq(blob_chunk_size(size, 0), BLOB_CHUNK);
    cr_assert_eq(blob_chunk_size(size, 1), BLOB_CHUNK);
    cr_assert_eq(blob_chunk_size(size, 2), 5);
    cr_assert_eq(blob_chunk_size(BLOB_CHUNK, 0), BLOB_CHUNK);
}

Test(blob, names_differ_with_every_byte)
{
    struct buf b = list_of(2 * BLOB_CHUNK, 2);
    struct id name, other;
    blob_name(&name, buf_view(&b));
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] ^= 1;
        blob_name(&other, buf_view(&b));
        cr_assert(!id_eq(&name, &other));
        b.p[i] ^= 1;
    }
    blob_chunk_hash(&other, buf_view(&b));
    cr_assert(!id_eq(&name, &other), "a chunk's hash is no name");
    buf_close(&b);
}
