/*
 * The workload: local writes of every sort by authors whose keys lie on one or more hosts. First the founder makes the
 * charter (and members, where the mesh asks for them); then puts, patches, deletes, grants and revocations, by owners and
 * by writers, singly and in bursts, small and large.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <string.h>

#define FIELDS_MAX     4
#define BURST_IN_1000  30
#define LARGE_IN_1000  10
#define LARGE_BYTES    30000

static const char *const field_names[] = {"capabilities", "description", "homepage", "license", "notes", "provider", "version"};
enum { FIELD_NAMES = sizeof field_names / sizeof *field_names };

struct draft {
    struct node_write write;
    struct field fields[FIELDS_MAX];
    char name[MODEL_NAME_MAX + 1];
    struct buf values;
    size_t starts[FIELDS_MAX + 1];
};

/* ---- who and where ---------------------------------------------------------------------------------------------- */

static void add_home(struct sim_world *w, uint32_t author, uint32_t host)
{
    struct sim_author *a = &w->authors[author];
    struct sim_host *h = &w->hosts[host];
    if (h->home_count == SIM_HOMES_MAX || a->home_count == sizeof a->homes / sizeof *a->homes)
        return;
    for (size_t i = 0; i < h->home_count; i++)
        if (h->homes[i].author == author)
            return;
    h->homes[h->home_count++].author = author;
    a->homes[a->home_count++] = host;
}

void sim_work_init(struct sim_world *w)
{
    struct rng r;
    rng_fork(&r, &w->root, 3);
    for (uint32_t i = 0; i < w->author_count; i++) {
        add_home(w, i, i % (uint32_t)w->honest_count);
        while (sim_chance(&r, 350))
            add_home(w, i, (uint32_t)sim_draw(&r, 0, w->honest_count - 1));
    }
    for (size_t i = 0; i < w->honest_count; i++)
        w->hosts[i].write_every_ms = sim_draw(&r, 8000, 60000);
}

/* ---- drafts ----------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *out, struct rng *r, size_t n)
{
    struct buf text = {0};
    for (size_t i = 0; i < n; i++)
        buf_put_u8(&text, (uint8_t)(i % 7 == 6 ? ' ' : 'a' + rng_below(r, 26)));
    mp_put_str(out, buf_view(&text));
    buf_close(&text);
}

static void draft_value(struct draft *d, struct rng *r)
{
    if (d->write.change.mode == CHANGE_PATCH && sim_chance(r, 120))
        mp_put_nil(&d->values);
    else if (sim_chance(r, LARGE_IN_1000))
        put_text(&d->values, r, LARGE_BYTES);
    else if (sim_chance(r, 200))
        mp_put_uint(&d->values, rng_below(r, 10));
    else
        put_text(&d->values, r, (size_t)sim_draw(r, 0, 120));
}

static void draft_fields(struct draft *d, struct rng *r)
{
    struct change *c = &d->write.change;
    size_t first = (size_t)rng_below(r, FIELD_NAMES - FIELDS_MAX + 1);
    c->mode = sim_chance(r, 600) ? CHANGE_PATCH : CHANGE_REPLACE;
    c->field_count = (size_t)sim_draw(r, 1, FIELDS_MAX);
    for (size_t i = 0; i < c->field_count; i++) {
        d->fields[i].name = bytes_str(field_names[first + i]);
        d->starts[i] = d->values.n;
        draft_value(d, r);
    }
    d->starts[c->field_count] = d->values.n;
}

static void submit(struct sim_world *w, struct sim_host *h, struct draft *d)
{
    struct node_write *x = &d->write;
    for (size_t i = 0; i < x->change.field_count; i++)
        d->fields[i].value = bytes_of(d->values.p + d->starts[i], d->starts[i + 1] - d->starts[i]);
    x->name = bytes_str(d->name);
    x->change.fields = d->fields;
    enum err e = node_write(h->node, x);
    if (e == ERR_OK) {
        h->waiting++;
        w->writes++;
    } else if (e != ERR_BUSY && e != ERR_NO_SPACE) {
        sim_world_fail(w, "host %u refuses a write: %s", h->index, err_text(e));
    }
    buf_close(&d->values);
}

static void submit_one_field(struct sim_world *w, struct draft *d, const char *field, const char *text)
{
    struct sim_host *h = &w->hosts[0];
    d->write.action = WRITE_PUT;
    d->write.author = sim_host_author(h, 0);
    d->write.owner = w->authors[0].key;
    d->write.change.mode = CHANGE_PATCH;
    d->write.change.field_count = 1;
    d->fields[0].name = bytes_str(field);
    mp_put_str(&d->values, bytes_str(text));
    d->starts[1] = d->values.n;
    submit(w, h, d);
}

/* Where the mesh asks for members, these stay outside. */
static bool is_stranger(uint32_t author)
{
    return author % 6 == 5;
}

