/*
 * souk sync: has the node compare sets with its peers and shows what comes; and the line of a bulk copy in souk status.
 */
#include "node/cli.h"

#include <stdio.h>
#include <time.h>

#define POLL_MS     200
#define PATIENCE_MS 10000 /* for peers that do not answer, where nothing comes */

void cli_put_copy(struct buf *out, const json_t *copy)
{
    const json_t *left = json_object_get(copy, "left_s");
    long long got = cli_int(copy, "got"), total = got + cli_int(copy, "to_get");
    buf_printf(out, "%lld of about %lld deltas", got, total);
    if (!json_is_true(json_object_get(copy, "running")))
        return;
    buf_printf(out, ", %.0f/s", json_number_value(json_object_get(copy, "rate")));
    if (json_is_integer(left)) {
        buf_put_str(out, ", ");
        cli_put_seconds(out, (uint64_t)json_integer_value(left));
        buf_put_str(out, " left");
    }
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

struct watch {
    struct cli *cli;
    struct cli_progress progress;
    uint64_t since_ms;
    bool copied;       /* a copy was seen to run */
    long long got;     /* deltas of it */
    bool checked;      /* compared once more after what came */
};

static enum cli_exit compare(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, "sync", json_object(), &reply);
    if (status == CLI_OK)
        cli_reply_close(&reply);
    return status;
}

/* A session that found something says nothing of what holds after it: one more does. */
static bool check(struct watch *w, const json_t *copy)
{
    if (w->checked || cli_int(copy, "peers_equal") == cli_int(copy, "peers_up"))
        return false;
    w->checked = true;
    w->since_ms = cli_now_ms();
    return compare(w->cli) == CLI_OK;
}

/* False: over. */
static bool look(struct watch *w, const json_t *copy)
{
    bool running = json_is_true(json_object_get(copy, "running"));
    long long got = cli_int(copy, "got");
    if (running || w->copied)
        w->got = got;
    w->copied |= running;
    if (running) {
        w->progress.total = (uint64_t)(got + cli_int(copy, "to_get"));
        cli_progress_draw(&w->progress, (uint64_t)got, (uint64_t)got);
    }
    bool comparing = cli_int(copy, "comparing") > 0 && cli_now_ms() < w->since_ms + PATIENCE_MS;
    return running || comparing || check(w, copy);
}

static void print_end(const struct cli *c, const json_t *copy)
{
    (void)c;
    printf("%lld of %lld peers hold the same deltas\n", cli_int(copy, "peers_equal"), cli_int(copy, "peers_up"));
}

static enum cli_exit watch(struct watch *w)
{
    for (bool on = true;;) {
        struct cli_reply reply;
        enum cli_exit status = cli_admin(w->cli, "copy", NULL, &reply);
        if (status != CLI_OK)
            return status;
        json_t *copy = cli_parse_reply(&reply);
        on = copy != NULL && look(w, copy);
        json_decref(copy);
        if (!on) {
            cli_progress_clear(&w->progress);
            if (w->copied && w->cli->format == CLI_HUMAN)
                printf("%lld deltas came\n", w->got);
            return cli_show(w->cli, &reply, print_end);
        }
        cli_reply_close(&reply);
        pause_ms(POLL_MS);
    }
}

enum cli_exit cli_sync(struct cli *c)
{
    struct watch w = {.cli = c, .since_ms = cli_now_ms()};
    enum cli_exit status = compare(c);
    if (status != CLI_OK || cli_option(c, "now") != NULL)
        return status;
    cli_progress_begin(&w.progress, c, "deltas", 0);
    return watch(&w);
}
