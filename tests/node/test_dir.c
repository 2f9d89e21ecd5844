/*
 * The data directory: made once and found again the same, private to its user, one process at a time, and never
 * half-written.
 */
#include "node/dir.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[512];
static struct buf why;

static void up(void)
{
    char base[256];
    tmpdir_new(base, sizeof base);
    snprintf(dir, sizeof dir, "%s/node", base);
}

static void down(void)
{
    *strrchr(dir, '/') = '\0';
    tmpdir_remove(dir);
    buf_close(&why);
}

TestSuite(dir, .init = up, .fini = down);

static mode_t mode_of(const char *name)
{
    char path[1024];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert(stat(path, &st) == 0, "%s", path);
    return st.st_mode & 07777;
}

static void write_text(const char *name, const char *text)
{
    cr_assert(dir_write(dir, name, bytes_str(text), &why) == ERR_OK, "%s", buf_cstr(&why));
}

Test(dir, setup_twice_is_the_same_node)
{
    struct mesh_file first, second;
    struct dir_keys a, b;
    struct keypair pa, pb;
    struct dir_setup none = {0};
    cr_assert(dir_setup(dir, &none, &first, &why) == ERR_OK, "%s", buf_cstr(&why));
    cr_assert(dir_node_keys(dir, &a, &why) == ERR_OK);
    cr_assert(dir_author(dir, DIR_PUBLISHER, &pa, &why) == ERR_OK);
    cr_assert(dir_setup(dir, &none, &second, &why) == ERR_OK);
    cr_assert(dir_node_keys(dir, &b, &why) == ERR_OK);
    cr_assert(dir_author(dir, DIR_PUBLISHER, &pb, &why) == ERR_OK);
    cr_assert(id_eq(&first.id, &second.id) && key_eq(&a.node.key, &b.node.key) && key_eq(&pa.key, &pb.key));
    cr_assert_arr_eq(a.noise, b.noise, 32);
    cr_assert(first.founded_here && first.admission == ADMISSION_OPEN);
    cr_assert_eq(mode_of(""), 0700);
    cr_assert_eq(mode_of("node.key"), 0600);
    cr_assert_eq(mode_of("noise.key"), 0600);
    cr_assert_eq(mode_of("keys/publisher"), 0600);
    cr_assert_eq(mode_of("keys/founder"), 0600);
}

Test(dir, a_directory_keeps_its_mesh)
{
    struct mesh_file mesh, again;
    struct dir_setup join = {.has_mesh = true, .mesh = {{7}}};
    struct dir_setup other = {.has_mesh = true, .mesh = {{8}}};
    struct dir_setup found = {.new_mesh = bytes_str("x")};
    cr_assert(dir_setup(dir, &join, &mesh, &why) == ERR_OK);
    cr_assert(!mesh.has_founder && !mesh.founded_here);
    cr_assert(dir_setup(dir, &join, &again, &why) == ERR_OK);
    cr_assert(dir_setup(dir, &other, &again, &why) == ERR_CONFLICT);
    cr_assert(strstr(buf_cstr(&why), "belongs to mesh 07") != NULL);
    cr_assert(dir_setup(dir, &found, &again, &why) == ERR_CONFLICT);
}

Test(dir, a_new_mesh_by_its_name_is_accepted_again)
{
    struct mesh_file mesh, again;
    struct dir_setup found = {.new_mesh = bytes_str("ours"), .has_admission = true, .admission = ADMISSION_MEMBERS};
    cr_assert(dir_setup(dir, &found, &mesh, &why) == ERR_OK);
    cr_assert_str_eq(mesh.name, "ours");
    cr_assert(mesh.admission == ADMISSION_MEMBERS);
    cr_assert(dir_setup(dir, &found, &again, &why) == ERR_OK);
    found.new_mesh = bytes_str("theirs");
    cr_assert(dir_setup(dir, &found, &again, &why) == ERR_CONFLICT);
}

