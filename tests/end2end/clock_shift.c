/*
 * Preloaded into a node by doctor.sh: shifts the wall clock that it sees by CLOCK_SHIFT_S seconds, as on a machine that is
 * set wrong. The monotonic clock stays as it is. Compiled by the test itself.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, id, out);
    const char *shift = getenv("CLOCK_SHIFT_S");
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) && shift != NULL)
        out->tv_sec += atol(shift);
    return (int)result;
}
