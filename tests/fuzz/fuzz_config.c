/* Any lines of souk.conf give a valid configuration and, for each line refused, one sentence that names the line. */
#include "node/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted must be accepted again, as the same value. */
static void check_values(const struct config *c)
{
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        enum config_key key = (enum config_key)i;
        struct config again;
        struct buf why = {0};
        char item[CONFIG_LINE_MAX + 1];
        config_init(&again);
        bool list = config_desc(key)->type == CONFIG_TYPE_PEER;
        if (list)
            for (size_t k = 0; config_item(c, key, k, item, sizeof item); k++)
                if (config_set(&again, config_desc(key)->name, bytes_str(item), CONFIG_FLAG, &why) != ERR_OK)
                    abort();
        if (!list && config_set(&again, config_desc(key)->name, bytes_str(config_text(c, key)), CONFIG_FLAG, &why) != ERR_OK)
            abort();
        if (strcmp(config_text(&again, key), config_text(c, key)) != 0)
            abort();
        config_close(&again);
        buf_close(&why);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    struct buf why = {0};
    config_init(&c);
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t n = end != NULL ? (size_t)(end - data) - at : size - at, before = why.n;
        enum err err = config_line(&c, bytes_of(data + at, n), &why);
        bool told = why.n > before + strlen("souk.conf line 1: ") && why.p[why.n - 1] == '\n';
        if (told != (err != ERR_OK) || (err == ERR_OK && why.n != before) || !utf8_valid(buf_view(&why)))
            abort();
        at += n + 1;
    }
    check_values(&c);
    enum err whole = config_finish(&c, &why);
    (void)whole;
    config_close(&c);
    buf_close(&why);
    return 0;
}
