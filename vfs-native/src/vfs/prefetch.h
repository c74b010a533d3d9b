/*
** Pages that were sent ahead and are still on their way, while SQLite works on those that are here.
** They belong to the connection that caused them; what it reads next is among them, as a rule, and is
** then waited for. What it has to ask for comes after them.
**
** For one thread at a time.
*/
#ifndef GSQ_VFS_PREFETCH_H
#define GSQ_VFS_PREFETCH_H

#include "service/page_client.h"

typedef struct gsq_database gsq_database;

typedef struct gsq_prefetch {
  int64_t most_bytes;  /* of one answer */
  gsq_page_rest *rest; /* NULL: nothing is on its way */
  gsq_snapshot at;
} gsq_prefetch;

/* Takes in what comes, until the page is in the cache in memory or nothing more comes. */
void gsq_prefetch_await(gsq_prefetch *prefetch, gsq_database *database, uint32_t page,
                        uint64_t snapshot);

/* Takes in all that is on its way, so that its connection is free for other calls. */
void gsq_prefetch_finish(gsq_prefetch *prefetch, gsq_database *database);

#endif
