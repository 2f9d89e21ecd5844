/*
 * push and pull: files as blobs. push writes into the node's folder itself, since a file can be larger than any request;
 * pull asks the node and waits.
 */
#include "node/cli.h"

#include "crdt/alloc.h"
#include "node/blob.h"
#include "node/uv_blobdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE (DIR_PATH_MAX + 128)

/* Where blobs lie, and how many bytes more may. */
static enum cli_exit blobs_dir(struct cli *c, char out[PATH_SIZE], uint64_t *room)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, "blobs", NULL, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    snprintf(out, PATH_SIZE, "%s", cli_text(root, "dir"));
    long long left = cli_int(root, "limit_bytes") - cli_int(root, "used_bytes");
    *room = left > 0 ? (uint64_t)left : 0;
    json_decref(root);
    cli_reply_close(&reply);
    return out[0] != '\0' ? CLI_OK : CLI_FAILED;
}

static bool write_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t wrote = write(fd, at, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        at += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

/* A whole chunk unless the file ends. */
static ssize_t read_chunk(int fd, uint8_t *out)
{
    size_t n = 0;
    while (n < BLOB_CHUNK) {
        ssize_t got = read(fd, out + n, BLOB_CHUNK - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

/* Copies the file, making its list. */
static const char *copy_chunks(int from, int to, uint64_t room, struct buf *list)
{
    uint8_t *chunk = mem_alloc(BLOB_CHUNK);
    uint64_t size = 0, chunks = 0;
    const char *fault = NULL;
    ssize_t n = 0;
    buf_put_be(list, 0, 8);
    while (fault == NULL && (n = read_chunk(from, chunk)) > 0) {
        struct id hash;
        blob_chunk_hash(&hash, bytes_of(chunk, (size_t)n));
        buf_put(list, hash.b, ID_BYTES);
        size += (uint64_t)n;
        if (++chunks > BLOB_CHUNKS_MAX)
            fault = "a blob has at most 32 GiB";
        else if (size > room)
            fault = BLOBDIR_FULL;
        else if (!write_all(to, chunk, (size_t)n))
            fault = strerror(errno);
    }
    if (fault == NULL && n < 0)
        fault = strerror(errno);
    put_be(list->p, size, 8);
    free(chunk);
    return fault;
}

static const char *write_list(const char *path, struct bytes list)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const char *fault = NULL;
    if (fd < 0 || !write_all(fd, list.p, list.n) || fsync(fd) != 0)
        fault = strerror(errno);
    if (fd >= 0)
        close(fd);
    return fault;
}

/* Under a name of its own first: a blob is whole or not there. */
static const char *store_blob(const char *dir, int from, uint64_t room, struct id *name)
{
    char part[PATH_SIZE + 64], path[PATH_SIZE + ID_HEX_SIZE + 8], hex[ID_HEX_SIZE];
    struct buf list = {0};
    snprintf(part, sizeof part, "%s/.push-%ld", dir, (long)getpid());
    int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    /* A program in a sandbox reads it under another id; the folder keeps everybody else out. */
    const char *fault = to < 0 || fchmod(to, 0644) != 0 ? strerror(errno) : copy_chunks(from, to, room, &list);
    if (fault == NULL && fsync(to) != 0)
        fault = strerror(errno);
    if (to >= 0)
        close(to);
    blob_name(name, buf_view(&list));
    id_hex(hex, name);
    if (fault == NULL) {
        snprintf(path, sizeof path, "%s/%s.list", dir, hex);
        fault = write_list(path, buf_view(&list));
    }
    snprintf(path, sizeof path, "%s/%s", dir, hex);
    if (fault == NULL && rename(part, path) != 0)
        fault = strerror(errno);
    if (fault != NULL && to >= 0)
        unlink(part);
    buf_close(&list);
    return fault;
}

enum cli_exit cli_push(struct cli *c)
{
    char dir[PATH_SIZE], hex[ID_HEX_SIZE];
    struct id name;
    uint64_t room = 0;
    enum cli_exit status = blobs_dir(c, dir, &room);
    if (status != CLI_OK)
        return status;
    int from = open(c->args[0], O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        cli_error("cannot read %s: %s", c->args[0], strerror(errno));
        return CLI_FAILED;
    }
    const char *fault = store_blob(dir, from, room, &name);
    close(from);
    if (fault != NULL) {
        cli_error("%s was not kept in %s: %s", c->args[0], dir, fault);
        return CLI_FAILED;
    }
    id_hex(hex, &name);
    if (c->format == CLI_HUMAN)
        cli_print_line(bytes_str(hex));
    else
        printf("{\"hash\":\"%s\"}\n", hex);
    return CLI_OK;
}

static enum cli_exit copy_out(const char *from, const char *to)
{
    uint8_t *chunk = mem_alloc(BLOB_CHUNK);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t n = 0;
    bool ok = in >= 0 && out >= 0;
    while (ok && (n = read_chunk(in, chunk)) > 0)
        ok = write_all(out, chunk, (size_t)n);
    ok = ok && n == 0;
    if (!ok)
        cli_error("cannot copy %s to %s: %s", from, to, strerror(errno));
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0)
        ok = false;
    free(chunk);
    return ok ? CLI_OK : CLI_FAILED;
}

enum cli_exit cli_pull(struct cli *c)
{
    struct cli_reply reply;
    struct id name;
    if (!id_parse(&name, bytes_str(c->args[0]))) {
        cli_error("a blob is named by the 64 hex digits that souk push printed, not \"%s\"", c->args[0]);
        return CLI_USAGE;
    }
    enum cli_exit status = cli_admin(c, "blob-pull", cli_object("hash", c->args[0]), &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    if (root == NULL)
        status = CLI_FAILED;
    else if (c->arg_count > 1)
        status = copy_out(cli_text(root, "path"), c->args[1]);
    else if (c->format != CLI_HUMAN)
        status = cli_print_reply(c, &reply);
    else
        cli_print_line(bytes_str(cli_text(root, "path")));
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}
