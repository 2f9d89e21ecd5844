/*
 * The calls that fill a configuration. Owns the values' text; decides what a valid
 * value is and nothing about what it is for. Reads no file and no environment.
 */
#include "node/config.h"

#include "node/suggest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct bytes trim(struct bytes s)
{
    assert(s.n == 0 || s.p != NULL);
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* ---- what a valid value is --------------------------------------------------------------------------------------- */

static bool printable(struct bytes s)
{
    if (!utf8_valid(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool parse_uint(struct bytes s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 19)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return true;
}

static bool host_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
}

static bool v6_char(uint8_t c)
{
    return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' || c == '.';
}

static bool host_valid(struct bytes host, bool (*allowed)(uint8_t))
{
    if (host.n == 0)
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (!allowed(host.p[i]))
            return false;
    return true;
}

bool config_split_address(struct bytes address, char *host, size_t host_size, unsigned *port)
{
    size_t colon = address.n;
    while (colon > 0 && address.p[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return false;
    struct bytes name = bytes_of(address.p, colon - 1);
    uint64_t number;
    if (!parse_uint(bytes_of(address.p + colon, address.n - colon), &number) || number > 65535)
        return false;
    bool v6 = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
    if (v6)
        name = bytes_of(name.p + 1, name.n - 2);
    if (!host_valid(name, v6 ? v6_char : host_char) || name.n >= host_size)
        return false;
    assert(number <= UINT16_MAX && name.n > 0);
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    *port = (unsigned)number;
    return true;
}

bool config_peer_valid(struct bytes s)
{
    char host[256];
    unsigned port;
    uint8_t key[32];
    if (s.n > 65 && s.p[64] == '@') {
        if (!hex_decode(key, sizeof key, bytes_of(s.p, 64)))
            return false;
        s = bytes_of(s.p + 65, s.n - 65);
    }
    return config_split_address(s, host, sizeof host, &port) && port > 0;
}

static bool choice_index(const char *const *choices, struct bytes s, uint64_t *out)
{
    assert(choices[0] != NULL);
    for (size_t i = 0; choices[i] != NULL; i++)
        if (bytes_eq(bytes_str(choices[i]), s)) {
            *out = i;
            return true;
        }
    return false;
}

static bool value_valid(const struct config_desc *d, struct bytes s, uint64_t *number)
{
    assert(d->min <= d->max);
    char host[256];
    unsigned port;
    uint8_t id[32];
    switch (d->type) {
    case CONFIG_TYPE_TEXT:
        return s.n >= d->min && s.n <= d->max && printable(s);
    case CONFIG_TYPE_UINT:
        return parse_uint(s, number) && *number >= d->min && *number <= d->max;
    case CONFIG_TYPE_CHOICE:
        return choice_index(d->choices, s, number);
    case CONFIG_TYPE_ADDRESS:
        return (s.n == 0 && d->fallback[0] == '\0') || config_split_address(s, host, sizeof host, &port);
    case CONFIG_TYPE_PEER:
        return s.n == 0 || config_peer_valid(s);
    case CONFIG_TYPE_ID:
        return s.n == 0 || hex_decode(id, sizeof id, s);
    }
    return false;
}

/* "wants ...": what a key accepts, for messages. */
static void put_wanted(struct buf *out, const struct config_desc *d)
{
    switch (d->type) {
    case CONFIG_TYPE_TEXT:
        buf_printf(out, "wants one line of text without control characters, at most %llu bytes", (unsigned long long)d->max);
        break;
    case CONFIG_TYPE_UINT:
        buf_printf(out, "wants a number from %llu to %llu", (unsigned long long)d->min, (unsigned long long)d->max);
        break;
    case CONFIG_TYPE_CHOICE:
        if (d->choices[1] == NULL) {
            buf_printf(out, "wants %s, the one value that this version knows", d->choices[0]);
            break;
        }
        buf_put_str(out, "wants one of");
        for (size_t i = 0; d->choices[i] != NULL; i++)
            buf_printf(out, "%s %s", i == 0 ? "" : ",", d->choices[i]);
        break;
    case CONFIG_TYPE_ADDRESS:
        buf_put_str(out, "wants HOST:PORT, for example 127.0.0.1:7070 or [::1]:7070");
        break;
    case CONFIG_TYPE_PEER:
        buf_put_str(out, CONFIG_PEER_WANTED);
        break;
    case CONFIG_TYPE_ID:
        buf_put_str(out, "wants 64 hex digits");
        break;
    }
}

/* ---- filling ----------------------------------------------------------------------------------------------------- */

static void value_reset(struct config_value *v)
{
    buf_reset(&v->text);
    v->count = 0;
}

static void value_store(struct config_value *v, const struct config_desc *d, struct bytes s, uint64_t number)
{
    bool list = d->type == CONFIG_TYPE_PEER;
    if (!list || s.n == 0)
        value_reset(v);
    if (list && v->count > 0)
        buf_put_str(&v->text, " ");
    buf_put_bytes(&v->text, s);
    (void)buf_cstr(&v->text);
    v->count += s.n > 0;
    v->number = number;
}

void config_init(struct config *c)
{
    *c = (struct config){0};
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_desc *desc = config_desc((enum config_key)i);
        uint64_t number = 0;
        assert(desc->name != NULL && desc->about != NULL);
        bool valid = value_valid(desc, bytes_str(desc->fallback), &number);
        assert(valid);
        (void)valid;
        value_store(&c->values[i], desc, bytes_str(desc->fallback), number);
    }
}

void config_close(struct config *c)
{
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        buf_close(&c->values[i].text);
    *c = (struct config){0};
}

static bool key_by_name(struct bytes name, enum config_key *out)
{
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        if (bytes_eq(bytes_str(config_desc((enum config_key)i)->name), name)) {
            *out = (enum config_key)i;
            return true;
        }
    return false;
}

static void put_unknown(struct buf *why, struct bytes name)
{
    char word[SUGGEST_WORD_MAX + 1] = {0};
    memcpy(word, name.p, name.n < SUGGEST_WORD_MAX ? name.n : SUGGEST_WORD_MAX);
    struct suggest s = {.word = word};
    assert(name.n > 0 || name.p != NULL);
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        suggest_offer(&s, config_desc((enum config_key)i)->name);
    if (utf8_valid(bytes_str(word)))
        buf_printf(why, "unknown setting \"%s\"", word);
    else
        buf_put_str(why, "unknown setting (its name is not UTF-8)");
    if (s.best != NULL)
        buf_printf(why, "; did you mean \"%s\"?", s.best);
    else
        buf_put_str(why, "; `souk config show` lists them all");
}

static void put_bad_value(struct buf *why, const struct config_desc *d, struct bytes value)
{
    buf_printf(why, "%s ", d->name);
    put_wanted(why, d);
    if (printable(value))
        buf_printf(why, ", not \"%.*s\"", (int)(value.n < 200 ? value.n : 200), (const char *)value.p);
}

static enum err assign(struct config *c, enum config_key key, struct bytes value, enum config_origin origin,
                       struct buf *why)
{
    const struct config_desc *d = config_desc(key);
    struct config_value *v = &c->values[key];
    uint64_t number = 0;
    if (!value_valid(d, value, &number)) {
        put_bad_value(why, d, value);
        return ERR_INVALID;
    }
    if (origin < v->origin)
        return ERR_OK;
    bool again = origin == v->origin && origin != CONFIG_DEFAULT;
    bool list = d->type == CONFIG_TYPE_PEER;
    if (again && !list && origin == CONFIG_FILE) {
        buf_printf(why, "%s is set already in line %u", d->name, v->line);
        return ERR_INVALID;
    }
    if (list && again && v->count >= CONFIG_PEERS_MAX) {
        buf_printf(why, "%s is given more than %d times", d->name, CONFIG_PEERS_MAX);
        return ERR_INVALID;
    }
    if (!again)
        value_reset(v);
    value_store(v, d, value, number);
    v->origin = origin;
    v->line = c->line;
    assert(v->count <= CONFIG_PEERS_MAX && (list || v->count <= 1));
    return ERR_OK;
}

enum err config_set(struct config *c, const char *name, struct bytes value, enum config_origin origin, struct buf *why)
{
    enum config_key key;
    assert(origin != CONFIG_DEFAULT);
    if (!key_by_name(bytes_str(name), &key)) {
        put_unknown(why, bytes_str(name));
        return ERR_NOT_FOUND;
    }
    return assign(c, key, value, origin, why);
}

/* The line without its message prefix. */
static enum err line_body(struct config *c, struct bytes line, struct buf *why)
{
    if (line.n > CONFIG_LINE_MAX) {
        buf_printf(why, "the line has more than %d bytes", CONFIG_LINE_MAX);
        return ERR_LIMIT;
    }
    line = trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return ERR_OK;
    const uint8_t *equals = memchr(line.p, '=', line.n);
    if (equals == NULL) {
        buf_put_str(why, "wants `key = value`");
        if (printable(line))
            buf_printf(why, ", not \"%.*s\"", (int)(line.n < 80 ? line.n : 80), (const char *)line.p);
        return ERR_FORM;
    }
    size_t at = (size_t)(equals - line.p);
    struct bytes name = trim(bytes_of(line.p, at)), value = trim(bytes_of(equals + 1, line.n - at - 1));
    enum config_key key;
    if (name.n == 0) {
        buf_put_str(why, "wants a key before `=`");
        return ERR_FORM;
    }
    if (!key_by_name(name, &key)) {
        put_unknown(why, name);
        return ERR_NOT_FOUND;
    }
    return assign(c, key, value, CONFIG_FILE, why);
}

enum err config_line(struct config *c, struct bytes line, struct buf *why)
{
    struct buf text = {0};
    c->line++;
    enum err err = line_body(c, line, &text);
    if (err != ERR_OK) {
        buf_printf(why, "souk.conf line %u: ", c->line);
        buf_put_bytes(why, buf_view(&text));
        buf_put_str(why, "\n");
    }
    buf_close(&text);
    return err;
}

enum err config_finish(const struct config *c, struct buf *why)
{
    const char *http = config_text(c, CONFIG_HTTP), *listen = config_text(c, CONFIG_LISTEN);
    char host[256];
    unsigned port = 0;
    bool split = config_split_address(bytes_str(http), host, sizeof host, &port);
    assert(split);
    if (split && port != 0 && strcmp(http, listen) == 0) {
        buf_printf(why, "http and listen are both %s; give them different ports\n", http);
        return ERR_INVALID;
    }
    const char *told = config_text(c, CONFIG_ADVERTISE);
    if (!config_split_address(bytes_str(told), host, sizeof host, &port))
        return ERR_OK; /* empty: what is listened on */
    if (port == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
        buf_printf(why, "advertise is %s, where nobody can connect to; give the address that other nodes reach\n", told);
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

const char *config_text(const struct config *c, enum config_key key)
{
    assert(key < CONFIG_COUNT);
    return (const char *)c->values[key].text.p; /* value_store keeps a NUL after the end */
}

uint64_t config_number(const struct config *c, enum config_key key)
{
    assert(key < CONFIG_COUNT);
    assert(config_desc(key)->type == CONFIG_TYPE_UINT || config_desc(key)->type == CONFIG_TYPE_CHOICE);
    return c->values[key].number;
}

bool config_item(const struct config *c, enum config_key key, size_t i, char *out, size_t size)
{
    const char *p = config_text(c, key);
    assert(config_desc(key)->type == CONFIG_TYPE_PEER);
    for (; i > 0 && p != NULL; i--)
        p = strchr(p, ' ') != NULL ? strchr(p, ' ') + 1 : NULL;
    if (p == NULL || *p == '\0')
        return false;
    size_t n = strcspn(p, " ");
    assert(n > 0);
    if (n >= size)
        return false;
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

void config_variable(enum config_key key, struct buf *out)
{
    buf_put_str(out, "SOUK_");
    for (const char *p = config_desc(key)->name; *p != '\0'; p++)
        buf_put_u8(out, (uint8_t)(*p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p));
}

void config_where(const struct config *c, enum config_key key, struct buf *out)
{
    assert(key < CONFIG_COUNT && (c->values[key].origin != CONFIG_FILE || c->values[key].line > 0));
    switch (c->values[key].origin) {
    case CONFIG_DEFAULT:
        buf_put_str(out, "default");
        break;
    case CONFIG_FILE:
        buf_printf(out, "souk.conf:%u", c->values[key].line);
        break;
    case CONFIG_ENV:
        config_variable(key, out);
        break;
    case CONFIG_FLAG:
        buf_put_str(out, "flag");
        break;
    }
}
