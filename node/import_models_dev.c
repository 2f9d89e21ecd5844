/*
 * A row of models.dev to a model record. Prices, which stand there in USD per 1,000,000 tokens, become pico-USD; whatever
 * has no field of its own is kept under its own name in `metadata`, so nothing of a row is lost.
 */
#include "crdt/decimal.h"
#include "node/import_map.h"

#include <assert.h>
#include <string.h>

struct dev {
    json_t *out, *metadata, *tags, *capabilities, *pricing;
    struct faults *faults;
};

/* Texts as they are, everything else as JSON. */
static void keep(struct dev *d, const char *key, const json_t *value)
{
    assert(value != NULL && json_is_object(d->metadata));
    struct buf packed = {0}, text = {0};
    if (json_is_string(value)) {
        (void)json_object_set(d->metadata, key, (json_t *)value);
        return;
    }
    if (json_to_msgpack(value, &packed)) {
        json_put_value(&text, buf_view(&packed));
        (void)json_object_set_new(d->metadata, key, json_stringn((const char *)text.p, text.n));
    } else {
        faults_add(d->faults, "", "member %s is nested deeper than %d levels", key, RECORD_DEPTH_MAX);
    }
    buf_close(&packed);
    buf_close(&text);
}

static void keep_under(struct dev *d, const char *group, const char *key, const json_t *value)
{
    struct buf name = {0};
    buf_printf(&name, "%s.%s", group, key);
    keep(d, buf_cstr(&name), value);
    buf_close(&name);
}

static void add_price(struct dev *d, const char *unit, uint64_t pico)
{
    assert(pico <= INT64_MAX && json_is_array(d->pricing));
    json_t *price = json_object();
    (void)json_object_set_new(price, "unit", json_string(unit));
    (void)json_object_set_new(price, "pico_usd", json_integer((json_int_t)pico));
    (void)json_array_append_new(d->pricing, price);
}

/* True: the price is in `pricing`, exactly. Rounded to a whole pico-USD, it is kept in metadata too. */
static bool take_price(struct dev *d, const char *key, const char *unit, const json_t *value)
{
    char text[DECIMAL_TEXT];
    uint64_t pico;
    bool exact;
    if (!json_is_number(value) || !decimal_of_double(text, json_number_value(value)) ||
        !decimal_rounded(bytes_str(text), 6, &pico, &exact)) {
        faults_add(d->faults, "/cost", "%s is not a price in USD per 1,000,000 tokens", key);
        return true;
    }
    add_price(d, unit, pico);
    if (strcmp(unit, "input_token") == 0) {
        char whole[32];
        decimal_from_pico(whole, pico);
        (void)json_object_set_new(d->out, "price_per_1m_tokens", json_string(whole));
    }
    return exact;
}

static void take_cost(struct dev *d, const json_t *cost)
{
    static const char *const units[][2] = {
        {"input", "input_token"},         {"output", "output_token"},       {"cache_read", "cache_read_token"},
        {"cache_write", "cache_write_token"}, {"reasoning", "reasoning_token"}, {"input_audio", "input_audio_token"},
        {"output_audio", "output_audio_token"}};
    json_t *tree = (json_t *)cost;
    for (void *it = json_object_iter(tree); it != NULL; it = json_object_iter_next(tree, it)) {
        const char *key = json_object_iter_key(it);
        size_t i = 0, n = sizeof units / sizeof *units;
        while (i < n && strcmp(units[i][0], key) != 0)
            i++;
        if (i == n || !take_price(d, key, units[i][1], json_object_iter_value(it)))
            keep_under(d, "cost", key, json_object_iter_value(it));
    }
}

static void take_limit(struct dev *d, const json_t *limit)
{
    json_t *tree = (json_t *)limit;
    for (void *it = json_object_iter(tree); it != NULL; it = json_object_iter_next(tree, it)) {
        const char *key = json_object_iter_key(it);
        json_t *value = json_object_iter_value(it);
        if (strcmp(key, "context") == 0 && json_is_integer(value))
            (void)json_object_set(d->out, "context_length", value);
        else
            keep_under(d, "limit", key, value);
    }
}

static bool lists(const json_t *modalities, const char *side, const char *mode)
{
    const json_t *list = json_object_get(modalities, side);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (s != NULL && strcmp(s, mode) == 0)
            return true;
    }
    return false;
}

static const char *model_type(const json_t *m)
{
    if (json_array_size(json_object_get(m, "output")) > 0 && !lists(m, "output", "text"))
        return lists(m, "output", "image") ? "ImageGeneration" : lists(m, "output", "audio") ? "AudioProcessing" : "VideoGeneration";
    if (lists(m, "input", "audio") && !lists(m, "input", "text"))
        return "AudioProcessing";
    bool more = lists(m, "input", "image") || lists(m, "input", "video") || lists(m, "input", "audio") ||
                json_array_size(json_object_get(m, "output")) > 1;
    return more ? "Multimodal" : "LLM";
}

/* "text" -> "Text", appended. */
static void put_capital(struct buf *b, const char *word)
{
    size_t at = b->n;
    buf_put_str(b, word);
    if (b->n > at && b->p[at] >= 'a' && b->p[at] <= 'z')
        b->p[at] = (uint8_t)(b->p[at] - 'a' + 'A');
}

