/*
 * The bearer tokens of the HTTP API: who may do what, as which author, how often. Only a hash of each is kept, in
 * memory and in the file D/tokens. Pure: the secret's randomness and the time are arguments.
 */
#ifndef SOUK_NODE_TOKENS_H
#define SOUK_NODE_TOKENS_H

#include "crdt/err.h"
#include "crdt/rng.h"
#include "node/identity.h"

#define TOKENS_MAX       4096            /* tokens of one node                      */
#define TOKEN_NAME_MAX   64              /* bytes of a token's name                 */
#define TOKEN_TEXT_SIZE  (5 + 64 + 1)    /* "souk_", 64 hex digits, NUL             */
#define TOKENS_FILE_MAX  (1u << 20)      /* bytes of D/tokens                       */

/* The bits of enum api_scope. */
enum token_scope { TOKEN_READ = 1, TOKEN_WRITE = 2, TOKEN_INVOKE = 4 };

struct token {
    uint64_t id;                 /* 1 and up, never used twice */
    unsigned scopes;             /* WRITE comes with READ */
    char name[TOKEN_NAME_MAX + 1];
    char as[KEY_NAME_MAX + 1];   /* name of the author key that it signs as */
    uint64_t created_ms;         /* wall clock */
    uint8_t hash[32];
    uint64_t level_milli, filled_ms; /* of its rate bucket */
};

struct token_rate {
    uint64_t per_second;         /* 0: any number */
    uint64_t burst;
};

struct tokens {
    struct token *list;          /* by id */
    size_t count;
    uint64_t next_id;
    struct token_rate rate;
};

void tokens_init(struct tokens *t, struct token_rate rate);
void tokens_close(struct tokens *t);

/* "read", "write", "invoke" or several with commas. 0: not that. */
unsigned token_scopes_parse(struct bytes text);
/* "read,write" and so on. Appended. */
void token_scopes_put(struct buf *out, unsigned scopes);

struct token_request {
    unsigned scopes;
    struct bytes name, as;       /* as: empty for "publisher" */
    uint64_t clock_ms;
};
/* Makes one: its text, shown once, and the row (borrowed until the next change). ERR_LIMIT, ERR_INVALID. */
SOUK_MUST_USE enum err tokens_new(struct tokens *t, const struct token_request *request, struct rng *rng,
                                  char text[TOKEN_TEXT_SIZE], const struct token **out);
/* ERR_NOT_FOUND. */
SOUK_MUST_USE enum err tokens_remove(struct tokens *t, uint64_t id);
const struct token *tokens_by_id(const struct tokens *t, uint64_t id);
/* Scopes of a bearer token, 0 if there is none such; *retry_s is the wait if it is over its rate, else 0. */
unsigned tokens_check(struct tokens *t, struct bytes text, uint64_t now_ms, uint64_t *id, unsigned *retry_s);

void tokens_write(const struct tokens *t, struct buf *out);
/* Into an initialised, empty t. ERR_FORM, ERR_VERSION, ERR_LIMIT. */
SOUK_MUST_USE enum err tokens_read(struct tokens *t, struct bytes in, struct buf *why);

#endif
