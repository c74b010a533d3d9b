/*
** Makes the n-th allocation from now fail, for executables named test_*_nomem: their malloc,
** calloc, realloc, strdup and strndup are wrapped at link time.
*/
#ifndef GSQ_TEST_ALLOC_FAULT_H
#define GSQ_TEST_ALLOC_FAULT_H

/* Of the calling thread: the n-th allocation from now fails, and with `forever` all after it.
** 0: none does. */
void alloc_fault_at(int n, int forever);

/* How many allocations of the calling thread failed since then. */
int alloc_fault_hits(void);

/* Calls may be nested: between 1 and 0 no allocation of the calling thread fails, nor counts. */
void alloc_fault_pause(int begins);

#endif
