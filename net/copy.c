/*
 * What is told of a bulk copy: when one begins and ends, how much came, how fast, how long it may still take. Decides
 * nothing: what is fetched, and when, is fetch.c's and sync.c's.
 */
#include "net/engine.h"

#include <assert.h>

static bool copying(const struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (link_up(n->links[i]) && (n->links[i]->syncing || n->links[i]->more))
            return true;
    return n->wants.count > 0;
}

static void see_total(struct net *n)
{
    uint64_t seen = n->copy_done + n->wants.count;
    if (seen > n->copy_total)
        n->copy_total = seen;
}

void copy_found(struct net *n, const struct link *l)
{
    size_t held = setindex_count(n->config.set);
    if (n->copy_started_ms == 0) {
        if (idqueue_count(&l->ask) + l->asked < NET_COPY_MIN)
            return;
        n->copy_started_ms = n->copy_told_ms = n->copy_mark_ms = n->now_ms > 0 ? n->now_ms : 1;
        n->copy_done = n->copy_mark_done = n->copy_total = n->copy_rate_milli = 0;
    }
    if (l->remote_count > held && n->copy_done + (l->remote_count - held) > n->copy_total)
        n->copy_total = n->copy_done + (l->remote_count - held);
    see_total(n);
}

static void end(struct net *n)
{
    uint64_t ms = n->now_ms - n->copy_started_ms;
    bool whole = links_up(n) > 0;
    n->copy_started_ms = 0;
    if (!whole) {
        net_log(n, 2, "the copy is interrupted: %llu of about %llu deltas are here; a peer that comes back gives the rest",
                (unsigned long long)n->copy_done, (unsigned long long)n->copy_total);
        return;
    }
    n->copy_total = n->copy_done;
    net_log(n, 2, "caught up: %llu deltas in %llu.%llu s", (unsigned long long)n->copy_done, (unsigned long long)ms / 1000,
            (unsigned long long)ms / 100 % 10);
}

/* Deltas in 1,000 s, over the last seconds rather than from the start: a pause shows. */
static void measure(struct net *n)
{
    uint64_t ms = n->now_ms - n->copy_mark_ms;
    if (ms < NET_COPY_MARK_MS)
        return;
    uint64_t rate = (n->copy_done - n->copy_mark_done) * 1000000 / ms;
    n->copy_rate_milli = n->copy_rate_milli == 0 ? rate : (n->copy_rate_milli + rate) / 2;
    n->copy_mark_ms = n->now_ms;
    n->copy_mark_done = n->copy_done;
}

void copy_stored(struct net *n)
{
    if (n->copy_started_ms == 0)
        return;
    n->copy_done++;
    assert(n->now_ms >= n->copy_started_ms);
    measure(n);
    see_total(n);
    if (!copying(n)) {
        end(n);
    } else if (n->now_ms >= n->copy_told_ms + NET_COPY_TELL_MS) {
        n->copy_told_ms = n->now_ms;
        net_log(n, 2, "copying: %llu of about %llu deltas, %llu/s", (unsigned long long)n->copy_done,
                (unsigned long long)n->copy_total, (unsigned long long)n->copy_rate_milli / 1000);
    }
}

void copy_tick(struct net *n)
{
    if (n->copy_started_ms == 0)
        return;
    measure(n);
    if (!copying(n))
        end(n);
}

void copy_stats(const struct net *n, struct net_stats *out)
{
    out->comparing = 0;
    for (size_t i = 0; i < n->link_count; i++)
        out->comparing += n->links[i]->syncing;
    out->catching_up = n->copy_started_ms != 0;
    out->catch_up_done = n->copy_done;
    out->catch_up_total = n->copy_total;
    out->catch_up_rate_milli = out->catching_up ? n->copy_rate_milli : 0;
    out->catch_up_left_ms = 0;
    assert(n->copy_done <= n->copy_total);
    if (out->catching_up)
        out->catch_up_left_ms = n->copy_rate_milli == 0 ? UINT64_MAX : (n->copy_total - n->copy_done) * 1000000 / n->copy_rate_milli;
}
