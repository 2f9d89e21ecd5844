/*
 * The kinds by number and by word, fields by name, and the list of faults. The tables themselves are in
 * record_model.c, record_agent.c, record_server.c and record_node.c.
 */
#include "crdt/record_tables.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct kind_desc *kind_at(size_t i)
{
    static const struct kind_desc *const kinds[] = {&kind_model, &kind_agent,   &kind_server,
                                                    &kind_node,  &kind_charter, &kind_member};
    return i < sizeof kinds / sizeof *kinds ? kinds[i] : NULL;
}

const struct kind_desc *kind_by_number(uint64_t kind)
{
    const struct kind_desc *d = kind >= 1 ? kind_at((size_t)kind - 1) : NULL;
    assert(d == NULL || d->kind == kind);
    return d;
}

const struct kind_desc *kind_by_word(const char *word)
{
    for (size_t i = 0; kind_at(i) != NULL; i++)
        if (strcmp(kind_at(i)->singular, word) == 0 || strcmp(kind_at(i)->plural, word) == 0)
            return kind_at(i);
    return NULL;
}

const struct field_desc *field_by_name(const struct field_desc *table, struct bytes name)
{
    if (name.n == 0)
        return NULL;
    for (const struct field_desc *d = table; d->name != NULL; d++)
        if ((uint8_t)d->name[0] == name.p[0] && strlen(d->name) == name.n && memcmp(d->name, name.p, name.n) == 0)
            return d;
    return NULL;
}

/* Cuts text that did not fit at the end of a character. */
static void end_whole(char *s, size_t size)
{
    size_t n = strlen(s);
    if (n + 1 < size)
        return;
    for (unsigned i = 0; i < 4 && n > 0 && !utf8_valid(bytes_of(s, n)); i++)
        n--;
    s[n] = 0;
}

void faults_add(struct faults *f, const char *pointer, const char *detail, ...)
{
    if (f == NULL || f->count >= FAULTS_MAX)
        return;
    struct fault *fault = &f->list[f->count++];
    (void)snprintf(fault->pointer, sizeof fault->pointer, "%s", pointer);
    end_whole(fault->pointer, sizeof fault->pointer);
    va_list args;
    va_start(args, detail);
    (void)vsnprintf(fault->detail, sizeof fault->detail, detail, args);
    va_end(args);
    end_whole(fault->detail, sizeof fault->detail);
}
