/*
 * Packing and unpacking of orders. Owns the default environment; trusts no length.
 */
#include "sandbox/message.h"

#include <assert.h>
#include <string.h>

static const char *const default_env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n + 1) == 0;
}

static bool env_has(const char *const *env, const char *variable)
{
    for (; env != NULL && *env != NULL; env++) {
        if (same_name(variable, *env))
            return true;
    }
    return false;
}

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text) + 1);
}

static void put_spec(struct buf *out, struct sandbox_order *o, const struct sandbox_spec *spec)
{
    o->limits = sandbox_limits_fill(spec->limits);
    o->weak = spec->weak;
    for (; spec->argv[o->argc] != NULL; o->argc++)
        put_text(out, spec->argv[o->argc]);
    for (size_t i = 0; i < sizeof default_env / sizeof default_env[0]; i++) {
        if (env_has(spec->env, default_env[i]))
            continue;
        put_text(out, default_env[i]);
        o->envc++;
    }
    for (size_t i = 0; spec->env != NULL && spec->env[i] != NULL; i++, o->envc++)
        put_text(out, spec->env[i]);
    for (; o->mounts < spec->mounts_count; o->mounts++) {
        const struct sandbox_mount *m = &spec->mounts[o->mounts];
        put_text(out, m->source);
        put_text(out, m->target);
        if (m->file != NULL)
            o->file_mask |= 1u << o->mounts;
    }
}

void sandbox_order_pack(struct buf *out, struct sandbox_order *order, const struct sandbox_spec *spec)
{
    struct buf text = {0};
    bool makes = order->kind == SANDBOX_ORDER_BUILD || order->kind == SANDBOX_ORDER_RUN;
    assert(makes == (spec != NULL));
    order->magic = SANDBOX_MESSAGE_MAGIC;
    order->argc = order->envc = order->mounts = order->file_mask = 0;
    if (spec != NULL)
        put_spec(&text, order, spec);
    order->text_bytes = (uint32_t)text.n;
    buf_put(out, order, sizeof *order);
    buf_put_bytes(out, buf_view(&text));
    assert(out->n <= SANDBOX_MESSAGE_MAX);
    buf_close(&text);
}

/* The next of the NUL-ended texts in *rest; NULL if there is none. */
static const char *take_text(struct bytes *rest)
{
    const uint8_t *end = rest->n > 0 ? memchr(rest->p, 0, rest->n) : NULL;
    if (end == NULL)
        return NULL;
    const char *text = (const char *)rest->p;
    rest->n -= (size_t)(end - rest->p) + 1;
    rest->p = end + 1;
    return text;
}

static bool take_list(struct bytes *rest, const char **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        list[i] = take_text(rest);
        if (list[i] == NULL)
            return false;
    }
    return true;
}

enum err sandbox_order_unpack(struct bytes message, struct sandbox_order *order, struct sandbox_order_text *text)
{
    assert(order != NULL && text != NULL);
    if (message.n < sizeof *order || message.n > SANDBOX_MESSAGE_MAX)
        return ERR_FORM;
    memcpy(order, message.p, sizeof *order);
    memset(text, 0, sizeof *text);
    struct bytes rest = bytes_of(message.p + sizeof *order, message.n - sizeof *order);
    if (order->magic != SANDBOX_MESSAGE_MAGIC || order->text_bytes != rest.n || order->argc > SANDBOX_ARGS_MAX ||
        order->envc > SANDBOX_ENV_MAX + 2 || order->mounts > SANDBOX_MOUNTS_MAX)
        return ERR_FORM;
    bool makes = order->kind == SANDBOX_ORDER_BUILD || order->kind == SANDBOX_ORDER_RUN;
    if (makes != (order->argc > 0) || order->kind < SANDBOX_ORDER_BUILD || order->kind > SANDBOX_ORDER_KILL)
        return ERR_FORM;
    if (!take_list(&rest, text->argv, order->argc) || !take_list(&rest, text->env, order->envc))
        return ERR_FORM;
    for (size_t i = 0; i < order->mounts; i++) {
        if (!take_list(&rest, &text->source[i], 1) || !take_list(&rest, &text->target[i], 1))
            return ERR_FORM;
    }
    return rest.n == 0 ? ERR_OK : ERR_FORM;
}
