/*
 * The bound of a poll: kept while it suffices, doubled up to its maximum where a longer one would have sufficed, halved and
 * then dropped where none would. Knows nothing of threads and reads no clock.
 */
#include "node/spin.h"

#include <assert.h>

uint64_t spin_next(uint64_t bound_us, uint64_t waited_us)
{
    assert(bound_us == 0 || (bound_us >= SPIN_MIN_US && bound_us <= SPIN_MAX_US));
    if (waited_us <= bound_us)
        return bound_us;
    if (waited_us > SPIN_MAX_US)
        return bound_us / 2 >= SPIN_MIN_US ? bound_us / 2 : 0;
    if (bound_us == 0)
        return SPIN_MIN_US;
    return bound_us * 2 < SPIN_MAX_US ? bound_us * 2 : SPIN_MAX_US;
}
