/* Frees of what is no block: the argument names which. Reaching the end is a failure of the test. */
#include "check.h"

static char fixed[8192] __attribute__((aligned(4096)));

int main(int count, char **arguments) {
    char local[8192] __attribute__((aligned(4096)));
    check_preloaded();
    CHECK(count == 2);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    volatile const char *kind = arguments[1];
    char *large = malloc(3 << 20), *volatile victim = NULL;
    switch (kind[0]) {
    case 's': victim = local; break;                      /* stack */
    case 'd': victim = fixed; break;                      /* data */
    case 'c': victim = (char *)(uintptr_t)&main; break;   /* code */
    case 'i': victim = large + 4096; break;               /* inside of a large block */
    case '2': free(large); victim = large; break;         /* twice */
    case 'w': victim = (char *)1; break;                  /* wild */
    case 'h': victim = (char *)~0xFFFul; break;           /* high */
    case 'r': victim = realloc(local, 100); break;        /* realloc of the stack */
    }
    free(victim);
    return 0;
}
