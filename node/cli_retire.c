/*
 * souk key retire: repeats the node's portions until nothing is left to move.
 */
#include "node/cli.h"

#include <stdio.h>
#include <string.h>

static void tell_failed(const json_t *names)
{
    const json_t *name;
    size_t i;
    json_array_foreach(names, i, name)
        cli_error("\"%s\" was left where it is: it breaks rules of its schema; mend it and retire the key again", json_string_value(name));
}

static enum cli_exit portion(struct cli *c, long long *moved, long long *left, long long *failed)
{
    struct cli_reply reply;
    json_t *body = cli_object("old", c->args[0]);
    json_object_set_new(body, "new", json_string(c->args[1]));
    enum cli_exit status = cli_admin(c, "key-retire", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    if (root == NULL)
        status = CLI_FAILED;
    *moved += cli_int(root, "moved");
    *left = cli_int(root, "left");
    *failed = (long long)json_array_size(json_object_get(root, "failed"));
    if (*left == 0)
        tell_failed(json_object_get(root, "failed"));
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

enum cli_exit cli_key_retire(struct cli *c)
{
    struct cli_progress progress;
    long long moved = 0, left = 1, failed = 0;
    enum cli_exit status = CLI_OK;
    cli_progress_begin(&progress, c, "entries", 0);
    while (status == CLI_OK && left > 0) {
        status = portion(c, &moved, &left, &failed);
        progress.total = (uint64_t)(moved + left);
        cli_progress_draw(&progress, (uint64_t)moved, (uint64_t)moved);
    }
    cli_progress_clear(&progress);
    if (status != CLI_OK)
        return status;
    if (c->format == CLI_HUMAN)
        printf("%lld entries of %s are now %s's\n", moved, c->args[0], c->args[1]);
    else
        printf("{\"moved\":%lld,\"failed\":%lld}\n", moved, failed);
    return failed > 0 ? CLI_FAILED : CLI_OK;
}
