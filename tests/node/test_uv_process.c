/*
 * What a node says as a process: the service manager hears of it, metrics have names and types, and no address is told that
 * other machines cannot use.
 */
#include "node/uv_server.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

Test(process, the_service_manager_hears_of_it)
{
    char dir[64], got[64] = "";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    tmpdir_new(dir, sizeof dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    cr_assert(bind(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    server_notify("READY=0"); /* without $NOTIFY_SOCKET: nobody is told */
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    server_notify("READY=1");
    cr_assert_eq(recv(fd, got, sizeof got - 1, 0), 7);
    cr_assert_str_eq(got, "READY=1");
    close(fd);
    server_notify("READY=1"); /* a manager that went away is no fault */
    tmpdir_remove(dir);
}

Test(process, only_addresses_that_others_can_use)
{
    char out[128];
    server_reachable("127.0.0.1:7071", out, sizeof out);
    cr_assert_str_eq(out, "");
    server_reachable("[::1]:7071", out, sizeof out);
    cr_assert_str_eq(out, "");
    server_reachable("10.1.2.3:7071", out, sizeof out);
    cr_assert_str_eq(out, "10.1.2.3:7071");
    server_reachable("0.0.0.0:7071", out, sizeof out);
    cr_assert(out[0] == '\0' || (strncmp(out, "0.", 2) != 0 && strncmp(out, "127.", 4) != 0), "%s", out);
    server_reachable("nonsense", out, sizeof out);
    cr_assert_str_eq(out, "");
}

Test(process, every_metric_has_a_type_and_a_number)
{
    struct server s = {.wall_start_s = 5};
    struct buf out = {0};
    unsigned values = 0;
    server_metrics(&s, &out);
    for (const char *line = buf_cstr(&out); *line != '\0'; line = strchr(line, '\n') + 1) {
        double v;
        if (line[0] == '#')
            continue;
        cr_assert_eq(sscanf(line, "%*s %lf", &v), 1);
        values++;
    }
    cr_assert_eq(values, 5);
    cr_assert(strstr((const char *)out.p, "# TYPE process_resident_memory_bytes gauge\n") != NULL);
    buf_close(&out);
}
