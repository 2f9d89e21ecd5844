/*
 * The node's log: one readable line an event on stderr, with a level for each subsystem. Owns nothing but the levels.
 *
 *   2026-11-21T14:05:06.123Z info net peer up id=6f2a... addr=10.0.0.2:7071
 */
#ifndef SOUK_NODE_UV_LOG_H
#define SOUK_NODE_UV_LOG_H

#include "node/config.h"

enum log_subsystem { LOG_NODE, LOG_NET, LOG_STORE, LOG_API, LOG_SUBSYSTEMS };

struct uv_log {
    enum log_level levels[LOG_SUBSYSTEMS];
};

void uv_log_config(struct uv_log *log, const struct config *config);
/* "debug" for all, "net=debug" for one; false: neither a level nor a subsystem. */
bool uv_log_change(struct uv_log *log, const char *text);
enum log_subsystem uv_log_subsystem(const char *word); /* LOG_NODE for an unknown one */
void uv_log(const struct uv_log *log, enum log_subsystem subsystem, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
