/*
 * HTTP to the node over its admin socket, by libcurl. One handle is kept, so that a verb that asks
 * twice uses one connection. Owns nothing of what the answers mean but problem documents.
 */
#include "node/cli.h"

#include "node/cli_http.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

size_t cli_http_collect(char *p, size_t size, size_t n, void *ctx)
{
    struct buf *body = ctx;
    if (body->n + size * n > CLI_BODY_MAX)
        return 0;
    buf_put(body, p, size * n);
    return size * n;
}

struct curl_slist *cli_http_headers(const struct cli_request *r)
{
    char line[256];
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    if (r->body.p != NULL) {
        snprintf(line, sizeof line, "Content-Type: %s", r->content_type != NULL ? r->content_type : "application/json");
        list = curl_slist_append(list, line);
    }
    if (r->accept != NULL) {
        snprintf(line, sizeof line, "Accept: %s", r->accept);
        list = curl_slist_append(list, line);
    }
    if (r->timeout != NULL) {
        snprintf(line, sizeof line, "X-Timeout: %s", r->timeout);
        list = curl_slist_append(list, line);
    }
    if (r->create_only)
        list = curl_slist_append(list, "If-None-Match: *");
    if (r->as != NULL) {
        snprintf(line, sizeof line, "X-Souk-As: %s", r->as);
        list = curl_slist_append(list, line);
    }
    return list;
}

/* Milliseconds to wait for the whole answer, 0 for ever. A variable that is no number of seconds counts as not set. */
static long patience_ms(const struct cli_request *r)
{
    const char *text = getenv("SOUK_TIMEOUT");
    char *end = NULL;
    if (r->timeout_ms == CLI_PATIENT)
        return 0;
    if (r->timeout_ms > 0)
        return (long)r->timeout_ms;
    long seconds = text != NULL ? strtol(text, &end, 10) : 0;
    bool given = end != NULL && end != text && *end == '\0' && seconds > 0 && seconds <= INT32_MAX / 1000;
    return 1000 * (given ? seconds : CLI_TIMEOUT_S);
}

void cli_http_prepare(CURL *h, const struct cli *c, const struct cli_request *r, struct buf *body)
{
    char url[4096 + 32];
    snprintf(url, sizeof url, "http://souk%s", r->path);
    curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, r->method);
    curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, cli_http_collect);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, patience_ms(r));
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    if (r->body.p != NULL) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, (const char *)r->body.p);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
    }
}

enum cli_exit cli_http_failed(const struct cli *c, CURLcode code)
{
    if (code == CURLE_OPERATION_TIMEDOUT) {
        cli_error("the node on %s did not answer in time; its log may tell why, SOUK_TIMEOUT gives it more seconds", c->socket);
        return CLI_TIMEOUT;
    }
    if (code == CURLE_COULDNT_CONNECT && access(c->socket, W_OK) != 0 && errno == EACCES) {
        cli_error("this user may not open %s: run souk as root, or as the user that the node runs as", c->socket);
        return CLI_DENIED;
    }
    if (code == CURLE_COULDNT_CONNECT)
        cli_error("no node answers on %s; start one with `souk run`, or name its directory with --dir", c->socket);
    else
        cli_error("the connection to the node on %s broke: %s", c->socket, curl_easy_strerror(code));
    return CLI_UNREACHABLE;
}

enum cli_exit cli_exchange(struct cli *c, const struct cli_request *request, struct cli_reply *reply)
{
    assert(request->method != NULL && request->path[0] == '/');
    *reply = (struct cli_reply){0};
    if (strlen(request->path) > 4096) {
        cli_error("the path of the request would have %zu bytes and may have 4096: give a shorter name, or the id", strlen(request->path));
        return CLI_USAGE;
    }
    if (c->http == NULL) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        c->http = curl_easy_init();
    }
    CURL *handle = c->http;
    curl_easy_reset(handle);
    struct curl_slist *headers = cli_http_headers(request);
    cli_http_prepare(handle, c, request, &reply->body);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(handle);
    curl_slist_free_all(headers);
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &reply->status);
    if (code == CURLE_OK)
        return CLI_OK;
    cli_reply_close(reply);
    return cli_http_failed(c, code);
}

void cli_http_close(struct cli *c)
{
    if (c->http == NULL)
        return;
    curl_easy_cleanup(c->http);
    curl_global_cleanup();
    c->http = NULL;
}

void cli_reply_close(struct cli_reply *reply)
{
    buf_close(&reply->body);
}

static enum cli_exit exit_of_status(long status)
{
    switch (status) {
    case 401:
    case 403:
        return CLI_DENIED;
    case 404:
        return CLI_NOT_FOUND;
    case 409:
    case 412:
        return CLI_CONFLICT;
    case 408:
    case 504:
        return CLI_TIMEOUT;
    default:
        return CLI_FAILED;
    }
}

enum cli_exit cli_problem(const struct cli_reply *reply)
{
    json_t *root = json_loadb((const char *)reply->body.p, reply->body.n, 0, NULL), *row;
    const char *detail = json_string_value(json_object_get(root, "detail"));
    const char *title = json_string_value(json_object_get(root, "title"));
    size_t i;
    if (detail != NULL || title != NULL)
        cli_error("%s", detail != NULL ? detail : title);
    else
        cli_error("the node answered with status %ld", reply->status);
    json_array_foreach(json_object_get(root, "errors"), i, row)
    {
        const char *pointer = json_string_value(json_object_get(row, "pointer"));
        const char *why = json_string_value(json_object_get(row, "detail"));
        cli_note("  %s%s%s", pointer != NULL ? pointer : "", pointer != NULL && pointer[0] != '\0' ? ": " : "",
                 why != NULL ? why : "");
    }
    const char *code = json_string_value(json_object_get(root, "code"));
    bool corrupt = code != NULL && strcmp(code, "corrupt") == 0;
    json_decref(root);
    return corrupt ? CLI_UNVERIFIED : exit_of_status(reply->status);
}

enum cli_exit cli_call(struct cli *c, const struct cli_request *request, struct cli_reply *reply)
{
    enum cli_exit status = cli_exchange(c, request, reply);
    if (status != CLI_OK)
        return status;
    if (reply->status >= 200 && reply->status < 300)
        return CLI_OK;
    status = cli_problem(reply);
    cli_reply_close(reply);
    return status;
}

bool cli_node_runs(struct cli *c)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(c->socket) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, c->socket, strlen(c->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool ok = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return ok;
}

void cli_put_escaped(struct buf *path, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-' ||
                     *p == '_' || *p == '.' || *p == '~';
        if (plain)
            buf_put_u8(path, *p);
        else
            buf_printf(path, "%%%02X", *p);
    }
}
