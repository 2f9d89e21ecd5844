/* The tables themselves, the defaults of every kind, and how a record is shown. */
#include "crdt/record.h"

#include "crdt/codec.h"
#include "crdt/hlc.h"
#include "crdt/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct record_meta meta_of(const char *name)
{
    struct record_meta m = {.name = bytes_str(name), .created_at = hlc_from_ms(1763000000999), .updated_at = hlc_from_ms(1763000123000)};
    memset(m.id.b, 0xab, sizeof m.id.b);
    memset(m.owner.b, 0x01, sizeof m.owner.b);
    return m;
}

#define AB "abababababababababababababababababababababababababababababababab"
#define ONE "0101010101010101010101010101010101010101010101010101010101010101"

static void expect_shown(uint64_t kind, struct merged *record, const char *name, const char *want)
{
    struct buf out = {0};
    struct record_meta meta = meta_of(name);
    record_json(kind_by_number(kind), record, &meta, &out);
    cr_expect_str_eq(buf_cstr(&out), want, "got  %s\nwant %s", buf_cstr(&out), want);
    buf_close(&out);
}

Test(record, defaults_of_a_model)
{
    struct merged none = {0};
    expect_shown(KIND_MODEL, &none, "m",
        "{\"model_id\":\"" AB "\",\"name\":\"m\",\"owner_id\":\"" ONE "\",\"version\":\"0.1.0\",\"description\":\"\","
        "\"documentation\":null,\"license\":\"MIT\",\"model_type\":\"LLM\",\"framework\":\"PyTorch\",\"io_modes\":[\"TextToText\"],"
        "\"parameters\":0,\"quantization\":null,\"context_length\":null,\"input_tokens_per_second\":null,"
        "\"output_tokens_per_second\":null,\"tags\":[],\"created_at\":1763000000,\"updated_at\":1763000123,"
        "\"formfile_template\":\"\",\"weights_url\":null,\"weights_checksum\":null,\"weights_size_bytes\":null,"
        "\"resource_requirements\":{\"min_vcpus\":1,\"recommended_vcpus\":2,\"min_memory_mb\":1024,\"recommended_memory_mb\":4096,"
        "\"min_disk_gb\":10,\"recommended_disk_gb\":20,\"requires_gpu\":false,\"min_vram_gb\":null,\"recommended_vram_gb\":null,"
        "\"cuda_cores\":null,\"tensor_cores\":null,\"required_cpu_extensions\":[],\"required_cuda_version\":null},"
        "\"capabilities\":[],\"average_rating\":null,\"deployment_count\":0,\"usage_count\":0,\"is_featured\":false,"
        "\"is_private\":false,\"metadata\":{},\"repository_url\":null,\"demo_url\":null,\"paper_url\":null,"
        "\"price_per_1m_tokens\":null,\"pricing\":[],\"usage_tracking\":{\"track_tokens\":true,\"track_requests\":true,"
        "\"enable_royalties\":false,\"royalty_percentage\":0,\"custom_metrics\":[]}}");
}

Test(record, defaults_of_an_agent)
{
    struct merged none = {0};
    expect_shown(KIND_AGENT, &none, "a",
        "{\"agent_id\":\"" AB "\",\"name\":\"a\",\"owner_id\":\"" ONE "\",\"version\":\"0.1.0\",\"description\":\"\","
        "\"documentation\":null,\"license\":\"MIT\",\"agent_type\":\"Assistant\",\"framework\":\"LangChain\",\"runtime\":\"Python\","
        "\"compatible_model_types\":[\"LLM\"],\"preferred_models\":[],\"requires_specific_model\":false,\"required_model_id\":null,"
        "\"tags\":[],\"created_at\":1763000000,\"updated_at\":1763000123,\"formfile_template\":\"\","
        "\"resource_requirements\":{\"min_vcpus\":1,\"recommended_vcpus\":1,\"min_memory_mb\":512,\"recommended_memory_mb\":1024,"
        "\"min_disk_gb\":5,\"recommended_disk_gb\":10,\"requires_gpu\":false},\"capabilities\":[],\"tools\":[],"
        "\"has_memory\":false,\"has_external_api_access\":false,\"has_internet_access\":false,\"has_filesystem_access\":false,"
        "\"average_rating\":null,\"deployment_count\":0,\"usage_count\":0,\"is_featured\":false,\"is_private\":false,"
        "\"metadata\":{},\"repository_url\":null,\"demo_url\":null,\"price_per_request\":null,\"pricing\":[],"
        "\"usage_tracking\":{\"track_requests\":true,\"custom_metrics\":[]},\"config_schema\":null}");
}

