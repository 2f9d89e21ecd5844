/*
 * Any bytes as an invitation's text, as what its text encodes, and as a newcomer's application: nothing crashes, and
 * what is accepted is within its bounds and signed.
 */
#include "node/invite.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct invitation *in)
{
    if (in->address_count > INVITE_ADDRESSES_MAX || in->card_bytes > INVITE_CARD_MAX || in->mesh_name[0] == 0 || in->role[0] == 0)
        abort();
    for (size_t i = 0; i < in->address_count; i++)
        if (strlen(in->addresses[i]) >= NET_ADDR_MAX)
            abort();
}

static void read_text(struct bytes text)
{
    struct invitation in;
    struct buf why = {0};
    if (invite_read(text, &in, &why) == ERR_OK)
        check(&in);
    else if (why.n == 0)
        abort(); /* a refusal without a reason */
    buf_close(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char prefix[] = "soukinvite1_";
    const struct key node = {{1}};
    struct invitation in;
    struct key author;
    struct buf text = {0};
    read_text(bytes_of(data, size));
    if (invite_judge(bytes_of(data, size), &node, &in, &author) == ERR_OK)
        check(&in);
    if (size <= INVITE_CARD_MAX) {
        size_t n = sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        buf_put_str(&text, prefix);
        (void)sodium_bin2base64((char *)buf_grow(&text, n), n, data, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        text.n += n - 1;
        read_text(buf_view(&text));
    }
    buf_close(&text);
    return 0;
}
