/* The store against the plain definition over generated histories, the first half: SOUK_LAWS_HISTORIES=n sets how many. */
#include "tests/lib/laws.h"

int main(void)
{
    return laws_run(store_laws, store_law_count, 0, laws_histories(100000) / 2) > 0;
}
