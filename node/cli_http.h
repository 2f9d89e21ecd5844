/*
 * What cli_http.c shares with verbs that keep several requests in flight (cli_import.c): the same handle settings,
 * headers and messages. Needs libcurl's header, so it is apart from cli.h.
 */
#ifndef SOUK_NODE_CLI_HTTP_H
#define SOUK_NODE_CLI_HTTP_H

#include "node/cli.h"

#include <curl/curl.h>

#define CLI_BODY_MAX (64u << 20) /* bytes of an answer that are kept */

size_t cli_http_collect(char *p, size_t size, size_t n, void *body); /* a write function: body is a struct buf */
struct curl_slist *cli_http_headers(const struct cli_request *r);     /* freed by the caller after the transfer */
void cli_http_prepare(CURL *h, const struct cli *c, const struct cli_request *r, struct buf *body);
/* Says why a transfer failed. */
enum cli_exit cli_http_failed(const struct cli *c, CURLcode code);

#endif
