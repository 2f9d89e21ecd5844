/* Every rule of the tables, with JSON that keeps it and JSON that breaks it: where the fault is and what it says. */
#include "api/json.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct rule_case {
    const char *member;          /* "\"version\":\"1\"": put into an otherwise good record */
    const char *pointer, *words; /* NULL: it is good; else where, and words of the reason   */
};

static void check(const char *kind, const char *rest, const struct rule_case *cases, size_t n)
{
    struct json_fields out = {0};
    static struct faults faults;
    for (size_t i = 0; i < n; i++) {
        static char body[20000];
        int size = snprintf(body, sizeof body, "{%s%s}", cases[i].member, rest);
        enum err e = json_to_fields(kind_by_word(kind), bytes_of(body, (size_t)size), JSON_PUT, &out, &faults);
        if (cases[i].pointer == NULL) {
            cr_expect_eq(e, ERR_OK, "%s: %s %s%s", body, faults.list[0].pointer, faults.list[0].detail, out.detail);
            continue;
        }
        cr_expect_eq(e, ERR_INVALID, "%.300s: %d %s", body, e, out.detail);
        if (e != ERR_INVALID)
            continue;
        cr_expect_str_eq(faults.list[0].pointer, cases[i].pointer, "%.300s: %s", body, faults.list[0].pointer);
        cr_expect(strstr(faults.list[0].detail, cases[i].words) != NULL, "%.300s: %s", body, faults.list[0].detail);
        cr_expect_eq(faults.count, 1, "%.300s: %s %s", body, faults.list[1].pointer, faults.list[1].detail);
    }
    json_fields_close(&out);
}

#define COUNT(x) (sizeof(x) / sizeof *(x))
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* prefix, then n times `unit`, then suffix; kept until the test ends. */
static const char *repeat(const char *prefix, const char *unit, int n, const char *suffix)
{
    static struct buf kept[8];
    static size_t used;
    struct buf *b = &kept[used++];
    buf_put_str(b, prefix);
    for (int i = 0; i < n; i++)
        buf_put_str(b, unit);
    buf_put_str(b, suffix);
    return buf_cstr(b);
}

Test(rules, names)
{
    const char *longest = repeat("\"name\":\"", "n", 200, "\""), *over = repeat("\"name\":\"", "n", 201, "\"");
    const struct rule_case cases[] = {
        {"\"name\":\"a/b:c@d e\"", NULL, NULL},
        {"\"name\":\"\xe2\x82\xac\"", NULL, NULL},
        {longest, NULL, NULL},
        {over, "/name", "201 bytes, must have 1 to 200"},
        {"\"name\":\"\"", "/name", "is empty"},
        {"\"name\":\"a\\nb\"", "/name", "control character"},
        {"\"name\":\"a\\u007f\"", "/name", "control character"},
        {"\"name\":\"a\\u0085\"", "/name", "control character"},
        {"\"name\":5", "/name", "must be a string"},
        {"\"version\":\"1\"", "/name", "is required"},
    };
    check("model", "", cases, COUNT(cases));
}

