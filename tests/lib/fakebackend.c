/*
 * The fake node. Plain and slow: every lookup is a scan.
 */
#include "tests/lib/fakebackend.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct key owner_key(unsigned n)
{
    struct key k;
    memset(k.b, (int)n, sizeof k.b);
    return k;
}

static void new_revision(struct fake *f, struct fake_entry *e)
{
    struct hasher h;
    hash_init(&h, "fake/revision");
    hash_u64(&h, ++f->revisions);
    hash_end(&h, &e->revision);
    e->used = true;
    assert(f->change_count < FAKE_CHANGES);
    f->changes[f->change_count++] = e->id;
}

static struct fake_entry *find_id(struct fake *f, uint64_t kind, const struct id *id)
{
    for (size_t i = 0; i < FAKE_ENTRIES; i++)
        if (f->entries[i].used && f->entries[i].kind == kind && id_eq(&f->entries[i].id, id))
            return &f->entries[i];
    return NULL;
}

static struct fake_entry *make(struct fake *f, uint64_t kind, const struct key *owner, struct bytes name)
{
    struct id id;
    entry_id(&id, kind, owner, name);
    struct fake_entry *e = find_id(f, kind, &id);
    if (e != NULL)
        return e;
    for (size_t i = 0; e == NULL && i < FAKE_ENTRIES; i++)
        if (!f->entries[i].used)
            e = &f->entries[i];
    assert(e != NULL);
    buf_reset(&e->name);
    e->kind = kind;
    e->id = id;
    e->owner = *owner;
    buf_put_bytes(&e->name, name);
    return e;
}

static void set_field(struct fake_entry *e, struct bytes name, struct bytes value)
{
    size_t i = 0;
    while (i < e->field_count && !bytes_eq(buf_view(&e->fields[i].name), name))
        i++;
    if (i == e->field_count) {
        assert(i < FAKE_FIELDS);
        e->field_count++;
        buf_put_bytes(&e->fields[i].name, name);
    }
    buf_reset(&e->fields[i].value);
    buf_put_bytes(&e->fields[i].value, value);
}

static void clear_fields(struct fake_entry *e)
{
    for (size_t i = 0; i < e->field_count; i++) {
        buf_close(&e->fields[i].name);
        buf_close(&e->fields[i].value);
    }
    e->field_count = 0;
}

static bool is_nil(const struct buf *value)
{
    return value->n == 1 && value->p[0] == 0xc0;
}

static void put_entry(struct buf *out, const struct fake_entry *e)
{
    char hex[ID_HEX_SIZE];
    buf_printf(out, "{\"%s\":{\"name\":", kind_by_number(e->kind)->singular);
    json_put_string(out, buf_view(&e->name));
    for (size_t i = 0; i < e->field_count; i++) {
        if (is_nil(&e->fields[i].value))
            continue;
        buf_put_str(out, ",");
        json_put_string(out, buf_view(&e->fields[i].name));
        buf_put_str(out, ":");
        json_put_value(out, buf_view(&e->fields[i].value));
    }
    id_hex(hex, &e->id);
    buf_printf(out, "},\"meta\":{\"id\":\"%s\",\"incomplete\":%s}}", hex, e->incomplete ? "true" : "false");
}

static enum err get(struct fake *f, struct api_call *call)
{
    struct fake_entry *e = find_id(f, call->kind, &call->id);
    if (e == NULL || e->deleted)
        return ERR_NOT_FOUND;
    put_entry(&call->out, e);
    call->has_revision = !e->incomplete;
    call->revision_out = e->revision;
    return ERR_OK;
}

static enum err find(struct fake *f, struct api_call *call)
{
    for (size_t i = 0; i < FAKE_ENTRIES; i++) {
        struct fake_entry *e = &f->entries[i];
        if (e->used && !e->deleted && e->kind == call->kind && bytes_eq(buf_view(&e->name), call->name) &&
            call->out.n < API_FIND_MAX * ID_BYTES)
            buf_put(&call->out, e->id.b, ID_BYTES);
    }
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct fake_entry *x = *(struct fake_entry *const *)a, *y = *(struct fake_entry *const *)b;
    int c = bytes_cmp(buf_view(&x->name), buf_view(&y->name));
    return c != 0 ? c : id_cmp(&x->id, &y->id);
}

static size_t number_of(struct bytes digits)
{
    size_t n = 0;
    for (size_t i = 0; i < digits.n; i++)
        n = n * 10 + (size_t)(digits.p[i] - '0');
    return n;
}