static void member_draft(const struct sim_world *w, struct draft *d, uint32_t author)
{
    d->write.kind = KIND_MEMBER;
    key_hex(d->name, &w->authors[author].key);
}

static void found(struct sim_world *w)
{
    struct draft charter = {.write = {.kind = KIND_CHARTER}};
    (void)snprintf(charter.name, sizeof charter.name, "%s", w->mesh_name);
    submit_one_field(w, &charter, "admission", w->members ? "members" : "open");
    for (uint32_t i = 1; w->members && i < w->author_all; i++) {
        struct draft member = {0};
        member_draft(w, &member, i);
        if (!is_stranger(i) && sim_chance(&w->hosts[0].rng, 800)) /* the others come later, strangers never */
            submit_one_field(w, &member, "role", "writer");
    }
}

/* Now and then the founder removes a member, and may take that back later. */
static void govern(struct sim_world *w, struct rng *r)
{
    struct draft member = {0};
    uint32_t author = (uint32_t)sim_draw(r, 1, w->author_all - 1);
    if (is_stranger(author))
        return;
    member_draft(w, &member, author);
    if (sim_chance(r, 500))
        submit_one_field(w, &member, "removed", "yes");
    else
        submit_one_field(w, &member, "role", "writer");
}

static enum write_action draw_action(struct rng *r, bool owner)
{
    uint64_t x = rng_below(r, 100);
    if (owner && x < 15)
        return WRITE_GRANT;
    if (owner && x < 23)
        return WRITE_REVOKE;
    return x < 33 ? WRITE_DELETE : WRITE_PUT;
}

/* One of the newest grants to `writer` (or by `owner`), looked for from a random place; NULL: none. */
static const struct sim_grant *draw_grant(const struct sim_world *w, struct rng *r, uint32_t writer, uint32_t owner)
{
    size_t n = w->grant_count < SIM_GRANTS ? w->grant_count : SIM_GRANTS, start = n > 0 ? (size_t)rng_below(r, n) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct sim_grant *g = &w->grants[(start + i) % n];
        if (g->writer == writer || g->owner == owner)
            return g;
    }
    return NULL;
}

static void draft_guard(struct sim_host *h, struct draft *d, struct rng *r)
{
    struct id id;
    struct entry_info info;
    struct buf name = {0};
    uint64_t x = rng_below(r, 100);
    if (d->write.action == WRITE_GRANT || d->write.action == WRITE_REVOKE || x < 70)
        return;
    d->write.guard = x < 80 && d->write.action == WRITE_PUT ? GUARD_CREATE : GUARD_EXISTS;
    entry_id(&id, d->write.kind, &d->write.owner, bytes_str(d->name));
    if (x >= 90 && store_entry(h->store, &id, &info, &name) == ERR_OK && !info.incomplete) {
        d->write.guard = GUARD_REVISION;
        d->write.revision = info.revision;
    }
    buf_close(&name);
}

static void note_grant(struct sim_world *w, const struct sim_grant *g)
{
    w->grants[w->grant_count++ % SIM_GRANTS] = *g;
}

