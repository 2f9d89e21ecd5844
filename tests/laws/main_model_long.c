/* The laws that the definition itself keeps, over generated histories: SOUK_LAWS_HISTORIES=n sets how many. */
#include "tests/lib/laws.h"

int main(void)
{
    return laws_run(model_laws, model_law_count, 0, laws_histories(100000)) > 0;
}
