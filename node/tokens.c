/*
 * Tokens as a short list, found by the hash of their text. A node has tens of them, at most a few
 * thousand, and a lookup compares eight bytes a row. Owns the list; writes no file.
 */
#include "node/tokens.h"

#include "crdt/alloc.h"
#include "node/textfile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "souk_"

void tokens_init(struct tokens *t, struct token_rate rate)
{
    assert(rate.per_second == 0 || rate.burst > 0);
    *t = (struct tokens){.next_id = 1, .rate = rate};
}

void tokens_close(struct tokens *t)
{
    free(t->list);
    *t = (struct tokens){0};
}

unsigned token_scopes_parse(struct bytes text)
{
    unsigned scopes = 0;
    while (text.n > 0) {
        const uint8_t *comma = memchr(text.p, ',', text.n);
        struct bytes word = bytes_of(text.p, comma == NULL ? text.n : (size_t)(comma - text.p));
        if (bytes_eq(word, bytes_str("read")))
            scopes |= TOKEN_READ;
        else if (bytes_eq(word, bytes_str("write")))
            scopes |= TOKEN_READ | TOKEN_WRITE;
        else if (bytes_eq(word, bytes_str("invoke")))
            scopes |= TOKEN_INVOKE;
        else
            return 0;
        size_t used = comma == NULL ? text.n : word.n + 1;
        text = bytes_of(text.p + used, text.n - used);
    }
    return scopes;
}

void token_scopes_put(struct buf *out, unsigned scopes)
{
    const char *comma = "";
    assert(scopes != 0 && scopes < 8);
    if (scopes & TOKEN_READ) {
        buf_put_str(out, "read");
        comma = ",";
    }
    if (scopes & TOKEN_WRITE) {
        buf_printf(out, "%swrite", comma);
        comma = ",";
    }
    if (scopes & TOKEN_INVOKE)
        buf_printf(out, "%sinvoke", comma);
}

static void token_hash(uint8_t out[32], struct bytes text)
{
    struct hasher h;
    struct id id;
    hash_init(&h, "souk/token/1");
    hash_part(&h, text.p, text.n);
    hash_end(&h, &id);
    memcpy(out, id.b, sizeof id.b);
}

static bool name_valid(struct bytes name)
{
    if (name.n > TOKEN_NAME_MAX || !utf8_valid(name))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < 0x20 || name.p[i] == 0x7f)
            return false;
    return true;
}

static struct token *append(struct tokens *t)
{
    assert(t->count < TOKENS_MAX);
    t->list = mem_realloc(t->list, t->count + 1, sizeof *t->list);
    t->list[t->count] = (struct token){.level_milli = t->rate.burst * 1000};
    return &t->list[t->count++];
}

static void copy_text(char *out, struct bytes in)
{
    assert(in.n <= KEY_NAME_MAX && KEY_NAME_MAX == TOKEN_NAME_MAX);
    if (in.n > 0)
        memcpy(out, in.p, in.n);
    out[in.n] = '\0';
}

enum err tokens_new(struct tokens *t, const struct token_request *request, struct rng *rng, char text[TOKEN_TEXT_SIZE],
                    const struct token **out)
{
    struct bytes as = request->as.n == 0 ? bytes_str("publisher") : request->as;
    if (request->scopes == 0 || request->scopes > 7 || !name_valid(request->name) || !key_name_valid(as))
        return ERR_INVALID;
    if (t->count >= TOKENS_MAX)
        return ERR_LIMIT;
    uint8_t secret[32];
    rng_bytes(rng, secret, sizeof secret);
    memcpy(text, PREFIX, 5);
    hex_encode(text + 5, secret, sizeof secret);
    sodium_memzero(secret, sizeof secret);
    assert(t->count == 0 || t->list[t->count - 1].id < t->next_id);
    struct token *token = append(t);
    token->id = t->next_id++;
    token->scopes = request->scopes;
    token->created_ms = request->clock_ms;
    copy_text(token->name, request->name);
    copy_text(token->as, as);
    token_hash(token->hash, bytes_str(text));
    *out = token;
    return ERR_OK;
}

enum err tokens_remove(struct tokens *t, uint64_t id)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->list[i].id != id)
            continue;
        memmove(&t->list[i], &t->list[i + 1], (t->count - i - 1) * sizeof *t->list);
        t->count--;
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

