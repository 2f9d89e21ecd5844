/*
 * The configuration: every kind of bad line is refused with the line, the key and the next step, and a later source
 * overrides an earlier one whatever the order of arrival.
 */
#include "node/config.h"
#include "node/suggest.h"

#include <criterion/criterion.h>
#include <string.h>

static enum err put(struct config *c, const char *line, struct buf *why)
{
    return config_line(c, bytes_str(line), why);
}

/* One bad line after a good one: the message must name line 2 and contain `part`. */
static void refuse(const char *line, const char *part)
{
    struct config c;
    struct buf why = {0};
    config_init(&c);
    cr_assert(put(&c, "# comment", &why) == ERR_OK);
    cr_assert(put(&c, line, &why) != ERR_OK, "accepted: %s", line);
    cr_assert(strstr(buf_cstr(&why), "souk.conf line 2: ") == (char *)why.p, "%s", buf_cstr(&why));
    cr_assert(strstr(buf_cstr(&why), part) != NULL, "%s: wanted \"%s\"", buf_cstr(&why), part);
    buf_close(&why);
    config_close(&c);
}

Test(config, bad_lines_say_what_and_what_next)
{
    refuse("http", "wants `key = value`, not \"http\"");
    refuse("= 3", "wants a key before `=`");
    refuse("cache_mib = 3", "unknown setting \"cache_mib\"; did you mean \"cache_mb\"?");
    refuse("log.nte = info", "did you mean \"log.net\"?");
    refuse("colour = blue", "`souk config show` lists them all");
    refuse("cache_mb = lots", "cache_mb wants a number from 1 to 1048576, not \"lots\"");
    refuse("cache_mb = 0", "from 1 to");
    refuse("cache_mb = 99999999999999999999", "from 1 to");
    refuse("cache_mb = -1", "from 1 to");
    refuse("http = 7070", "wants HOST:PORT");
    refuse("http = 127.0.0.1:70700", "wants HOST:PORT");
    refuse("http =", "wants HOST:PORT");
    refuse("http = ::1:80", "wants HOST:PORT");
    refuse("peer = 10.0.0.1:0", "KEY of 64 hex digits");
    refuse("peer = abc@10.0.0.1:7071", "KEY of 64 hex digits");
    refuse("mesh = 123", "wants 64 hex digits");
    refuse("log = loud", "wants one of error, warn, info, debug");
    refuse("read_auth = yes", "wants one of none, token");
    refuse("history_bodies = 3", "history_bodies wants all, the one value that this version knows, not \"3\"");
    refuse("\xff\xfe = 1", "not UTF-8");
    refuse("name = a\x01z", "wants one line of text without control characters");
}

Test(config, a_line_that_is_too_long)
{
    char line[CONFIG_LINE_MAX + 2];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    refuse(line, "more than 1024 bytes");
}

Test(config, a_bad_line_changes_nothing_and_the_next_one_counts)
{
    struct config c;
    struct buf why = {0}, where = {0};
    config_init(&c);
    cr_assert(put(&c, "cache_mb = many", &why) == ERR_INVALID);
    cr_assert_eq(config_number(&c, CONFIG_CACHE_MB), 64);
    cr_assert(put(&c, "\t cache_mb=128 \r", &why) == ERR_OK);
    cr_assert_eq(config_number(&c, CONFIG_CACHE_MB), 128);
    config_where(&c, CONFIG_CACHE_MB, &where);
    cr_assert_str_eq(buf_cstr(&where), "souk.conf:2");
    cr_assert(put(&c, "cache_mb = 12", &why) == ERR_INVALID);
    cr_assert(strstr(buf_cstr(&why), "line 3: cache_mb is set already in line 2") != NULL);
    buf_close(&why);
    buf_close(&where);
    config_close(&c);
}

Test(config, flags_override_variables_override_the_file_in_any_order)
{
    static const struct {
        enum config_origin origin;
        const char *value;
    } sources[] = {{CONFIG_FILE, "1"}, {CONFIG_ENV, "2"}, {CONFIG_FLAG, "3"}};
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < 6; i++) {
        struct config c;
        struct buf why = {0}, where = {0};
        config_init(&c);
        for (size_t j = 0; j < 3; j++) {
            size_t k = (size_t)orders[i][j];
            enum err err = config_set(&c, "cache_mb", bytes_str(sources[k].value), sources[k].origin, &why);
            cr_assert(err == ERR_OK);
        }
        cr_assert_eq(config_number(&c, CONFIG_CACHE_MB), 3);
        config_where(&c, CONFIG_CACHE_MB, &where);
        cr_assert_str_eq(buf_cstr(&where), "flag");
        buf_close(&where);
        buf_close(&why);
        config_close(&c);
    }
}