static void take_modalities(struct dev *d, const json_t *m)
{
    const json_t *in = json_object_get(m, "input"), *out = json_object_get(m, "output");
    json_t *modes = json_array();
    struct buf name = {0};
    for (size_t i = 0; i < json_array_size(in); i++) {
        for (size_t k = 0; k < json_array_size(out); k++) {
            const char *a = json_string_value(json_array_get(in, i)), *b = json_string_value(json_array_get(out, k));
            if (a == NULL || b == NULL)
                continue;
            buf_reset(&name);
            put_capital(&name, a);
            buf_put_str(&name, "To");
            put_capital(&name, b);
            (void)json_array_append_new(modes, json_string(buf_cstr(&name)));
        }
    }
    buf_close(&name);
    (void)json_object_set_new(d->out, "io_modes", modes);
    (void)json_object_set_new(d->out, "model_type", json_string(model_type(m)));
}

/* The first address of the weights has a field; labels and further ones are kept. */
static void take_weights(struct dev *d, const json_t *weights)
{
    json_t *url = json_object_get(json_array_get(weights, 0), "url");
    if (url != NULL)
        (void)json_object_set(d->out, "weights_url", url);
    keep(d, "weights", weights);
}

static bool is_capability(const char *key)
{
    static const char *const names[] = {"attachment", "reasoning", "temperature", "tool_call", "structured_output"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], key) == 0)
            return true;
    return false;
}

static void take_member(struct dev *d, const char *key, json_t *value)
{
    if (strcmp(key, "id") == 0)
        return; /* it is in the name */
    if (strcmp(key, "name") == 0)
        (void)json_object_set(d->out, "description", value);
    else if (strcmp(key, "cost") == 0 && json_is_object(value))
        take_cost(d, value);
    else if (strcmp(key, "limit") == 0 && json_is_object(value))
        take_limit(d, value);
    else if (strcmp(key, "modalities") == 0 && json_is_object(value))
        take_modalities(d, value);
    else if (strcmp(key, "weights") == 0 && json_is_array(value))
        take_weights(d, value);
    else if (is_capability(key) && json_is_true(value))
        (void)json_array_append_new(d->capabilities, json_string(key));
    else
        keep(d, key, value);
    if ((strcmp(key, "family") == 0 || strcmp(key, "status") == 0) && json_is_string(value))
        (void)json_array_append(d->tags, value);
}

/* The catalogue says whether weights are open, not under which licence, and names no framework: so does the record. */
static void take_openness(struct dev *d, const json_t *row)
{
    const json_t *open = json_object_get(row, "open_weights");
    (void)json_object_set_new(d->out, "license", json_string(json_is_false(open) ? "Proprietary" : "unknown"));
    (void)json_object_set_new(d->out, "framework", json_string("unknown"));
    if (json_is_true(open))
        (void)json_array_append_new(d->tags, json_string("open-weights"));
}

static bool take_name(struct dev *d, const json_t *row, struct bytes provider, struct bytes id)
{
    const json_t *p = json_object_get(row, "provider"), *i = json_object_get(row, "id");
    if (json_is_string(p))
        provider = bytes_of(json_string_value(p), json_string_length(p));
    if (json_is_string(i))
        id = bytes_of(json_string_value(i), json_string_length(i));
    if (provider.n == 0)
        faults_add(d->faults, "/provider", "is required: the entry is named provider/id");
    if (id.n == 0)
        faults_add(d->faults, "/id", "is required: the entry is named provider/id");
    if (provider.n == 0 || id.n == 0)
        return false;
    struct buf name = {0};
    buf_put_bytes(&name, provider);
    buf_put_u8(&name, '/');
    buf_put_bytes(&name, id);
    (void)json_object_set_new(d->out, "name", json_stringn((const char *)name.p, name.n));
    (void)json_object_set_new(d->metadata, "provider", json_stringn((const char *)provider.p, provider.n));
    buf_close(&name);
    return true;
}

json_t *import_map_models_dev(const json_t *row, struct bytes provider, struct bytes id, struct faults *faults)
{
    if (!json_is_object(row)) {
        faults_add(faults, "", "the row is not an object");
        return NULL;
    }
    struct dev d = {.out = json_object(), .metadata = json_object(), .tags = json_array(),
                    .capabilities = json_array(), .pricing = json_array(), .faults = faults};
    json_t *tree = (json_t *)row;
    if (take_name(&d, row, provider, id)) {
        take_openness(&d, row);
        for (void *it = json_object_iter(tree); it != NULL; it = json_object_iter_next(tree, it))
            take_member(&d, json_object_iter_key(it), json_object_iter_value(it));
    }
    (void)json_object_set_new(d.out, "metadata", d.metadata);
    (void)json_object_set_new(d.out, "tags", d.tags);
    (void)json_object_set_new(d.out, "capabilities", d.capabilities);
    (void)json_object_set_new(d.out, "pricing", d.pricing);
    if (faults->count == 0)
        return d.out;
    json_decref(d.out);
    return NULL;
}
