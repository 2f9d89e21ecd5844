/* The second half of main_store_long.c, so that two processors share the work. */
#include "tests/lib/laws.h"

int main(void)
{
    uint64_t n = laws_histories(100000);
    return laws_run(store_laws, store_law_count, n / 2, n - n / 2) > 0;
}
