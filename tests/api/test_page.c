/* The page at `/`: what the status says is on it, and nothing in it can become markup. */
#include "api/page.h"

#include <criterion/criterion.h>
#include <string.h>

static char *page(struct buf *b, const char *status)
{
    page_dashboard(b, bytes_str(status));
    return buf_cstr(b);
}

Test(page, shows_the_status)
{
    struct buf b = {0};
    const char *html = page(&b, "{\"name\":\"n1\",\"ready\":true,\"entries\":{\"model\":5098},\"conflicts\":3,"
                                "\"digest\":\"d1g\",\"peers\":[{\"id\":\"p1\",\"address\":\"10.0.0.1:7071\",\"state\":\"up\"}]}");
    static const char *const want[] = {"<h1>n1</h1>", "It is ready.", "5098", "d1g", "10.0.0.1:7071", "/openapi.json",
                                       "<!doctype html>", "</html>", "lang=\"en\"", "<th scope=\"row\">Conflicts</th><td>3<"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_assert_not_null(strstr(html, want[i]), "%s", want[i]);
    cr_assert_null(strstr(html, "<script"));
    cr_assert_null(strstr(html, "//"), "nothing comes from elsewhere");
    buf_close(&b);
}

Test(page, says_when_it_is_not_ready_or_alone)
{
    struct buf b = {0};
    const char *html = page(&b, "{\"ready\":false}");
    cr_assert_not_null(strstr(html, "not ready"));
    cr_assert_not_null(strstr(html, "None yet"));
    buf_close(&b);
}

Test(page, escapes_what_others_named)
{
    struct buf b = {0};
    const char *html = page(&b, "{\"name\":\"<b>&\\\"'\",\"peers\":[{\"address\":\"<script>\"}]}");
    cr_assert_not_null(strstr(html, "&lt;b&gt;&amp;&quot;&#39;"));
    cr_assert_not_null(strstr(html, "&lt;script&gt;"));
    cr_assert_null(strstr(html, "<script"));
    buf_reset(&b);
    page_escape(&b, bytes_str("\xff"));
    cr_assert_str_eq(buf_cstr(&b), "?");
    buf_close(&b);
}

Test(page, survives_what_is_not_json)
{
    struct buf b = {0};
    cr_assert_not_null(strstr(page(&b, "nonsense"), "</html>"));
    buf_close(&b);
}
