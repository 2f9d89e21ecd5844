/*
 * souk run: the flags of the command line on top of souk.conf and the environment, then the node.
 */
#include "node/cli.h"

#include "crdt/hlc.h"
#include "node/suggest.h"
#include "node/uv_node.h"

#include <string.h>
#include <time.h>

static enum err set_flag(struct config *config, const char *key, struct bytes value, struct buf *why)
{
    enum err err = config_set(config, key, value, CONFIG_FLAG, why);
    if (err != ERR_OK)
        buf_put_str(why, "\n");
    return err;
}

static enum err set_flags(const struct cli *c, struct config *config, struct buf *why)
{
    static const char *const options[] = {"http", "listen", "advertise", "peer"};
    const char *value;
    enum err first = ERR_OK;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        for (size_t k = 0; (value = cli_option_at(c, options[i], k)) != NULL; k++) {
            enum err err = set_flag(config, options[i], bytes_str(value), why);
            first = first == ERR_OK ? err : first;
        }
    for (size_t k = 0; (value = cli_option_at(c, "set", k)) != NULL; k++) {
        const char *equals = strchr(value, '=');
        char key[SUGGEST_WORD_MAX + 1];
        enum err err = ERR_FORM;
        if (equals == NULL || (size_t)(equals - value) >= sizeof key) {
            buf_printf(why, "--set wants KEY=VALUE, not \"%.100s\"\n", value);
        } else {
            memcpy(key, value, (size_t)(equals - value));
            key[equals - value] = '\0';
            err = set_flag(config, key, bytes_str(equals + 1), why);
        }
        first = first == ERR_OK ? err : first;
    }
    return first;
}

static enum err load(void *ctx, struct config *config, struct buf *why)
{
    const struct cli *c = ctx;
    enum err err = dir_config(c->dir, config, why);
    enum err flags = set_flags(c, config, why);
    enum err whole = config_finish(config, why);
    return err == ERR_OK && flags == ERR_OK && whole == ERR_OK ? ERR_OK : ERR_INVALID;
}

/* Flags alone, before anything is made: a mistyped one is a matter of usage. */
static bool flags_valid(const struct cli *c)
{
    struct config config;
    struct buf why = {0};
    config_init(&config);
    enum err err = set_flags(c, &config, &why);
    config_close(&config);
    if (err != ERR_OK) {
        why.n--;
        cli_error("%s", buf_cstr(&why));
    }
    buf_close(&why);
    return err == ERR_OK;
}

/* --join: the invitation names the mesh. An expired one makes no directory; a node that has one may have been admitted. */
static enum cli_exit take_invitation(const struct cli *c, struct invitation *in, struct dir_setup *setup)
{
    const char *text = cli_option(c, "join");
    struct buf why = {0};
    if (text == NULL)
        return CLI_OK;
    if (setup->has_mesh || setup->new_mesh.p != NULL || setup->has_admission) {
        cli_error("--join names the mesh already; leave --mesh, --new-mesh and --admission out");
        return CLI_USAGE;
    }
    enum err err = invite_read(bytes_str(text), in, &why);
    if (err == ERR_OK && !dir_exists(c->dir) && (uint64_t)time(NULL) > in->expires_s) {
        char when[25];
        json_time(when, hlc_from_ms(in->expires_s * 1000));
        buf_printf(&why, "the invitation expired at %s; ask for another one (or set this machine's clock, if that is wrong)", when);
        err = ERR_DENIED;
    }
    if (err != ERR_OK) {
        cli_error("%s", buf_cstr(&why));
        buf_close(&why);
        return err == ERR_SIGNATURE || err == ERR_DENIED ? CLI_DENIED : CLI_USAGE;
    }
    setup->has_mesh = true;
    setup->mesh = in->mesh;
    setup->invitation = in;
    setup->invitation_text = bytes_str(text);
    return CLI_OK;
}

enum cli_exit cli_run(struct cli *c)
{
    struct uv_node_config config = {.dir = c->dir, .socket = c->socket, .load = load, .ctx = c};
    struct invitation invitation;
    struct buf why = {0};
    if (!cli_setup_options(c, &config.setup) || !flags_valid(c))
        return CLI_USAGE;
    enum cli_exit status = take_invitation(c, &invitation, &config.setup);
    if (status != CLI_OK)
        return status;
    enum err err = uv_node_run(&config, &why);
    sodium_memzero(&invitation, sizeof invitation);
    if (err != ERR_OK)
        return cli_fail(err, &why);
    buf_close(&why);
    return CLI_OK;
}