Test(dir, a_socket_path_that_does_not_fit_is_refused_with_the_reason)
{
    char longest[DIR_SOCKET_MAX - 10], longer[DIR_SOCKET_MAX - 9];
    struct buf path = {0};
    memset(longest, 'd', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_assert(dir_socket(longest, &path, &why) == ERR_OK);
    cr_assert_eq(path.n, DIR_SOCKET_MAX);
    memset(longer, 'd', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cr_assert(dir_socket(longer, &path, &why) == ERR_LIMIT);
    cr_assert(strstr(buf_cstr(&why), "108 bytes and the system allows 107") != NULL, "%s", buf_cstr(&why));
    buf_close(&path);
}

Test(dir, one_process_at_a_time)
{
    int first = -1, second = -1;
    cr_assert(dir_make(dir, &why) == ERR_OK);
    cr_assert(dir_lock(dir, &first, &why) == ERR_OK);
    cr_assert(dir_lock(dir, &second, &why) == ERR_CONFLICT);
    cr_assert(strstr(buf_cstr(&why), "another souk node is running") != NULL);
    close(first);
    cr_assert(dir_lock(dir, &second, &why) == ERR_OK);
    close(second);
}

Test(dir, files_are_replaced_whole_and_created_once)
{
    struct buf got = {0};
    cr_assert(dir_make(dir, &why) == ERR_OK);
    write_text("f", "one");
    write_text("f", "two");
    cr_assert(dir_read(dir, "f", 100, &got, &why) == ERR_OK);
    cr_assert_str_eq(buf_cstr(&got), "two");
    cr_assert(dir_create(dir, "f", bytes_str("three"), &why) == ERR_CONFLICT);
    buf_reset(&got);
    cr_assert(dir_read(dir, "f", 2, &got, &why) == ERR_LIMIT);
    cr_assert_eq(got.n, 0);
    cr_assert(dir_read(dir, "g", 2, &got, &why) == ERR_NOT_FOUND);
    cr_assert(dir_write("/dev/full/x", "y", bytes_str("z"), &why) != ERR_OK);
    buf_close(&got);
}

Test(dir, author_keys_are_listed_in_order_and_never_overwritten)
{
    char names[8][KEY_NAME_MAX + 1];
    struct keypair a, b;
    uint8_t other[32] = {1};
    cr_assert(dir_make(dir, &why) == ERR_OK);
    cr_assert_eq(dir_authors(dir, names, 8), 0);
    cr_assert(dir_author_new(dir, "zoe", &a, &why) == ERR_OK);
    cr_assert(dir_author_new(dir, "adam", &b, &why) == ERR_OK);
    cr_assert(dir_author_new(dir, "zoe", &b, &why) == ERR_CONFLICT);
    cr_assert(dir_author_add(dir, "zoe", other, &why) == ERR_CONFLICT);
    cr_assert(dir_author_add(dir, "zoe", a.seed, &why) == ERR_OK);
    cr_assert(dir_author_new(dir, "../zoe", &b, &why) == ERR_INVALID);
    cr_assert(dir_author(dir, "nobody", &b, &why) == ERR_NOT_FOUND);
    cr_assert_eq(dir_authors(dir, names, 8), 2);
    cr_assert_str_eq(names[0], "adam");
    cr_assert_str_eq(names[1], "zoe");
}

Test(dir, a_damaged_key_is_named_and_not_replaced)
{
    struct mesh_file mesh;
    struct dir_setup none = {0};
    struct buf got = {0};
    cr_assert(dir_make(dir, &why) == ERR_OK);
    write_text("node.key", "rubbish");
    cr_assert(dir_setup(dir, &none, &mesh, &why) == ERR_FORM);
    cr_assert(strstr(buf_cstr(&why), "node.key") != NULL);
    cr_assert(dir_read(dir, "node.key", 100, &got, &why) == ERR_OK);
    cr_assert_str_eq(buf_cstr(&got), "rubbish");
    buf_close(&got);
}

Test(dir, settings_from_file_and_environment_with_every_fault_named)
{
    struct config c;
    config_init(&c);
    cr_assert(dir_make(dir, &why) == ERR_OK);
    cr_assert(dir_config(dir, &c, &why) == ERR_OK);
    write_text("souk.conf", "# mine\nname = shelf\ncach_mb = 3\nlog = loud\ncache_mb = 99");
    setenv("SOUK_WRITE_BUFFER_MB", "no", 1);
    setenv("SOUK_NAME", "desk", 1);
    cr_assert(dir_config(dir, &c, &why) == ERR_NOT_FOUND);
    cr_assert(strstr(buf_cstr(&why), "line 3: unknown setting \"cach_mb\"; did you mean \"cache_mb\"?") != NULL);
    cr_assert(strstr(buf_cstr(&why), "line 4: log wants") != NULL);
    cr_assert(strstr(buf_cstr(&why), "SOUK_WRITE_BUFFER_MB: write_buffer_mb wants a number") != NULL);
    cr_assert_eq(config_number(&c, CONFIG_CACHE_MB), 99);
    cr_assert_str_eq(config_text(&c, CONFIG_NAME), "desk");
    config_close(&c);
}