Test(config, a_weaker_source_is_still_checked)
{
    struct config c;
    struct buf why = {0};
    config_init(&c);
    cr_assert(config_set(&c, "cache_mb", bytes_str("9"), CONFIG_FLAG, &why) == ERR_OK);
    cr_assert(config_set(&c, "cache_mb", bytes_str("x"), CONFIG_ENV, &why) == ERR_INVALID);
    cr_assert(config_set(&c, "cash_mb", bytes_str("9"), CONFIG_FLAG, &why) == ERR_NOT_FOUND);
    buf_close(&why);
    config_close(&c);
}

Test(config, peers_are_a_list_that_a_stronger_source_replaces)
{
    struct config c;
    struct buf why = {0};
    char item[128];
    config_init(&c);
    cr_assert(!config_item(&c, CONFIG_PEER, 0, item, sizeof item));
    cr_assert(put(&c, "peer = a:1", &why) == ERR_OK);
    cr_assert(put(&c, "peer = [::1]:2", &why) == ERR_OK);
    cr_assert(config_item(&c, CONFIG_PEER, 1, item, sizeof item));
    cr_assert_str_eq(item, "[::1]:2");
    cr_assert(config_set(&c, "peer", bytes_str("c:3"), CONFIG_FLAG, &why) == ERR_OK);
    cr_assert(config_item(&c, CONFIG_PEER, 0, item, sizeof item));
    cr_assert_str_eq(item, "c:3");
    cr_assert(!config_item(&c, CONFIG_PEER, 1, item, sizeof item));
    for (int i = 1; i < CONFIG_PEERS_MAX; i++)
        cr_assert(config_set(&c, "peer", bytes_str("c:3"), CONFIG_FLAG, &why) == ERR_OK);
    cr_assert(config_set(&c, "peer", bytes_str("c:3"), CONFIG_FLAG, &why) == ERR_INVALID);
    buf_close(&why);
    config_close(&c);
}

Test(config, addresses_make_sense_together)
{
    struct config c;
    struct buf why = {0};
    config_init(&c);
    cr_assert(config_finish(&c, &why) == ERR_OK);
    cr_assert(config_set(&c, "listen", bytes_str("127.0.0.1:7070"), CONFIG_FLAG, &why) == ERR_OK);
    cr_assert(config_finish(&c, &why) == ERR_INVALID);
    cr_assert(strstr(buf_cstr(&why), "different ports") != NULL);
    cr_assert(config_set(&c, "listen", bytes_str("127.0.0.1:7071"), CONFIG_FLAG, &why) == ERR_OK);
    const char *const nowhere[] = {"0.0.0.0:7071", "[::]:7071", "example.org:0"};
    for (size_t i = 0; i < 3; i++) {
        buf_reset(&why);
        cr_assert(config_set(&c, "advertise", bytes_str(nowhere[i]), CONFIG_FLAG, &why) == ERR_OK);
        cr_assert(config_finish(&c, &why) == ERR_INVALID, "%s", nowhere[i]);
        cr_assert(strstr(buf_cstr(&why), nowhere[i]) != NULL);
    }
    cr_assert(config_set(&c, "advertise", bytes_str("example.org:7071"), CONFIG_FLAG, &why) == ERR_OK);
    cr_assert(config_finish(&c, &why) == ERR_OK);
    buf_close(&why);
    config_close(&c);
}

Test(config, variables_are_named_after_keys)
{
    struct buf out = {0};
    config_variable(CONFIG_LOG_NET, &out);
    cr_assert_str_eq(buf_cstr(&out), "SOUK_LOG_NET");
    buf_close(&out);
}

Test(config, addresses)
{
    char host[64];
    unsigned port = 0;
    cr_assert(config_split_address(bytes_str("[::1]:80"), host, sizeof host, &port));
    cr_assert_str_eq(host, "::1");
    cr_assert_eq(port, 80);
    cr_assert(config_split_address(bytes_str("node-1.example:0"), host, sizeof host, &port));
    cr_assert_eq(port, 0);
    cr_assert(!config_split_address(bytes_str(":80"), host, sizeof host, &port));
    cr_assert(!config_split_address(bytes_str("a:"), host, sizeof host, &port));
    cr_assert(!config_split_address(bytes_str("[]:1"), host, sizeof host, &port));
    cr_assert(!config_split_address(bytes_str("a b:1"), host, sizeof host, &port));
    cr_assert(!config_split_address(bytes_str("0123456789:1"), host, 10, &port));
}

Test(suggest, distance_counts_swaps_once)
{
    cr_assert_eq(suggest_distance("", "abc"), 3);
    cr_assert_eq(suggest_distance("abc", "abc"), 0);
    cr_assert_eq(suggest_distance("statsu", "status"), 1);
    cr_assert_eq(suggest_distance("kitten", "sitting"), 3);
}

Test(suggest, only_what_is_near)
{
    struct suggest s = {.word = "lss"};
    suggest_offer(&s, "status");
    cr_assert_null(s.best);
    suggest_offer(&s, "ls");
    suggest_offer(&s, "ss");
    cr_assert_str_eq(s.best, "ls");
}