/* Chooses the entry: mostly the author's own, else one that it was granted, or anybody's. */
static struct sim_grant draw_target(const struct sim_world *w, struct rng *r, uint32_t author)
{
    struct sim_grant t = {.owner = author, .writer = (uint32_t)rng_below(r, w->author_all)};
    const struct sim_grant *granted = sim_chance(r, 350) ? draw_grant(w, r, author, UINT32_MAX) : NULL;
    if (granted != NULL)
        return (struct sim_grant){.owner = granted->owner, .kind = granted->kind, .name = granted->name, .writer = t.writer};
    if (sim_chance(r, 50))
        t.owner = (uint32_t)rng_below(r, w->author_count);
    t.kind = sim_draw(r, KIND_MODEL, KIND_SERVER);
    t.name = (unsigned)rng_below(r, SIM_NAMES);
    if (t.writer == t.owner)
        t.writer = (t.owner + 1) % (uint32_t)w->author_count;
    return t;
}

static void write_one(struct sim_world *w, struct sim_host *h)
{
    struct rng *r = &h->rng;
    uint32_t author = h->homes[rng_below(r, h->home_count)].author;
    struct sim_grant t = draw_target(w, r, author);
    enum write_action action = draw_action(r, author == t.owner);
    const struct sim_grant *old = action == WRITE_REVOKE ? draw_grant(w, r, UINT32_MAX, author) : NULL;
    if (old != NULL)
        t = *old;
    if (action == WRITE_GRANT)
        note_grant(w, &t);
    struct draft d = {.write = {.action = action, .kind = t.kind, .author = sim_host_author(h, author)}};
    d.write.owner = w->authors[t.owner].key;
    d.write.writer = w->authors[t.writer].key;
    (void)snprintf(d.name, sizeof d.name, "entry-%u", t.name);
    if (action == WRITE_PUT)
        draft_fields(&d, r);
    draft_guard(h, &d, r);
    submit(w, h, &d);
}

void sim_work_next(struct sim_world *w, struct sim_host *h)
{
    struct rng *r = &h->rng;
    if (w->healing)
        return;
    if (h->index == 0 && !w->founded) {
        w->founded = true;
        found(w);
    } else if (h->index == 0 && w->members && sim_chance(r, 150)) {
        govern(w, r);
    } else if (h->home_count > 0) {
        uint64_t n = sim_chance(r, BURST_IN_1000) ? sim_draw(r, 5, 40) : 1;
        for (uint64_t i = 0; i < n; i++)
            write_one(w, h);
    }
    sim_host_drain(w, h);
    sim_world_at(w, w->now + sim_draw(r, h->write_every_ms / 4, h->write_every_ms * 2),
             (struct sim_event){.kind = SIM_WRITE, .host = h->index, .epoch = h->epoch});
}

void sim_work_result(struct sim_world *w, struct sim_host *h, const struct node_result *r)
{
    sim_trace_note(w, "write: %s", err_text(r->why));
    if (h->waiting == 0) {
        sim_world_fail(w, "host %u answers a write that was not asked", h->index);
        return;
    }
    h->waiting--;
    switch (r->why) {
    case ERR_OK:
        return;
    case ERR_CONFLICT: case ERR_NOT_FOUND: case ERR_DENIED: case ERR_TOO_LARGE: case ERR_NO_SPACE: case ERR_BUSY:
        w->write_errors++;
        return;
    case ERR_FORM: case ERR_LIMIT: case ERR_MESH: case ERR_SIGNATURE: case ERR_AHEAD: case ERR_INVALID: case ERR_AMBIGUOUS:
    case ERR_VERSION: case ERR_IO: case ERR_READ_ONLY: case ERR_CORRUPT: case ERR_CLOSED: case ERR_COUNT:
        sim_world_fail(w, "host %u: a write ended with: %s", h->index, err_text(r->why));
    }
}
