/* Every law over some histories, in seconds. */
#include "tests/lib/laws.h"

int main(void)
{
    return laws_run(model_laws, model_law_count, 0, 1500) > 0;
}
