/* Any JSON as a manifest: what is accepted is complete, so that it reads as itself, and all its texts are within bounds. */
#include "node/deployment.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct deployment one = {.kind = 1}, two = {.kind = 1};
    struct buf why = {0};
    json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (root == NULL)
        return 0;
    enum err e = deployment_parse(&one, root, &why);
    if ((e == ERR_OK) != (why.n == 0))
        abort();
    if (e == ERR_OK) {
        if (deployment_parse(&two, one.manifest, &why) != ERR_OK || !json_equal(one.manifest, two.manifest))
            abort();
        if (one.argc == 0 || one.argv[one.argc] != NULL || strlen(one.argv[0]) == 0)
            abort();
    }
    json_decref(root);
    deployment_close(&one);
    deployment_close(&two);
    buf_close(&why);
    return 0;
}
