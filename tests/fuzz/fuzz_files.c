/* Any bytes as key file, mesh file or token file are either refused with a sentence, or what was read of them is written as
 * a text that reads the same. The first byte chooses the file. */
#include "node/tokens.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a file and writes what was read. */
static enum err rewrite(uint8_t which, struct bytes in, struct buf *out, struct buf *why)
{
    uint8_t secret[32];
    struct mesh_file mesh;
    struct tokens tokens;
    enum err err;
    if (which % 3 == 0) {
        err = key_file_read(in, KEY_ED25519, secret, why);
        if (err == ERR_OK)
            key_file_write(out, KEY_ED25519, secret);
    } else if (which % 3 == 1) {
        err = mesh_file_read(in, &mesh, why);
        if (err == ERR_OK)
            mesh_file_write(out, &mesh);
    } else {
        tokens_init(&tokens, (struct token_rate){0});
        err = tokens_read(&tokens, in, why);
        if (err == ERR_OK)
            tokens_write(&tokens, out);
        tokens_close(&tokens);
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf why = {0}, once = {0}, twice = {0};
    if (size < 1)
        return 0;
    enum err err = rewrite(data[0], bytes_of(data + 1, size - 1), &once, &why);
    if ((err == ERR_OK) != (why.n == 0))
        abort();
    if (err == ERR_OK && (rewrite(data[0], buf_view(&once), &twice, &why) != ERR_OK ||
                          !bytes_eq(buf_view(&once), buf_view(&twice))))
        abort();
    buf_close(&once);
    buf_close(&twice);
    buf_close(&why);
    return 0;
}
