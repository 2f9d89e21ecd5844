/*
 * Levels of the log: one for all, one for each subsystem, and words that are neither are refused.
 */
#include "node/uv_log.h"

#include <criterion/criterion.h>

Test(log, the_default_holds_where_a_subsystem_has_none)
{
    struct config c;
    struct buf why = {0};
    struct uv_log log;
    config_init(&c);
    cr_assert(config_set(&c, "log", bytes_str("warn"), CONFIG_FLAG, &why) == ERR_OK);
    cr_assert(config_set(&c, "log.net", bytes_str("debug"), CONFIG_FLAG, &why) == ERR_OK);
    uv_log_config(&log, &c);
    cr_assert_eq(log.levels[LOG_NET], LOG_DEBUG);
    cr_assert_eq(log.levels[LOG_STORE], LOG_WARN);
    config_close(&c);
    buf_close(&why);
}

Test(log, levels_change_at_once)
{
    struct uv_log log = {{LOG_INFO, LOG_INFO, LOG_INFO, LOG_INFO}};
    cr_assert(uv_log_change(&log, "api=debug"));
    cr_assert_eq(log.levels[LOG_API], LOG_DEBUG);
    cr_assert_eq(log.levels[LOG_NET], LOG_INFO);
    cr_assert(uv_log_change(&log, "error"));
    cr_assert_eq(log.levels[LOG_API], LOG_ERROR);
    cr_assert(!uv_log_change(&log, "loud"));
    cr_assert(!uv_log_change(&log, "disk=debug"));
    cr_assert(!uv_log_change(&log, "net="));
    cr_assert(!uv_log_change(&log, ""));
    cr_assert_eq(uv_log_subsystem("store"), LOG_STORE);
    cr_assert_eq(uv_log_subsystem("else"), LOG_NODE);
}