Test(rules, text_and_lists)
{
    const char *text = repeat("\"description\":\"", "d", 16384, "\""), *over = repeat("\"description\":\"", "d", 16385, "\"");
    const char *items = repeat("\"tags\":[\"t\"", ",\"t\"", 63, "]"), *many = repeat("\"tags\":[\"t\"", ",\"t\"", 64, "]");
    const char *item = repeat("\"tags\":[\"", "i", 128, "\"]"), *item_over = repeat("\"tags\":[\"x\",\"", "i", 129, "\"]");
    const struct rule_case cases[] = {
        {text, NULL, NULL},
        {over, "/description", "16385 bytes, must have 0 to 16384"},
        {"\"description\":\"line\\nline\"", NULL, NULL},
        {"\"description\":5", "/description", "is a number, must be a string"},
        {"\"version\":\"a\\tb\"", "/version", "control character"},
        {items, NULL, NULL},
        {many, "/tags", "65 items, at most 64"},
        {item, NULL, NULL},
        {item_over, "/tags/1", "129 bytes, must have at most 128"},
        {"\"tags\":[\"a\",5]", "/tags/1", "is a number, must be a string"},
        {"\"tags\":[\"a\\u0001\"]", "/tags/0", "control character"},
        {"\"tags\":\"a\"", "/tags", "is a string, must be a list"},
        {"\"tags\":{}", "/tags", "is an object, must be a list"},
        {"\"is_private\":true", NULL, NULL},
        {"\"is_private\":1", "/is_private", "is a number, must be a boolean"},
        {"\"metadata\":{\"a\":\"b\"}", NULL, NULL},
        {"\"metadata\":{\"a\":5}", "/metadata/a", "is a number, must be a string"},
        {"\"metadata\":{\"\":\"x\"}", "/metadata", "the key \"\" must have 1 to 128 bytes"},
        {"\"metadata\":{\"a/b~c\":5}", "/metadata/a~1b~0c", "is a number"},
        {"\"metadata\":[]", "/metadata", "is a list, must be an object"},
        {"\"unknown_field\":{\"any\":[1,null]}", NULL, NULL},
        {"\"\":1", "/", "a field's name must have"},
    };
    check("model", ",\"name\":\"m\"", cases, COUNT(cases));
}

Test(rules, numbers)
{
    const struct rule_case cases[] = {
        {"\"parameters\":9223372036854775807", NULL, NULL},
        {"\"parameters\":7e9", NULL, NULL},
        {"\"parameters\":-1", "/parameters", "-1 is negative, must be 0 to"},
        {"\"parameters\":1.5", "/parameters", "is a number with a fraction, must be a whole number"},
        {"\"parameters\":\"7B\"", "/parameters", "is a string, must be a whole number"},
        {"\"context_length\":4294967295", NULL, NULL},
        {"\"context_length\":4294967296", "/context_length", "4294967296 is out of range, must be 0 to 4294967295"},
        {"\"usage_tracking\":{\"royalty_percentage\":100}", NULL, NULL},
        {"\"usage_tracking\":{\"royalty_percentage\":101}", "/usage_tracking/royalty_percentage", "101 is out of range, must be 0 to 100"},
        {"\"resource_requirements\":{\"min_vcpus\":255,\"recommended_vcpus\":255}", NULL, NULL},
        {"\"resource_requirements\":{\"min_vcpus\":300}", "/resource_requirements/min_vcpus", "300 is out of range, must be 0 to 255"},
        {"\"resource_requirements\":{\"min_vcpus\":4,\"recommended_vcpus\":2}", "/resource_requirements/recommended_vcpus", "2 is below min_vcpus, which is 4"},
        {"\"resource_requirements\":{\"min_memory_mb\":4,\"recommended_memory_mb\":2}", "/resource_requirements/recommended_memory_mb", "2 is below"},
        {"\"resource_requirements\":{\"min_disk_gb\":4,\"recommended_disk_gb\":2}", "/resource_requirements/recommended_disk_gb", "2 is below"},
        {"\"resource_requirements\":{\"min_vram_gb\":4,\"recommended_vram_gb\":2}", "/resource_requirements/recommended_vram_gb", "2 is below"},
        {"\"resource_requirements\":{\"min_vcpus\":16}", NULL, NULL},
        {"\"resource_requirements\":[]", "/resource_requirements", "is a list, must be an object"},
        {"\"resource_requirements\":{\"unknown\":[1]}", NULL, NULL},
    };
    check("model", ",\"name\":\"m\"", cases, COUNT(cases));
}

