/*
 * A peer that a test plays itself: a real session with a host of the lab, in which it may then say anything.
 */
#ifndef SOUK_TESTS_MOLE_H
#define SOUK_TESTS_MOLE_H

#include "net/conn.h"
#include "tests/lib/netlab.h"

struct mole {
    struct lab *lab;
    uint64_t raw;
    struct conn_identity self;
    struct gen_author author;
    struct conn conn;
    bool answers;                          /* PING with PONG                     */
    bool closed;                           /* the host has closed the connection */
    size_t got[WIRE_TYPE_END];             /* messages received, by type         */
    size_t got_ids[WIRE_TYPE_END];         /* ids in them                        */
    enum wire_reason reason;               /* of the last CLOSE                  */
    struct buf wanted;                     /* all ids of IWANT, in order         */
    struct id last;                        /* the id of the last DELTA or IWANT  */
};
/* Connects to host 0 as author `number`; goes as far as UP. */
void mole_open(struct mole *m, struct lab *lab, uint64_t number);
void mole_close(struct mole *m);
/* Lets time go by and reads what came. */
void mole_run(struct mole *m, uint64_t ms);
void mole_read(struct mole *m);
void mole_say(struct mole *m, const struct wire_message *w);
/* A bundle of one op by the mole, signed; `id` gets the delta's id. */
struct item mole_bundle(struct mole *m, uint64_t number, struct buf *out);
struct item mole_bundle_sized(struct mole *m, uint64_t number, size_t size, struct buf *out); /* of the body's text */

#endif