/* Cursors are "n" and a number; "foreign" is another node's. */
static enum err start_of(struct bytes cursor, size_t *start)
{
    *start = 0;
    if (cursor.n == 0)
        return ERR_OK;
    if (bytes_eq(cursor, bytes_str("foreign")))
        return ERR_MESH;
    if (cursor.p[0] != 'n')
        return ERR_FORM;
    *start = number_of(bytes_of(cursor.p + 1, cursor.n - 1));
    return ERR_OK;
}

static void keep_query(struct fake *f, const struct api_query *q)
{
    f->query = *q;
    f->query_text[0] = f->query_tag[0] = 0;
    if (q->text.n > 0)
        (void)snprintf(f->query_text, sizeof f->query_text, "%.*s", (int)q->text.n, (const char *)q->text.p);
    if (q->tag_count > 0)
        (void)snprintf(f->query_tag, sizeof f->query_tag, "%.*s", (int)q->tags[0].n, (const char *)q->tags[0].p);
}

static enum err list(struct fake *f, struct api_call *call)
{
    struct fake_entry *rows[FAKE_ENTRIES];
    size_t n = 0, start;
    enum err e = start_of(call->query->cursor, &start);
    if (e != ERR_OK)
        return e;
    keep_query(f, call->query);
    for (size_t i = 0; i < FAKE_ENTRIES; i++)
        if (f->entries[i].used && !f->entries[i].deleted && f->entries[i].kind == call->query->kind)
            rows[n++] = &f->entries[i];
    if (n > 0)
        qsort(rows, n, sizeof *rows, by_name);
    buf_printf(&call->out, "{\"%s\":[", kind_by_number(call->query->kind)->plural);
    size_t i = start;
    for (; i < n && i < start + call->query->limit; i++) {
        if (i > start)
            buf_put_str(&call->out, ",");
        put_entry(&call->out, rows[i]);
    }
    buf_printf(&call->out, "],\"total\":%zu,\"next_cursor\":", n);
    if (i < n)
        buf_printf(&call->out, "\"n%zu\"}", i);
    else
        buf_put_str(&call->out, "null}");
    return ERR_OK;
}

static enum err guard(struct fake *f, const struct api_call *call, struct fake_entry *e)
{
    bool shown = e != NULL && e->used && !e->deleted;
    if (call->guard == API_GUARD_REVISION && shown && f->meddle > 0) {
        f->meddle--;
        new_revision(f, e);
    }
    switch (call->guard) {
    case API_GUARD_NONE:
        return ERR_OK;
    case API_GUARD_CREATE:
        return shown ? ERR_CONFLICT : ERR_OK;
    case API_GUARD_EXISTS:
        return shown ? ERR_OK : ERR_NOT_FOUND;
    case API_GUARD_REVISION:
        return !shown ? ERR_NOT_FOUND : id_eq(&e->revision, &call->revision) ? ERR_OK : ERR_CONFLICT;
    }
    return ERR_OK;
}

static enum err change(struct fake *f, struct api_call *call)
{
    struct key me = owner_key(call->token == 2 ? 2 : 1);
    struct fake_entry *e = call->by_name ? make(f, call->kind, &me, call->name) : find_id(f, call->kind, &call->id);
    enum err why = guard(f, call, e);
    if (e == NULL)
        return ERR_NOT_FOUND;
    if (why != ERR_OK)
        return why;
    if (!key_eq(&e->owner, &me))
        return ERR_DENIED;
    if (!call->by_name && call->name.p != NULL && !bytes_eq(call->name, buf_view(&e->name))) {
        call->fault = (struct fault){.pointer = "/name", .detail = "the name of an entry cannot change"};
        return ERR_INVALID;
    }
    if (call->change.field_count > FAKE_FIELDS / 2 || e->field_count > FAKE_FIELDS / 2)
        return ERR_TOO_LARGE;
    call->created = !e->used || e->deleted;
    if (call->change.mode == CHANGE_REPLACE)
        clear_fields(e);
    for (size_t i = 0; i < call->change.field_count; i++)
        set_field(e, call->change.fields[i].name, call->change.fields[i].value);
    e->deleted = false;
    new_revision(f, e);
    put_entry(&call->out, e);
    call->id_out = e->id;
    call->revision_out = e->revision;
    call->has_revision = true;
    return ERR_OK;
}

static enum err delete(struct fake *f, struct api_call *call)
{
    struct key me = owner_key(call->token == 2 ? 2 : 1);
    struct fake_entry *e = find_id(f, call->kind, &call->id);
    enum err why = guard(f, call, e);
    if (why != ERR_OK)
        return why;
    if (!key_eq(&e->owner, &me))
        return ERR_DENIED;
    e->deleted = true;
    new_revision(f, e);
    return ERR_OK;
}