const struct token *tokens_by_id(const struct tokens *t, uint64_t id)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->list[i].id == id)
            return &t->list[i];
    return NULL;
}

/* A bucket of thousandths of requests that fills with time. Returns the seconds to wait, 0 if one was taken. */
static unsigned bucket_take(struct token *token, const struct token_rate *rate, uint64_t now_ms)
{
    if (rate->per_second == 0)
        return 0;
    uint64_t most = rate->burst * 1000;
    assert(most > 0 && most / 1000 == rate->burst);
    uint64_t elapsed = now_ms > token->filled_ms ? now_ms - token->filled_ms : 0;
    uint64_t gain = elapsed > most / rate->per_second + 1 ? most : elapsed * rate->per_second;
    token->level_milli = token->level_milli + gain > most ? most : token->level_milli + gain;
    token->filled_ms = now_ms;
    assert(token->level_milli <= most);
    if (token->level_milli >= 1000) {
        token->level_milli -= 1000;
        return 0;
    }
    uint64_t wait_ms = (1000 - token->level_milli + rate->per_second - 1) / rate->per_second;
    return (unsigned)((wait_ms + 999) / 1000);
}

unsigned tokens_check(struct tokens *t, struct bytes text, uint64_t now_ms, uint64_t *id, unsigned *retry_s)
{
    uint8_t hash[32];
    *retry_s = 0;
    if (text.n != TOKEN_TEXT_SIZE - 1)
        return 0;
    token_hash(hash, text);
    for (size_t i = 0; i < t->count; i++) {
        if (memcmp(t->list[i].hash, hash, sizeof hash) != 0)
            continue;
        assert(t->list[i].scopes != 0 && t->list[i].id < t->next_id);
        *id = t->list[i].id;
        *retry_s = bucket_take(&t->list[i], &t->rate, now_ms);
        return t->list[i].scopes;
    }
    return 0;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

void tokens_write(const struct tokens *t, struct buf *out)
{
    buf_printf(out, "souk-tokens 1\nnext %llu\n", (unsigned long long)t->next_id);
    for (size_t i = 0; i < t->count; i++) {
        const struct token *token = &t->list[i];
        char hex[65];
        hex_encode(hex, token->hash, sizeof token->hash);
        buf_printf(out, "token %llu %u %llu %s %s %s\n", (unsigned long long)token->id, token->scopes,
                   (unsigned long long)token->created_ms, hex, token->as, token->name);
    }
}

static void read_row(struct textfile *f, struct tokens *t)
{
    struct bytes row = textfile_value(f, "token");
    struct bytes id = textfile_split(&row), scopes = textfile_split(&row), created = textfile_split(&row);
    struct bytes hash = textfile_split(&row), as = textfile_split(&row);
    uint64_t id_number = 0, scope_bits = 0, created_ms = 0;
    uint8_t digest[32];
    if (f->err != ERR_OK)
        return;
    if (t->count >= TOKENS_MAX) {
        textfile_fail(f, ERR_LIMIT, "more than %d tokens", TOKENS_MAX);
        return;
    }
    bool numbers = textfile_uint_of(id, &id_number) && textfile_uint_of(scopes, &scope_bits) &&
                   textfile_uint_of(created, &created_ms);
    uint64_t last = t->count > 0 ? t->list[t->count - 1].id : 0;
    if (!numbers || id_number <= last || id_number >= t->next_id || scope_bits == 0 || scope_bits > 7 ||
        !hex_decode(digest, sizeof digest, hash) || !key_name_valid(as) || !name_valid(row)) {
        textfile_fail(f, ERR_FORM, "line %u is not a token", f->line);
        return;
    }
    struct token *token = append(t);
    token->id = id_number;
    token->scopes = (unsigned)scope_bits;
    token->created_ms = created_ms;
    memcpy(token->hash, digest, sizeof digest);
    copy_text(token->as, as);
    copy_text(token->name, row);
}

enum err tokens_read(struct tokens *t, struct bytes in, struct buf *why)
{
    struct textfile f;
    assert(t->count == 0);
    textfile_init(&f, in, "souk-tokens", 1);
    t->next_id = textfile_uint(&f, "next");
    while (!textfile_end(&f))
        read_row(&f, t);
    return textfile_done(&f, why);
}
