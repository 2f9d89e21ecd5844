/*
 * Log lines on stderr, each by one write so that lines of several threads never mix.
 */
#include "node/uv_log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const subsystems[LOG_SUBSYSTEMS] = {"node", "net", "store", "api"};
static const char *const levels[] = {"error", "warn", "info", "debug"};

#define LEVELS (sizeof levels / sizeof *levels)

void uv_log_config(struct uv_log *log, const struct config *config)
{
    static const enum config_key keys[LOG_SUBSYSTEMS] = {CONFIG_LOG_NODE, CONFIG_LOG_NET, CONFIG_LOG_STORE,
                                                         CONFIG_LOG_API};
    for (size_t i = 0; i < LOG_SUBSYSTEMS; i++) {
        uint64_t level = config_number(config, keys[i]);
        if (level >= LEVELS) /* "default" */
            level = config_number(config, CONFIG_LOG);
        log->levels[i] = (enum log_level)level;
    }
}

static bool find(const char *const *words, size_t count, const char *word, size_t n, size_t *out)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i]) == n && strncmp(words[i], word, n) == 0) {
            *out = i;
            return true;
        }
    return false;
}

bool uv_log_change(struct uv_log *log, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *word = equals != NULL ? equals + 1 : text;
    size_t level, subsystem;
    if (!find(levels, LEVELS, word, strlen(word), &level))
        return false;
    if (equals == NULL) {
        for (size_t i = 0; i < LOG_SUBSYSTEMS; i++)
            log->levels[i] = (enum log_level)level;
        return true;
    }
    if (!find(subsystems, LOG_SUBSYSTEMS, text, (size_t)(equals - text), &subsystem))
        return false;
    log->levels[subsystem] = (enum log_level)level;
    return true;
}

enum log_subsystem uv_log_subsystem(const char *word)
{
    size_t i = LOG_NODE;
    (void)find(subsystems, LOG_SUBSYSTEMS, word, strlen(word), &i);
    return (enum log_subsystem)i;
}

void uv_log(const struct uv_log *log, enum log_subsystem subsystem, enum log_level level, const char *format, ...)
{
    char line[1024];
    struct timespec now;
    struct tm utc;
    va_list args;
    assert(subsystem < LOG_SUBSYSTEMS && level < LEVELS);
    if (level > log->levels[subsystem])
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s ", now.tv_nsec / 1000000, levels[level],
                          subsystems[subsystem]);
    va_start(args, format);
    int more = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    size_t end = more < 0 ? n : n + (size_t)more;
    end = end < sizeof line - 2 ? end : sizeof line - 2;
    for (size_t i = n; i < end; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[end++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, end);
    (void)written; /* nowhere else to say it */
}
