/*
 * The root of a sandbox: a small tmpfs with read-only binds, its own /proc and /tmp, three devices. Runs as root of the new
 * user namespace, in the new mount namespace; the host's tree is gone from it when jail_root returns.
 */
#include "sandbox/linux_jail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "sandbox/linux_sys.h"

#define ROOT_OPTIONS "size=1m,nr_inodes=1k,mode=0755"
#define TMP_INODES   16384

enum base_kind { BASE_FOLDER, BASE_FILE, BASE_DEVICE };
enum base_need { BASE_REQUIRED, BASE_OPTIONAL };

/* What every sandbox sees of the host. */
static const struct base {
    const char *path; /* on the host; without the first / inside */
    enum base_kind kind;
    enum base_need need;
} bases[] = {
    {"/usr", BASE_FOLDER, BASE_REQUIRED},           {"/etc/alternatives", BASE_FOLDER, BASE_OPTIONAL},
    {"/etc/ld.so.cache", BASE_FILE, BASE_OPTIONAL}, {"/dev/null", BASE_DEVICE, BASE_REQUIRED},
    {"/dev/zero", BASE_DEVICE, BASE_REQUIRED},      {"/dev/urandom", BASE_DEVICE, BASE_REQUIRED},
};
#define BASES (sizeof bases / sizeof bases[0])

static const struct {
    const char *target, *path;
} links[] = {
    {"usr/bin", "bin"},          {"usr/sbin", "sbin"},  {"usr/lib", "lib"},     {"usr/lib64", "lib64"},
    {"/proc/self/fd", "dev/fd"}, {"fd/0", "dev/stdin"}, {"fd/1", "dev/stdout"}, {"fd/2", "dev/stderr"},
};

static int tree_restrict(int tree, uint64_t attributes)
{
    struct mount_attr attr = {.attr_set = attributes};
    return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr);
}

static int tree_open(int dir, const char *path, uint64_t attributes)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | (path[0] == '\0' ? AT_EMPTY_PATH : 0u);
    int tree = open_tree(dir, path, flags);
    if (tree < 0 || tree_restrict(tree, attributes) == 0)
        return tree;
    int saved = errno;
    close(tree);
    errno = saved;
    return -1;
}

