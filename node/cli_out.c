/*
 * What a person sees: messages, tables, the progress line. Colours and bars only where a terminal is.
 */
#include "node/cli.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void say(const char *prefix, const char *format, va_list args)
{
    fputs(prefix, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void cli_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("souk: ", format, args);
    va_end(args);
}

void cli_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

enum cli_exit cli_exit_of(enum err err)
{
    switch (err) {
    case ERR_OK:
        return CLI_OK;
    case ERR_NOT_FOUND:
        return CLI_NOT_FOUND;
    case ERR_CONFLICT:
    case ERR_AMBIGUOUS:
    case ERR_MESH:
        return CLI_CONFLICT;
    case ERR_DENIED:
        return CLI_DENIED;
    case ERR_SIGNATURE:
    case ERR_CORRUPT:
        return CLI_UNVERIFIED;
    case ERR_INVALID:
    case ERR_LIMIT:
        return CLI_USAGE;
    case ERR_FORM:
    case ERR_AHEAD:
    case ERR_TOO_LARGE:
    case ERR_VERSION:
    case ERR_IO:
    case ERR_NO_SPACE:
    case ERR_READ_ONLY:
    case ERR_BUSY:
    case ERR_CLOSED:
    case ERR_COUNT:
        break;
    }
    return CLI_FAILED;
}

enum cli_exit cli_fail(enum err err, struct buf *why)
{
    assert(err != ERR_OK);
    while (why->n > 0 && why->p[why->n - 1] == '\n')
        why->n--;
    cli_error("%s", why->n > 0 ? buf_cstr(why) : err_text(err));
    buf_close(why);
    return cli_exit_of(err);
}

bool cli_print(struct bytes text)
{
    return text.n == 0 || fwrite(text.p, 1, text.n, stdout) == text.n;
}

bool cli_print_line(struct bytes text)
{
    return cli_print(text) && fputc('\n', stdout) != EOF;
}

enum cli_exit cli_finish(enum cli_exit status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        cli_error("cannot write to stdout: %s", strerror(errno));
    return status == CLI_OK ? CLI_FAILED : status;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static size_t characters(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void cli_table_cell(struct cli_table *t, const char *format, ...)
{
    char cell[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(cell, sizeof cell, format, args);
    va_end(args);
    for (char *p = cell; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    if (t->cells == t->capacity) {
        t->capacity = t->capacity == 0 ? 64 : 2 * t->capacity;
        t->starts = mem_realloc(t->starts, t->capacity, sizeof *t->starts);
    }
    t->starts[t->cells++] = t->text.n;
    buf_put(&t->text, cell, strlen(cell) + 1);
}

void cli_table_begin(struct cli_table *t, const struct cli *c, const char *const *heads, size_t columns)
{
    assert(columns > 0 && columns <= CLI_COLUMNS_MAX);
    *t = (struct cli_table){.cli = c, .columns = columns};
    for (size_t i = 0; i < columns; i++)
        cli_table_cell(t, "%s", heads[i]);
}

static const char *cell_at(const struct cli_table *t, size_t i)
{
    return (const char *)t->text.p + t->starts[i];
}

static void print_row(const struct cli_table *t, size_t row, const size_t *widths)
{
    bool head = row == 0 && t->cli->color;
    if (head)
        fputs("\033[1m", stdout);
    for (size_t i = 0; i < t->columns; i++) {
        const char *cell = cell_at(t, row * t->columns + i);
        bool last = i + 1 == t->columns;
        fputs(cell, stdout);
        if (!last)
            printf("%*s", (int)(widths[i] + 2 - characters(cell)), "");
    }
    fputs(head ? "\033[0m\n" : "\n", stdout);
}

void cli_table_end(struct cli_table *t)
{
    size_t widths[CLI_COLUMNS_MAX] = {0};
    assert(t->cells % t->columns == 0);
    for (size_t i = 0; i < t->cells; i++) {
        size_t n = characters(cell_at(t, i));
        if (n > widths[i % t->columns])
            widths[i % t->columns] = n;
    }
    for (size_t row = 0; row < t->cells / t->columns; row++)
        print_row(t, row, widths);
    buf_close(&t->text);
    free(t->starts);
    *t = (struct cli_table){0};
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

uint64_t cli_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void cli_put_bytes(struct buf *out, uint64_t n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    uint64_t tenths = n * 10;
    for (; tenths >= 10000 && unit < 4; unit++)
        tenths /= 1000;
    if (unit == 0)
        buf_printf(out, "%llu B", (unsigned long long)n);
    else
        buf_printf(out, "%llu.%llu %s", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10),
                   units[unit]);
}

void cli_put_seconds(struct buf *out, uint64_t s)
{
    if (s >= 86400)
        buf_printf(out, "%llu d %llu h", (unsigned long long)(s / 86400), (unsigned long long)(s % 86400 / 3600));
    else if (s >= 3600)
        buf_printf(out, "%llu h %llu min", (unsigned long long)(s / 3600), (unsigned long long)(s % 3600 / 60));
    else if (s >= 60)
        buf_printf(out, "%llu min %llu s", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
    else
        buf_printf(out, "%llu s", (unsigned long long)s);
}

void cli_progress_begin(struct cli_progress *p, const struct cli *c, const char *unit, uint64_t total)
{
    uint64_t now = cli_now_ms();
    *p = (struct cli_progress){.on = c->progress, .unit = unit, .total = total, .started_ms = now, .drawn_ms = now};
}

#define BAR_WIDTH     30
#define DRAW_EVERY_MS 100

static void put_bar(struct buf *line, uint64_t done, uint64_t total)
{
    uint64_t filled = done >= total ? BAR_WIDTH : done * BAR_WIDTH / total;
    buf_put_u8(line, '[');
    for (uint64_t i = 0; i < BAR_WIDTH; i++)
        buf_put_u8(line, i < filled ? '#' : ' ');
    buf_printf(line, "] %3llu %%  ", (unsigned long long)(done >= total ? 100 : done * 100 / total));
}

void cli_progress_draw(struct cli_progress *p, uint64_t done, uint64_t count)
{
    uint64_t now = cli_now_ms(), elapsed = now - p->started_ms;
    if (!p->on || now - p->drawn_ms < DRAW_EVERY_MS)
        return;
    struct buf line = {0};
    p->drawn_ms = now;
    p->drawn = true;
    if (p->total > 0)
        put_bar(&line, done, p->total);
    buf_printf(&line, "%llu %s", (unsigned long long)count, p->unit);
    buf_printf(&line, "  %llu/s", (unsigned long long)(count * 1000 / elapsed));
    if (p->total > done && done > 0) {
        buf_put_str(&line, "  ");
        cli_put_seconds(&line, elapsed * (p->total - done) / done / 1000);
        buf_put_str(&line, " left");
    }
    fprintf(stderr, "\r%s\033[K", buf_cstr(&line));
    fflush(stderr);
    buf_close(&line);
}

void cli_progress_clear(struct cli_progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}
