/* Every law over some histories, in seconds; the long runs are main_model_long.c and main_store_long.c. */
#include "tests/lib/laws.h"

int main(void)
{
    size_t broken = laws_run(model_laws, model_law_count, 0, 1000);
    broken += laws_run(store_laws, store_law_count, 0, 1000);
    return broken > 0;
}