int jail_tree(int dir, const char *path)
{
    return tree_open(dir, path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

static const char *open_bases(int trees[BASES])
{
    for (size_t i = 0; i < BASES; i++) {
        uint64_t attributes = bases[i].kind == BASE_DEVICE ? MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC
                                                           : MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
        trees[i] = tree_open(AT_FDCWD, bases[i].path, attributes);
        if (trees[i] < 0 && (bases[i].need == BASE_REQUIRED || errno != ENOENT))
            return bases[i].path;
    }
    return NULL;
}

/* A mount that came as a descriptor but could not be made by the launcher: the path must still lead to the same file. */
static bool same_file(int a, int b)
{
    struct stat x, y;
    if (fstat(a, &x) != 0 || fstat(b, &y) != 0)
        return false;
    if (x.st_dev == y.st_dev && x.st_ino == y.st_ino)
        return true;
    errno = ESTALE;
    return false;
}

static const char *open_given(struct jail *jail)
{
    for (size_t i = 0; i < jail->order->mounts; i++) {
        if (jail->trees[i] >= 0)
            continue;
        jail->trees[i] = jail_tree(AT_FDCWD, jail->text->source[i]);
        if (jail->trees[i] < 0 || (jail->files[i] >= 0 && !same_file(jail->trees[i], jail->files[i])))
            return jail->text->source[i];
    }
    return NULL;
}

/* Makes the folders on the way to a path that starts with '/', below the working directory. */
static int make_way(const char *path)
{
    char part[SANDBOX_PATH_MAX];
    assert(path[0] == '/');
    for (const char *end = strchr(path + 1, '/'); end != NULL; end = strchr(end + 1, '/')) {
        size_t n = (size_t)(end - path) - 1;
        if (n == 0 || n >= sizeof part) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path + 1, n);
        part[n] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

/* Mounts a tree at an absolute path of the new root, which is the working directory. */
static int tree_place(int tree, const char *path)
{
    struct stat st;
    if (fstat(tree, &st) != 0 || make_way(path) != 0)
        return -1;
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(path + 1, 0755) != 0 && errno != EEXIST)
            return -1;
    } else {
        int fd = open(path + 1, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
        if (fd < 0)
            return -1;
        close(fd);
    }
    int failed = move_mount(tree, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH);
    close(tree);
    return failed;
}

/* A limit on nested user namespaces besides the filter; it lives in the user namespace. */
static void refuse_nested(struct jail *jail)
{
    int fd = open("proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    jail->built.no_user_ns = write(fd, "0", 1) == 1;
    close(fd);
}

static const char *make_own(struct jail *jail)
{
    char options[96];
    if (mkdir("proc", 0555) != 0 || mkdir("tmp", 0755) != 0)
        return "folders of the root";
    jail->built.proc = mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2") == 0;
    if (jail->built.proc)
        refuse_nested(jail);
    else
        snprintf(jail->built.proc_missing, sizeof jail->built.proc_missing, "mount: %s", strerror(errno));
    snprintf(options, sizeof options, "size=4k,nr_inodes=%d,mode=0700", TMP_INODES);
    return mount("tmp", "tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0 ? "mount of /tmp" : NULL;
}

static const char *fill(struct jail *jail, const int trees[BASES])
{
    for (size_t i = 0; i < BASES; i++) {
        if (trees[i] >= 0 && tree_place(trees[i], bases[i].path) != 0)
            return bases[i].path;
    }
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        if (symlink(links[i].target, links[i].path) != 0)
            return links[i].path;
    }
    return make_own(jail);
}

/* The working directory becomes the root; the old root goes away with everything in it. The kernel takes its time for that
 * (it waits for all readers of mounts), so it is done ahead wherever it can be. */
static const char *enter(void)
{
    if (sys_pivot_root(".", ".") != 0)
        return "pivot_root";
    if (umount2(".", MNT_DETACH) != 0)
        return "unmount of the old root";
    return chdir("/") != 0 ? "the new root" : NULL;
}

const char *jail_root_base(struct jail *jail)
{
    static const char *const stages[] = {"/sys", "/mnt", "/tmp"}; /* what lies there is out of sight from now on */
    int trees[BASES];
    umask(0022);
    const char *failed = open_bases(trees);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0] && failed == NULL; i++) {
        if (mount("root", stages[i], "tmpfs", MS_NOSUID | MS_NODEV, ROOT_OPTIONS) != 0)
            continue;
        failed = chdir(stages[i]) != 0 ? stages[i] : fill(jail, trees);
        /* An ordinary user's mounts are still to be found by path in the old root. */
        return failed == NULL && jail->ids == JAIL_IDS_OWN ? enter() : failed;
    }
    return failed != NULL ? failed : "mount of the root";
}

static const char *set_tmp_size(const struct jail *jail)
{
    char options[64];
    snprintf(options, sizeof options, "size=%llu", (unsigned long long)jail->order->limits.tmp_bytes);
    return mount(NULL, "tmp", NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0 ? "size of /tmp"
                                                                                                 : NULL;
}

const char *jail_root_finish(struct jail *jail)
{
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    const char *failed = open_given(jail);
    for (size_t i = 0; i < jail->order->mounts && failed == NULL; i++) {
        if (tree_place(jail->trees[i], jail->text->target[i]) != 0)
            failed = jail->text->target[i];
    }
    if (failed == NULL)
        failed = set_tmp_size(jail);
    if (failed == NULL && mount_setattr(AT_FDCWD, ".", 0, &read_only, sizeof read_only) != 0)
        failed = "read-only root";
    if (failed == NULL && jail->ids != JAIL_IDS_OWN)
        failed = enter();
    if (failed == NULL && chdir("/tmp") != 0)
        failed = "working directory";
    return failed;
}