Test(record, defaults_of_the_other_kinds)
{
    struct merged none = {0};
    expect_shown(KIND_SERVER, &none, "a.b/c", "{\"name\":\"a.b/c\"}");
    expect_shown(KIND_NODE, &none, "n",
        "{\"node_id\":\"" AB "\",\"name\":\"n\",\"owner_id\":\"" ONE "\",\"http_url\":null,\"mesh_addresses\":[],\"region\":\"\","
        "\"version\":\"\",\"deployments\":[],\"capacity\":{\"vcpus\":null,\"memory_mb\":null,\"disk_gb\":null,\"vram_gb\":null},"
        "\"created_at\":1763000000,\"updated_at\":1763000123}");
    expect_shown(KIND_CHARTER, &none, "mesh", "{\"name\":\"mesh\",\"admission\":\"members\",\"about\":\"\",\"contact\":\"\"}");
    expect_shown(KIND_MEMBER, &none, "k", "{\"name\":\"k\",\"role\":\"member\",\"removed\":false,\"invitation\":null,\"with\":null}");
}

/* A table that keeps its own rules: defaults that fit, bounds that are bounds, a sentence for each field. */
static void check_table(const struct field_desc *table, size_t depth)
{
    size_t n = 0;
    cr_assert_lt(depth, 6);
    for (const struct field_desc *d = table; d->name != NULL; d++, n++) {
        cr_expect(field_by_name(table, bytes_str(d->name)) == d, "%s twice", d->name);
        cr_expect(d->about != NULL && d->about[strlen(d->about) - 1] == '.', "%s", d->name);
        cr_expect(d->min <= d->max, "%s", d->name);
        bool list = d->type == FIELD_STRING_LIST || d->type == FIELD_ENUM_LIST || d->type == FIELD_OBJECT_LIST;
        cr_expect(!list || (d->max > 0 && d->max <= RECORD_LIST_MAX), "%s", d->name);
        cr_expect((d->type == FIELD_ENUM || d->type == FIELD_ENUM_LIST) == (d->values != NULL), "%s", d->name);
        bool object = d->type == FIELD_OBJECT || d->type == FIELD_OBJECT_LIST || d->type == FIELD_OBJECT_MAP;
        cr_expect(object == (d->fields != NULL), "%s", d->name);
        cr_expect(!(d->flags & FIELD_NULLABLE) || strcmp(d->fallback, "null") == 0, "%s", d->name);
        if (d->not_below != NULL)
            cr_expect(field_by_name(table, bytes_str(d->not_below)) != NULL, "%s", d->name);
        if (d->fields != NULL)
            check_table(d->fields, depth + 1);
    }
    cr_expect_leq(n, RECORD_FIELDS_MAX);
}

Test(record, tables_keep_their_own_rules)
{
    size_t n = 0;
    for (const struct kind_desc *k; (k = kind_at(n)) != NULL; n++) {
        check_table(k->fields, 0);
        cr_expect(kind_by_number(k->kind) == k);
        cr_expect(kind_by_word(k->singular) == k && kind_by_word(k->plural) == k);
        cr_expect(field_by_name(k->fields, bytes_str("name")) != NULL);
        cr_expect(k->id_field == NULL || field_by_name(k->fields, bytes_str(k->id_field))->flags & FIELD_BY_NODE);
    }
    cr_expect_eq(n, 6);
    cr_expect_null(kind_by_number(0));
    cr_expect_null(kind_by_number(7));
    cr_expect_null(kind_by_number(UINT64_MAX));
    cr_expect_null(kind_by_word("widget"));
    size_t models = 0, agents = 0;
    while (kind_at(0)->fields[models].name != NULL)
        models++;
    while (kind_at(1)->fields[agents].name != NULL)
        agents++;
    cr_expect_eq(models, 37, "35, pricing and moved_to");
    cr_expect_eq(agents, 38, "36, pricing and moved_to");
}

