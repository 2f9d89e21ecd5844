/*
 * The mesh's address book on disk: read once at start, written every few seconds where it changed and when the node stops.
 * A book that cannot be read or written costs addresses and scores, never the start of the node.
 */
#include "node/uv_server.h"

#include "crdt/alloc.h"
#include "node/dir.h"

#include <stdlib.h>

#define BOOK_FILE      "peers"
#define BOOK_PERIOD_MS 5000

void server_book_load(struct server *s)
{
    struct buf why = {0};
    enum err err = dir_read(s->given->dir, BOOK_FILE, NET_BOOK_TEXT, &s->book, &why);
    if (err == ERR_OK)
        net_book_load(node_net(s->node), buf_view(&s->book), server_clock_ms());
    else if (err != ERR_NOT_FOUND)
        uv_log(&s->log, LOG_NET, LOG_WARN, "the kept address book is not used: %s", buf_cstr(&why));
    s->book_at = uv_now(&s->loop) + BOOK_PERIOD_MS;
    buf_close(&why);
}

/* False: nothing changed since it was written. */
static bool book_changed(struct server *s)
{
    struct buf now = {0};
    net_book_save(node_net(s->node), server_clock_ms(), &now);
    bool changed = !bytes_eq(buf_view(&now), buf_view(&s->book));
    buf_close(&s->book);
    s->book = now;
    return changed;
}

struct book_write {
    struct server *server;
    struct buf text, why;
    enum err err;
};

static void write_book(void *arg)
{
    struct book_write *w = arg;
    w->err = dir_write(w->server->given->dir, BOOK_FILE, buf_view(&w->text), &w->why);
}

static void tell(struct server *s, enum err err, struct buf *why)
{
    if (err != ERR_OK && !s->book_failed)
        uv_log(&s->log, LOG_NET, LOG_WARN, "the address book is not kept: %s", buf_cstr(why));
    s->book_failed = err != ERR_OK;
}

static void written(void *arg)
{
    struct book_write *w = arg;
    tell(w->server, w->err, &w->why);
    w->server->book_writing = false;
    buf_close(&w->text);
    buf_close(&w->why);
    free(w);
}

void server_book_keep(struct server *s)
{
    s->book_at = uv_now(&s->loop) + BOOK_PERIOD_MS;
    if (s->stopping || s->book_writing || !book_changed(s))
        return;
    struct book_write *w = mem_zalloc(sizeof *w);
    w->server = s;
    buf_put_bytes(&w->text, buf_view(&s->book));
    s->book_writing = true;
    server_defer(s, write_book, written, w);
}

void server_book_stop(struct server *s)
{
    struct buf why = {0};
    if (!s->book_writing && book_changed(s))
        tell(s, dir_write(s->given->dir, BOOK_FILE, buf_view(&s->book), &why), &why);
    buf_close(&why);
}
