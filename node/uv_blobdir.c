/*
 * D/blobs by plain system calls. Knows the names of its files (blob.h, souk push) and nothing of what is in them.
 */
#include "node/uv_blobdir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512 /* of st_blocks */

static DIR *open_blobs(const char *dir)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/blobs", dir);
    return opendir(path);
}

uint64_t blobdir_used(const char *dir, const struct id *except)
{
    char hex[ID_HEX_SIZE] = "";
    uint64_t bytes = 0;
    struct stat st;
    DIR *d = open_blobs(dir);
    if (except != NULL)
        id_hex(hex, except);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        bool own = hex[0] != 0 && strncmp(e->d_name, hex, ID_HEX_SIZE - 1) == 0;
        if (!own && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_blocks * BLOCK;
    }
    if (d != NULL)
        closedir(d);
    return bytes;
}

void blobdir_clean(const char *dir)
{
    static const char prefix[] = ".push-";
    DIR *d = open_blobs(dir);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, prefix, sizeof prefix - 1) != 0)
            continue;
        long pid = strtol(e->d_name + sizeof prefix - 1, NULL, 10);
        if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d != NULL)
        closedir(d);
}