/* A record made by hand. */
struct made {
    struct merged record;
    struct merged_field fields[16];
    struct buf values[16];
};

static struct buf *add(struct made *m, const char *name)
{
    size_t i = m->record.field_count++;
    m->record.fields = m->fields;
    m->fields[i].field.name = bytes_str(name);
    return &m->values[i];
}

static struct merged *done(struct made *m)
{
    for (size_t i = 0; i < m->record.field_count; i++) {
        m->fields[i].field.value = buf_view(&m->values[i]);
        cr_assert(i == 0 || bytes_cmp(m->fields[i - 1].field.name, m->fields[i].field.name) < 0);
    }
    return &m->record;
}

static void made_close(struct made *m)
{
    for (size_t i = 0; i < m->record.field_count; i++)
        buf_close(&m->values[i]);
}

Test(record, misfits_are_foreign_and_unknown_fields_follow)
{
    struct made m = {0};
    mp_put_uint(add(&m, "admission"), 5);          /* of another type               */
    mp_put_str(add(&m, "foreign"), bytes_str("x")); /* a name that is taken          */
    mp_put_str(add(&m, "name"), bytes_str("y"));    /* the name is not a field       */
    mp_put_float(add(&m, "zeta"), 0.5);             /* unknown                       */
    mp_put_nil(add(&m, "zz"));                      /* unknown and removed           */
    expect_shown(KIND_CHARTER, done(&m), "mesh",
        "{\"name\":\"mesh\",\"admission\":\"members\",\"about\":\"\",\"contact\":\"\",\"foreign\":{\"admission\":5,\"foreign\":\"x\",\"name\":\"y\"},\"zeta\":0.5}");
    made_close(&m);
}

Test(record, a_removed_field_shows_its_default)
{
    struct made m = {0};
    mp_put_nil(add(&m, "admission"));
    expect_shown(KIND_CHARTER, done(&m), "mesh", "{\"name\":\"mesh\",\"admission\":\"members\",\"about\":\"\",\"contact\":\"\"}");
    made_close(&m);
}

Test(record, what_nodes_set_is_never_taken_from_a_body)
{
    struct made m = {0};
    mp_put_int(add(&m, "created_at"), 1);
    mp_put_str(add(&m, "node_id"), bytes_str("mine"));
    struct buf out = {0};
    struct record_meta meta = meta_of("n");
    record_json(kind_by_number(KIND_NODE), done(&m), &meta, &out);
    cr_expect(strstr(buf_cstr(&out), "\"created_at\":1763000000,"));
    cr_expect(strstr(buf_cstr(&out), "\"node_id\":\"" AB "\""));
    cr_expect(strstr(buf_cstr(&out), "\"foreign\":{\"created_at\":1,\"node_id\":\"mine\"}"));
    buf_close(&out);
    made_close(&m);
}

Test(record, nested_objects_show_their_defaults_and_unknown_members)
{
    struct made m = {0};
    struct buf *v = add(&m, "capacity");
    mp_put_map(v, 2);
    mp_put_str(v, bytes_str("gpus"));
    mp_put_uint(v, 2);
    mp_put_str(v, bytes_str("vcpus"));
    mp_put_uint(v, 8);
    struct buf out = {0};
    struct record_meta meta = meta_of("n");
    record_json(kind_by_number(KIND_NODE), done(&m), &meta, &out);
    cr_expect(strstr(buf_cstr(&out), "\"capacity\":{\"vcpus\":8,\"memory_mb\":null,\"disk_gb\":null,\"vram_gb\":null,\"gpus\":2}"));
    buf_close(&out);
    made_close(&m);
}