static void put_change(const struct fake *f, size_t at, struct api_change_row *row)
{
    char hex[ID_HEX_SIZE];
    id_hex(hex, &f->changes[at]);
    *row = (struct api_change_row){.seq = at + 1};
    row->length = (size_t)snprintf(row->json, sizeof row->json, "{\"cursor\":\"%zu\",\"id\":\"%s\"}", at + 1, hex);
}

static enum err changes(struct fake *f, struct api_call *call)
{
    size_t at = 0;
    if (bytes_eq(call->cursor, bytes_str("foreign")))
        return ERR_MESH;
    if (bytes_eq(call->cursor, bytes_str("now")))
        at = f->change_count;
    for (size_t i = 0; at == 0 && i < call->cursor.n; i++)
        if (call->cursor.p[i] < '0' || call->cursor.p[i] > '9')
            return ERR_FORM;
    if (at == 0)
        at = number_of(call->cursor);
    call->changes = mem_calloc(call->limit, sizeof *call->changes);
    buf_put_str(&call->out, "{\"changes\":[");
    for (; at < f->change_count && call->change_count < call->limit; at++) {
        struct api_change_row *row = &call->changes[call->change_count];
        put_change(f, at, row);
        if (call->change_count++ > 0)
            buf_put_str(&call->out, ",");
        buf_put(&call->out, row->json, row->length);
    }
    call->next_seq = at;
    buf_printf(&call->out, "],\"next_cursor\":\"%zu\"}", at);
    return ERR_OK;
}

static enum err admin(struct fake *f, struct api_call *call)
{
    (void)snprintf(f->admin_verb, sizeof f->admin_verb, "%s", call->admin);
    f->as[0] = 0;
    if (call->as.n > 0)
        (void)snprintf(f->as, sizeof f->as, "%.*s", (int)call->as.n, (const char *)call->as.p);
    f->admin_kind = call->kind;
    buf_reset(&f->admin_body);
    buf_put_bytes(&f->admin_body, call->body);
    if (strcmp(call->admin, "nothing") == 0)
        return ERR_NOT_FOUND;
    if (strcmp(call->admin, "sync") != 0)
        buf_put_str(&call->out, "{\"verb\":\"ok\"}");
    return ERR_OK;
}

static enum err delta_put(struct fake *f, struct api_call *call)
{
    if (call->body.n == 0)
        return ERR_FORM;
    call->created = !bytes_eq(buf_view(&f->delta), call->body);
    buf_reset(&f->delta);
    buf_put_bytes(&f->delta, call->body);
    delta_id(&call->id_out, call->body);
    buf_put_str(&call->out, "{\"verdict\":\"new\"}");
    return ERR_OK;
}

static enum err delta_get(struct fake *f, struct api_call *call)
{
    struct id id;
    delta_id(&id, buf_view(&f->delta));
    if (!id_eq(&id, &call->id))
        return ERR_NOT_FOUND;
    buf_put_bytes(&call->out, buf_view(&f->delta));
    return ERR_OK;
}

static enum err of_entry(struct fake *f, struct api_call *call, const char *json)
{
    const struct fake_entry *e = find_id(f, call->kind, &call->id);
    if (e == NULL || (call->op == API_REVISION && !id_eq(&call->revision, &e->revision)))
        return ERR_NOT_FOUND;
    buf_put_str(&call->out, json);
    return ERR_OK;
}

static enum err history(struct fake *f, struct api_call *call)
{
    size_t start;
    enum err e = start_of(call->cursor, &start);
    return e != ERR_OK ? e : of_entry(f, call, "{\"revisions\":[]}");
}

static enum err text(struct api_call *call, const char *what)
{
    buf_put_str(&call->out, what);
    return ERR_OK;
}

/* Echoes its input; "fail" fails as a program does. Pieces are three bytes long. */
static enum err invoke(struct fake *f, struct api_call *call)
{
    f->invoke = call->invoke;
    (void)snprintf(f->invoke_key, sizeof f->invoke_key, "%.*s", (int)call->invoke.idempotency.n,
                   (const char *)call->invoke.idempotency.p);
    buf_put_str(&call->receipt, "{\"id\":\"urn:uuid:00000000-0000-7000-8000-000000000001\"}");
    for (size_t at = 0; call->invoke.piece != NULL && at < call->body.n; at += 3)
        call->invoke.piece(call, bytes_of(call->body.p + at, call->body.n - at < 3 ? call->body.n - at : 3));
    if (bytes_eq(call->body, bytes_str("fail"))) {
        call->status = 502;
        call->code = "exit";
        buf_put_str(&call->detail, "exit status 3");
        return ERR_IO;
    }
    buf_put_bytes(&call->out, call->body);
    call->output = f->output;
    return ERR_OK;
}

