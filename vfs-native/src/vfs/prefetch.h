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
  int64_t most_bytes;  /* of one answer, however fast they come */
  int64_t want_bytes;  /* of the next one; 0: not known yet */
  gsq_page_rest *rest; /* NULL: nothing is on its way */
  gsq_snapshot at;
  int64_t asked_us;
  int64_t asked_bytes, came_bytes;
} gsq_prefetch;

/* How much the next answer may bring: twice as much as the last one if all that came soon, half as much if
** it took long. What is on its way has to come before anything else that is asked for. */
int64_t gsq_prefetch_credit(const gsq_prefetch *prefetch);

/* How the last answer came: one of so many bytes, of those that it might have brought. */
void gsq_prefetch_note(gsq_prefetch *prefetch, int64_t asked_bytes, int64_t came_bytes,
                       int64_t took_us);

/* Before pages of a snapshot are asked for, which may bring so much more. Nothing is on its way. */
void gsq_prefetch_begin(gsq_prefetch *prefetch, const gsq_snapshot *at, int64_t asked_bytes);

/* Takes in what comes, until the page is in the cache in memory or nothing more comes. */
void gsq_prefetch_await(gsq_prefetch *prefetch, gsq_database *database, uint32_t page,
                        uint64_t snapshot);

/* Takes in all that is on its way, so that its connection is free for other calls. */
void gsq_prefetch_finish(gsq_prefetch *prefetch, gsq_database *database);

#endif