Test(rules, enums)
{
    const struct rule_case cases[] = {
        {"\"model_type\":\"Diffusion\"", NULL, NULL},
        {"\"license\":{\"Custom\":\"x\"}", NULL, NULL},
        {"\"license\":{\"Other\":\"x\"}", "/license", "must be a string or {\"Custom\": string}"},
        {"\"model_type\":{\"Other\":5}", "/model_type", "must be a string or {\"Other\": string}"},
        {"\"model_type\":{\"Other\":\"a\",\"b\":1}", "/model_type", "must be a string or"},
        {"\"model_type\":{\"Other\":\"\"}", "/model_type", "0 bytes, must have 1 to 128"},
        {"\"model_type\":\"\"", "/model_type", "0 bytes, must have 1 to 128"},
        {"\"model_type\":5", "/model_type", "must be a string or"},
        {"\"io_modes\":[\"TextToText\",5]", "/io_modes/1", "must be a string or"},
        {"\"io_modes\":\"TextToText\"", "/io_modes", "must be a list"},
    };
    check("model", ",\"name\":\"m\"", cases, COUNT(cases));
}

Test(rules, forms)
{
    const struct rule_case cases[] = {
        {"\"weights_url\":\"https://a.example/x?y#z\"", NULL, NULL},
        {"\"weights_url\":\"http://127.0.0.1:8080\"", NULL, NULL},
        {"\"weights_url\":\"http://[::1]:8080/\"", NULL, NULL},
        {"\"weights_url\":\"ftp://a.example\"", "/weights_url", "\"ftp://a.example\" is not a URL that starts with http:// or https://"},
        {"\"weights_url\":\"javascript:alert(1)\"", "/weights_url", "is not a URL"},
        {"\"weights_url\":\"https://\"", "/weights_url", "is not a URL"},
        {"\"weights_url\":\"https:///path\"", "/weights_url", "is not a URL"},
        {"\"weights_url\":\"https://a b\"", "/weights_url", "is not a URL"},
        {"\"weights_url\":\"https://a.example/<key>\"", "/weights_url", "and has no space and none of \"<>\\^`|"},
        {"\"weights_url\":\"https://a\\nb\"", "/weights_url", "is not a URL"},
        {"\"weights_url\":\"\"", "/weights_url", "is not a URL"},
        {"\"weights_checksum\":\"" HEX64 "\"", NULL, NULL},
        {"\"weights_checksum\":\"abc\"", "/weights_checksum", "is not 64 lower-case hex digits"},
        {"\"weights_checksum\":\"ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"", "/weights_checksum", "is not 64"},
        {"\"formfile_template\":\"\"", NULL, NULL},
        {"\"formfile_template\":\"QQ==\"", NULL, NULL},
        {"\"formfile_template\":\"QQ=\"", "/formfile_template", "is not base64"},
        {"\"formfile_template\":\"Q===\"", "/formfile_template", "is not base64"},
        {"\"formfile_template\":\"Q-_=\"", "/formfile_template", "is not base64"},
        {"\"price_per_1m_tokens\":\"0.000001\"", NULL, NULL},
        {"\"price_per_1m_tokens\":\"0.0000001\"", "/price_per_1m_tokens", "at most 6 digits after the point"},
        {"\"price_per_1m_tokens\":\"-1\"", "/price_per_1m_tokens", "is not a decimal number"},
        {"\"price_per_1m_tokens\":-1", "/price_per_1m_tokens", "is not a decimal number"},
        {"\"price_per_1m_tokens\":\"1e-3\"", "/price_per_1m_tokens", "is not a decimal number"},
        {"\"price_per_1m_tokens\":true", "/price_per_1m_tokens", "is a boolean, must be a string"},
        {"\"pricing\":[{\"unit\":\"request\",\"pico_usd\":0}]", NULL, NULL},
        {"\"pricing\":[{\"unit\":\"token\",\"pico_usd\":1}]", "/pricing/0/unit", "\"token\" is not one of input_token, output_token"},
        {"\"pricing\":[{\"unit\":\"image\"}]", "/pricing/0/pico_usd", "is required"},
        {"\"pricing\":[{\"unit\":\"image\",\"pico_usd\":0.5}]", "/pricing/0/pico_usd", "with a fraction"},
        {"\"pricing\":[{\"unit\":\"image\",\"pico_usd\":1},{\"unit\":\"image\",\"pico_usd\":2}]", "/pricing/1", "has a price already"},
    };
    check("model", ",\"name\":\"m\"", cases, COUNT(cases));
}

Test(rules, agents)
{
    const struct rule_case cases[] = {
        {"\"tools\":[\"a\",{\"name\":\"b\",\"auth_required\":true}]", NULL, NULL},
        {"\"tools\":[{\"id\":\"a\"}]", "/tools/0/name", "is required"},
        {"\"tools\":[5]", "/tools/0", "is a number, must be an object"},
        {"\"tools\":[\"\"]", "/tools/0/name", "is empty"},
        {"\"runtime\":\"Lua\"", NULL, NULL},
        {"\"config_schema\":{\"type\":[\"object\",null]}", NULL, NULL},
        {"\"price_per_request\":\"0.0000000000001\"", "/price_per_request", "at most 12 digits"},
        {"\"resource_requirements\":{\"min_vcpus\":2,\"recommended_vcpus\":1}", "/resource_requirements/recommended_vcpus", "below"},
    };
    check("agent", ",\"name\":\"m\"", cases, COUNT(cases));
}

Test(rules, server_identity)
{
    const struct rule_case names[] = {
        {"\"name\":\"io.github.user/my_server.1-x\"", NULL, NULL},
        {"\"name\":\"a/b\"", NULL, NULL},
        {"\"name\":\"ab\"", "/name", "2 bytes, must have 3 to 200"},
        {"\"name\":\"abc\"", "/name", "is not namespace/name"},
        {"\"name\":\"a_b/c\"", "/name", "is not namespace/name"},
        {"\"name\":\"a/b/c\"", "/name", "is not namespace/name"},
        {"\"name\":\"/bc\"", "/name", "is not namespace/name"},
        {"\"name\":\"ab/\"", "/name", "is not namespace/name"},
        {"\"name\":\"a b/c\"", "/name", "is not namespace/name"},
    };
    check("server", ",\"description\":\"d\",\"version\":\"1.0.0\"", names, COUNT(names));
    const struct rule_case versions[] = {
        {"\"version\":\"1.0.0-beta.1+x\"", NULL, NULL},
        {"\"version\":\"2026.01\"", NULL, NULL},
        {"\"version\":\"\"", "/version", "is empty"},
        {"\"version\":\"latest\"", "/version", "\"latest\" is not a version"},
        {"\"version\":\"^1.0.0\"", "/version", "\"^1.0.0\" is a range"},
        {"\"version\":\"~1\"", "/version", "is a range"},
        {"\"version\":\">=1.0\"", "/version", "is a range"},
        {"\"version\":\"1.x\"", "/version", "is a range"},
        {"\"version\":\"1.*\"", "/version", "is a range"},
        {"\"version\":\"1.0 - 2.0\"", "/version", "is a range"},
        {"\"version\":\"1 || 2\"", "/version", "is a range"},
        {"\"title\":\"t\"", "/version", "is required"},
    };
    check("server", ",\"description\":\"d\",\"name\":\"a/b\"", versions, COUNT(versions));
}

Test(rules, server_description_counts_characters)
{
    const char *good = repeat("\"description\":\"", "\xc3\xa9", 100, "\""), *over = repeat("\"description\":\"", "d", 101, "\"");
    const struct rule_case cases[] = {
        {good, NULL, NULL},
        {over, "/description", "101 characters, must have 1 to 100"},
        {"\"description\":\"\"", "/description", "is empty, must have 1 to 100 characters"},
        {"\"title\":\"t\"", "/description", "is required"},
    };
    check("server", ",\"version\":\"1\",\"name\":\"a/b\"", cases, COUNT(cases));
}

Test(rules, server_members)
{
    const struct rule_case cases[] = {
        {"\"repository\":{\"url\":\"https://g.example/a\",\"source\":\"github\",\"id\":\"1\",\"subfolder\":\"x\"}", NULL, NULL},
        {"\"repository\":{\"url\":\"https://g.example/a\"}", "/repository/source", "is required"},
        {"\"repository\":{\"url\":\"git@g.example:a\",\"source\":\"github\"}", "/repository/url", "is not a URL"},
        {"\"icons\":[{\"src\":\"https://a.example/i.png\",\"sizes\":[\"any\"],\"theme\":\"dark\"}]", NULL, NULL},
        {"\"icons\":[{\"src\":\"http://a.example/i.png\"}]", "/icons/0/src", "starts with https://"},
        {"\"icons\":[{\"src\":\"https://a.example/i.png\",\"theme\":\"blue\"}]", "/icons/0/theme", "is not one of light or dark"},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"@a/b\",\"version\":\"1.0.0\",\"transport\":{\"type\":\"stdio\"},"
         "\"fileSha256\":\"" HEX64 "\",\"runtimeHint\":\"npx\",\"x\":1}]", NULL, NULL},
        {"\"packages\":[{\"identifier\":\"a\",\"transport\":{\"type\":\"stdio\"}}]", "/packages/0/registryType", "is required"},
        {"\"packages\":[{\"registryType\":\"apt\",\"identifier\":\"a\",\"transport\":{\"type\":\"stdio\"}}]", "/packages/0/registryType", "\"apt\" is not one of npm, pypi, cargo, oci"},
        {"\"packages\":[{\"registryType\":\"npm\",\"transport\":{\"type\":\"stdio\"}}]", "/packages/0/identifier", "is required"},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\"}]", "/packages/0/transport", "is required"},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"transport\":{\"type\":\"sse\"}}]", "/packages/0/transport/url", "is required unless type is \"stdio\""},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"transport\":{\"type\":\"smtp\"}}]", "/packages/0/transport/type", "not one of stdio, streamable-http or sse"},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"version\":\"latest\",\"transport\":{\"type\":\"stdio\"}}]", "/packages/0/version", "\"latest\""},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"fileSha256\":\"x\",\"transport\":{\"type\":\"stdio\"}}]", "/packages/0/fileSha256", "64 lower-case hex"},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"transport\":{\"type\":\"stdio\"},\"packageArguments\":[{\"type\":\"positional\",\"value\":\"x\"},"
         "{\"type\":\"named\",\"name\":\"--y\",\"isRequired\":true,\"format\":\"filepath\",\"choices\":[\"a\"],\"variables\":{\"v\":{\"isSecret\":true}}}]}]", NULL, NULL},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"transport\":{\"type\":\"stdio\"},\"packageArguments\":[{\"type\":\"positional\"}]}]",
         "/packages/0/packageArguments/0", "needs a valueHint or a value"},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"transport\":{\"type\":\"stdio\"},\"runtimeArguments\":[{\"type\":\"named\",\"value\":\"x\"}]}]",
         "/packages/0/runtimeArguments/0/name", "is required where type is \"named\""},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"transport\":{\"type\":\"stdio\"},\"environmentVariables\":[{\"name\":\"K\",\"format\":\"date\"}]}]",
         "/packages/0/environmentVariables/0/format", "is not one of string, number, boolean or filepath"},
        {"\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"a\",\"transport\":{\"type\":\"stdio\"},\"environmentVariables\":[{\"name\":\"K\",\"variables\":{\"v\":{\"isSecret\":1}}}]}]",
         "/packages/0/environmentVariables/0/variables/v/isSecret", "is a number, must be a boolean"},
        {"\"remotes\":[{\"type\":\"streamable-http\",\"url\":\"https://{tenant}.a.example/mcp\",\"headers\":[{\"name\":\"X\",\"isSecret\":true}]}]", NULL, NULL},
        {"\"remotes\":[{\"type\":\"stdio\",\"url\":\"https://a.example\"}]", "/remotes/0/type", "is not one of streamable-http or sse"},
        {"\"remotes\":[{\"type\":\"sse\"}]", "/remotes/0/url", "is required"},
        {"\"_meta\":{\"io.modelcontextprotocol.registry/publisher-provided\":{\"x\":[1]}},\"anything\":true", NULL, NULL},
    };
    check("server", ",\"version\":\"1\",\"name\":\"a/b\",\"description\":\"d\"", cases, COUNT(cases));
}