Test(record, a_default_gives_way_to_the_number_that_bounds_it)
{
    struct made m = {0};
    struct buf *v = add(&m, "resource_requirements");
    mp_put_map(v, 2);
    mp_put_str(v, bytes_str("min_vcpus"));
    mp_put_uint(v, 16);
    mp_put_str(v, bytes_str("recommended_memory_mb"));
    mp_put_uint(v, 512);
    struct buf out = {0};
    struct record_meta meta = meta_of("m");
    record_json(kind_by_number(KIND_MODEL), done(&m), &meta, &out);
    cr_expect(strstr(buf_cstr(&out), "\"min_vcpus\":16,\"recommended_vcpus\":16,\"min_memory_mb\":512,\"recommended_memory_mb\":512,"), "%s", buf_cstr(&out));
    buf_close(&out);
    made_close(&m);
}

static void put_price(struct buf *v, const char *unit, uint64_t pico)
{
    mp_put_map(v, 2);
    mp_put_str(v, bytes_str("pico_usd"));
    mp_put_uint(v, pico);
    mp_put_str(v, bytes_str("unit"));
    mp_put_str(v, bytes_str(unit));
}

Test(record, price_comes_from_pricing_then_from_the_decimal)
{
    struct made m = {0};
    uint64_t pico = 0;
    mp_put_str(add(&m, "price_per_1m_tokens"), bytes_str("0.15"));
    cr_expect(record_price(done(&m), "input_token", &pico) && pico == 150000);
    cr_expect_not(record_price(&m.record, "output_token", &pico));
    struct buf *v = add(&m, "pricing");
    mp_put_array(v, 2);
    put_price(v, "input_token", 7);
    put_price(v, "output_token", 9);
    cr_expect(record_price(done(&m), "input_token", &pico) && pico == 7);
    cr_expect(record_price(&m.record, "output_token", &pico) && pico == 9);
    cr_expect_not(record_price(&m.record, "request", &pico));
    made_close(&m);
}

Test(record, a_required_field_cannot_be_removed_and_must_be_there)
{
    struct faults faults = {0};
    const struct kind_desc *server = kind_by_number(KIND_SERVER);
    const struct field_desc *version = field_by_name(server->fields, bytes_str("version"));
    cr_expect_not(field_check(version, "/version", bytes_of("\xc0", 1), &faults));
    cr_expect_str_eq(faults.list[0].pointer, "/version");
    cr_expect(field_check(field_by_name(server->fields, bytes_str("title")), "/title", bytes_of("\xc0", 1), &faults));
    cr_expect_eq(faults.count, 1);
    faults.count = 0;
    cr_expect_not(record_check(server, NULL, 0, &faults));
    cr_expect_eq(faults.count, 2);
    cr_expect_str_eq(faults.list[0].pointer, "/description");
    cr_expect_str_eq(faults.list[1].pointer, "/version");
}

Test(record, faults_are_bounded_and_whole_utf8)
{
    struct faults faults = {0};
    for (int i = 0; i < 100; i++)
        faults_add(&faults, "/x", "%d", i);
    cr_expect_eq(faults.count, FAULTS_MAX);
    faults.count = 0;
    char text[400];
    for (size_t i = 0; i < 398; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[398] = 0;
    for (size_t shift = 0; shift < 3; shift++) {
        faults_add(&faults, text + shift % 2 * 2, "%.*s%s", (int)shift, "ab", text);
        const struct fault *f = &faults.list[faults.count - 1];
        cr_expect(utf8_valid(bytes_str(f->detail)) && utf8_valid(bytes_str(f->pointer)));
        cr_expect_geq(strlen(f->detail), 156);
    }
    faults_add(NULL, "/x", "nobody listens");
}

Test(record, values_that_are_not_canonical_do_not_fit)
{
    const struct field_desc *version = field_by_name(kind_by_number(KIND_MODEL)->fields, bytes_str("version"));
    const char *bad[] = {"", "\xd9\x01" "a", "\xa2" "a", "\xa1" "ab", "\xc1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct faults faults = {0};
        cr_expect_not(field_check(version, "/version", bytes_of(bad[i], strlen(bad[i])), &faults), "%zu", i);
        cr_expect_geq(faults.count, 1);
    }
}