static enum err receipts(struct api_call *call)
{
    size_t start;
    enum err e = start_of(call->cursor, &start);
    return e != ERR_OK ? e : text(call, "{\"receipts\":[{\"id\":\"r1\"}],\"next_cursor\":null}");
}

static enum err answer(struct fake *f, struct api_call *call)
{
    switch (call->op) {
    case API_GET: return get(f, call);
    case API_FIND: return find(f, call);
    case API_LIST: return list(f, call);
    case API_WRITE: return change(f, call);
    case API_DELETE: return delete(f, call);
    case API_HISTORY: return history(f, call);
    case API_REVISION: return of_entry(f, call, "{\"revision\":{}}");
    case API_CHANGES: return changes(f, call);
    case API_DELTA_PUT: return delta_put(f, call);
    case API_DELTA_GET: return delta_get(f, call);
    case API_WRITERS: return of_entry(f, call, "{\"writers\":[]}");
    case API_WRITER_ADD: return of_entry(f, call, "{\"writers\":[{}]}");
    case API_WRITER_REMOVE: return of_entry(f, call, "");
    case API_INVOKE: return invoke(f, call);
    case API_RECEIPTS: return receipts(call);
    case API_RECEIPT: return bytes_eq(call->name, bytes_str("r1")) ? text(call, "{\"id\":\"r1\"}") : ERR_NOT_FOUND;
    case API_STATUS: return text(call, "{\"name\":\"fake\"}");
    case API_METRICS: return text(call, "# HELP up up\n# TYPE up gauge\nup 1\n");
    case API_READY:
        call->ready = !f->not_ready;
        return text(call, "{\"ready\":true,\"checks\":[]}");
    case API_DASHBOARD: return text(call, "<!doctype html><title>fake</title>");
    case API_ADMIN: return admin(f, call);
    }
    return ERR_NOT_FOUND;
}

static void complete(struct fake *f, struct api_call *call)
{
    if (f->fail_with != ERR_OK && f->fail_op == call->op) {
        call->err = f->fail_with;
        f->fail_with = ERR_OK;
    } else {
        call->err = answer(f, call);
    }
    api_call_done(call);
}

static void on_call(void *ctx, struct api_call *call)
{
    struct fake *f = ctx;
    f->calls++;
    if (!f->delay) {
        complete(f, call);
        return;
    }
    call->next = NULL;
    if (f->last != NULL)
        f->last->next = call;
    else
        f->first = call;
    f->last = call;
    f->waiting++;
}

bool fake_step(struct fake *f)
{
    struct api_call *call = f->first;
    if (call == NULL)
        return false;
    f->first = call->next;
    if (f->first == NULL)
        f->last = NULL;
    f->waiting--;
    complete(f, call);
    return true;
}

static unsigned on_token(void *ctx, struct bytes bearer, uint64_t *token, unsigned *retry_s)
{
    (void)ctx;
    *token = 1;
    *retry_s = bytes_eq(bearer, bytes_str("hasty")) ? 7 : 0;
    if (bytes_eq(bearer, bytes_str("writer")) || bytes_eq(bearer, bytes_str("hasty")))
        return SCOPE_WRITE;
    *token = 2;
    if (bytes_eq(bearer, bytes_str("other")))
        return SCOPE_WRITE;
    if (bytes_eq(bearer, bytes_str("reader")))
        return SCOPE_READ;
    return bytes_eq(bearer, bytes_str("invoker")) ? SCOPE_INVOKE : 0;
}

static void on_cancel(void *ctx, struct api_call *call)
{
    struct fake *f = ctx;
    (void)call;
    f->cancelled++;
}

struct api_backend fake_backend(struct fake *f)
{
    return (struct api_backend){.ctx = f, .call = on_call, .token = on_token, .cancel = on_cancel};
}

struct fake_entry *fake_add(struct fake *f, uint64_t kind, unsigned owner, const char *name, const char *description)
{
    struct buf value = {0};
    struct key key = owner_key(owner);
    struct fake_entry *e = make(f, kind, &key, bytes_str(name));
    mp_put_str(&value, bytes_str(description));
    set_field(e, bytes_str("description"), buf_view(&value));
    buf_close(&value);
    new_revision(f, e);
    return e;
}

void fake_close(struct fake *f)
{
    for (size_t i = 0; i < FAKE_ENTRIES; i++) {
        clear_fields(&f->entries[i]);
        buf_close(&f->entries[i].name);
    }
    buf_close(&f->delta);
    buf_close(&f->admin_body);
}
