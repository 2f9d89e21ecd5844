/* Any bytes as a signed document: what is accepted has one canonical form, which reads as itself; none is a receipt that
 * verifies unless it was in the corpus. */
#include "api/jcs.h"
#include "node/receipt.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf one = {0}, two = {0}, why = {0};
    struct receipt_view view;
    json_t *root = jcs_parse(bytes_of(data, size), &why), *again;
    if (root != NULL) {
        if (jcs_put(&one, root) != ERR_OK || (again = jcs_parse(buf_view(&one), &why)) == NULL)
            abort();
        if (jcs_put(&two, again) != ERR_OK || !bytes_eq(buf_view(&one), buf_view(&two)))
            abort();
        json_decref(again);
        json_decref(root);
    }
    buf_reset(&why);
    if ((receipt_verify(bytes_of(data, size), &view, &why) == ERR_OK) != (why.n == 0))
        abort();
    buf_close(&one);
    buf_close(&two);
    buf_close(&why);
    return 0;
}
