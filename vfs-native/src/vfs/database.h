/*
** One database of one server, shared by all connections of the process that have it open: its
** lease, its page cache, who reads which version, who may write.
**
** A connection's transaction has a gsq_pin: the snapshot it reads. Any number of them read at
** once, each its own version; one holds RESERVED, which is the right to build the next commit.
** Nobody waits for anybody: what cannot be had now is refused.
**
** The lock order is in server.h. Functions return GSQ_OK or the code in *error, and block until
** deadline_ms at most.
*/
#ifndef GSQ_VFS_DATABASE_H
#define GSQ_VFS_DATABASE_H

#include <pthread.h>
#include <stdint.h>

#include "vfs/disk_cache.h"
#include "vfs/page_cache.h"
#include "vfs/page_list.h"
#include "vfs/prefetch.h"
#include "vfs/server.h"

/* One connection's place in the history. Embedded in its file; zeroed before the first use. */
typedef struct gsq_pin {
  gsq_snapshot snapshot;    /* the connection's own, while it is pinned, */
  unsigned history;         /* and the database->history that it is of */
  int pinned;               /* protected by database->mutex, like what follows */
  int64_t intends_until_ms; /* it has the lease on its way to RESERVED: see lease.h; 0: not */
  struct gsq_pin *next, *previous; /* in database->pins */
} gsq_pin;

/* One connection's view of a fixed version; see fixed_view.h. Embedded in its file. */
typedef struct gsq_fixed_view {
  uint32_t number; /* of the view at the server; from 1 */
  gsq_snapshot snapshot;
  unsigned history;            /* as in gsq_pin */
  struct gsq_fixed_view *next; /* in database->fixed_views */
} gsq_fixed_view;

struct gsq_database {
  gsq_server *server; /* a reference */
  char *name;
  gsq_id id;
  gsq_page_cache *cache;
  gsq_disk_cache *disk; /* or NULL. Set before anyone else sees the object */

  /* Protected by server->mutex. */
  gsq_database *next;
  int closed_late; /* something of it is left to gsq_databases_close_late, */
  int late_closes; /* and so many ends of uses */
  int live; /* it has a live view: it is open as it is now, and not at fixed versions alone */
  gsq_fixed_view *fixed_views; /* changed under mutex too, so that either will do for reading */

  /* Changed under mutex: which history of the database the server has, from 1. Another one begins when
  ** the server is found to have gone on from an older copy of its data. */
  _Atomic unsigned history;

  /* Protected by server->open_gate. */
  int live_references;
  int opened_for_writing; /* the server was told so once */

  pthread_mutex_t mutex;
  pthread_cond_t refreshed; /* a Refresh ended */

  /* Protected by mutex. */
  gsq_snapshot head; /* the newest version known; in a history, only its version grows */
  gsq_pin *pins;
  gsq_pin *reserved;      /* who holds RESERVED; NULL: nobody */
  unsigned asking;        /* connections that ask for the lease ahead of RESERVED */
  int lease_held;         /* as far as we know */
  uint64_t epoch;         /* of the lease that is, or was last, held */
  uint64_t lease_session; /* server->session in which it was granted */
  uint64_t wanted_epoch;  /* someone waits for the lease of this epoch; 0: nobody said so */
  uint64_t lost_epoch;    /* up to this one they are ours no more */
  int committing; /* a commit is under way, which others may see before its answer is here */
  int doubtful;   /* a commit's outcome is unknown: the epoch must not be used again */
  int64_t delegated_until_ms;   /* a read delegation: until then nobody else commits; 0: none */
  int64_t heard_ms;             /* when something was learnt of its head, or its absence */
  int64_t confirmed_ms;         /* what was acknowledged before that time is known; 0: never */
  int64_t unconfirmed_until_ms; /* what confirms a moment up to this does not count */
  unsigned watchers;            /* connections that have max_staleness_ms, */
  int64_t least_staleness_ms;   /* and the least that one asked for */
  uint64_t seen_in; /* the server->session in which the server was seen to have the history */
  uint64_t watched_in; /* number of the last stream that began with it; see watch.c */
  int refreshing;      /* a Refresh is under way */
  uint64_t refresh_begun, refresh_ended; /* number of the last one that began, that succeeded */
  uint64_t floor_told;                   /* the highest floor that the server confirmed */
};

/* Opens settings->name, or shares the one that is open, with the caches that it was opened with. */
int gsq_database_open(gsq_server *server, const gsq_settings *settings, int create,
                      int read_only, int64_t deadline_ms, gsq_database **out, gsq_error *error);
/* Ends one use. The last one gives the lease back. No pin may be left. What cannot be done in the time is
** left to the background thread. */
void gsq_database_close(gsq_database *database, int64_t deadline_ms);
/* The background thread: ends what was closed while somebody had server->open_gate; waits for nobody. */
void gsq_databases_close_late(gsq_server *server);

/* For fixed_view.c, under server->open_gate; with a trailing underscore, under server->mutex too. */

/* The one of that name; if there is none, one that nobody else sees before it is linked. */
int gsq_database_find_or_make(gsq_server *server, const char *name, int64_t cache_bytes,
                              gsq_database **out, int *is_new, gsq_error *error);
void gsq_database_link_(gsq_database *database, const gsq_id *id);
/* Under server->mutex, but not server->open_gate: so many uses have ended, and it may be unused. Wake the
** background thread then. */
void gsq_database_close_late_(gsq_database *database, int uses);
/* 1: nobody has it open any more, and it is not linked any more. */
int gsq_database_unlink_if_unused_(gsq_database *database);
/* Its id is known, nobody else sees it, and the server has the version `seen`: gives it the cache on disk
** that is wanted. If there can be none, the log says why. */
void gsq_database_use_disk(gsq_database *database, const gsq_settings *settings,
                           const gsq_id *id, const gsq_snapshot *seen);
void gsq_database_free(gsq_database *database);
int gsq_database_is(const gsq_database *database, const gsq_id *id);
/* Makes sure, before another version gets into the caches, that the server has the history of what is in
** them, or else that they are empty. Asks only in a session in which nobody has. */
int gsq_database_settle_history(gsq_database *database, int64_t deadline_ms, gsq_error *error);
/* Puts a page that came into the cache. */
void gsq_database_keep_page(const gsq_database *database, const gsq_snapshot *at,
                            uint32_t number, uint64_t version, int asked, const uint8_t *data,
                            uint32_t size);
/* The name was found to be that of `id`. Fails if that is another database; the view of it, which
** was opened, is closed then. */
int gsq_database_check_is(const gsq_database *database, const gsq_id *id, uint32_t view,
                          int64_t deadline_ms, gsq_error *error);

/* How a transaction begins; all zero: with what is the newest version now. */
typedef struct gsq_beginning {
  int want_lease; /* it will write: asks for the lease on the way. That it is refused is no error */
  uint32_t wait_ms;         /* for the lease, if another client has it */
  int64_t max_staleness_ms; /* what was the newest so long ago will do; not with want_lease */
} gsq_beginning;

/* Pins a version. With the lease, the newest is known; otherwise the server is asked. */
int gsq_database_pin(gsq_database *database, gsq_pin *pin, const gsq_beginning *how,
                     int64_t deadline_ms, gsq_error *error);
/* Pins the newest version that this process knows, without asking. */
void gsq_database_pin_known(gsq_database *database, gsq_pin *pin);
void gsq_database_unpin(gsq_database *database, gsq_pin *pin);

/* A connection that begins with max_staleness_ms: watches the head, until as many unwatch. */
void gsq_database_watch(gsq_database *database, int64_t max_staleness_ms);
void gsq_database_unwatch(gsq_database *database);

enum gsq_reserve_outcome {
  GSQ_RESERVED = 1,
  GSQ_HELD_HERE,      /* another connection of this process holds RESERVED */
  GSQ_HELD_ELSEWHERE, /* another client has the lease */
  GSQ_SNAPSHOT_OLD,   /* the head is not at the pinned version */
};

/* lease.c: takes RESERVED for a pinned connection, and the lease with it, for which it waits
** wait_ms at most. */
int gsq_database_reserve(gsq_database *database, gsq_pin *pin, uint32_t wait_ms,
                         enum gsq_reserve_outcome *outcome, int64_t deadline_ms,
                         gsq_error *error);
/* Gives RESERVED back; the lease is kept, unless someone waits for it. Nothing happens if the pin does not hold it. */
void gsq_database_unreserve(gsq_database *database, gsq_pin *pin);
int gsq_database_is_reserved(gsq_database *database);

/* The epoch under which the holder of RESERVED may stage and commit; asks for the lease again, at
** the pinned version, if it was lost. GSQ_FAILED_PRECONDITION: it cannot be had. */
int gsq_database_epoch(gsq_database *database, const gsq_pin *pin, uint64_t *epoch,
                       int64_t deadline_ms, gsq_error *error);

/* Whether what is pinned is of a history that the server does not have any more: what is in the caches
** is not of it. */
int gsq_database_is_past(const gsq_database *database, const gsq_pin *pin);
/* The lowest version that anyone here may still read. */
uint64_t gsq_database_floor(gsq_database *database);

/* page_reads.c, as what follows: how many bytes of pages the server may send without being asked, if as
** many are wanted. */
uint32_t gsq_database_credit(const gsq_database *database, int64_t prefetch_bytes);
/* GSQ_OK if the server has this very version, which is not without pages, and can say so. */
int gsq_database_ask_for(gsq_database *database, const gsq_snapshot *at, int64_t deadline_ms,
                         gsq_error *error);
/* Copies a part of a page if the cache in memory has it: 1. Else 0, also where it is of two pages. */
int gsq_database_try(gsq_database *database, const gsq_snapshot *at, uint64_t offset, void *to,
                     uint32_t size);
/* Reads bytes of a snapshot, all below its size, through the cache; where the server is asked, it
** may send more, which get there by `prefetch`. NULL: it is not to. */
int gsq_database_read(gsq_database *database, const gsq_snapshot *at, uint64_t offset, void *to,
                      uint32_t size, gsq_prefetch *prefetch, int64_t deadline_ms,
                      gsq_error *error);
/* Reads whole pages of a snapshot, one behind the other: ascending, at most GSQ_BATCH_PAGES. What
** is in no cache does not get there: it is for reading once. */
int gsq_database_read_pages(gsq_database *database, const gsq_snapshot *at,
                            const uint32_t *numbers, size_t count, void *to,
                            int64_t deadline_ms, gsq_error *error);
/* Copies a whole page if a cache has it: 1, else 0. */
int gsq_database_cached(gsq_database *database, const gsq_snapshot *at, uint32_t page,
                        void *to);

/* From the sending of a commit until its outcome was said by one of the functions below, or is none:
** in between, others read the head that the server names. */
void gsq_database_commit_begins(gsq_database *database);
void gsq_database_commit_ends(gsq_database *database);
/* The holder's commit was applied: `next` is the head now, and the pin is at it. The pages named
** changed (all did, if `all`); `pages` of them, with their bytes, go into the cache. */
void gsq_database_committed(gsq_database *database, gsq_pin *pin, const gsq_snapshot *next,
                            int all, const uint32_t *changed, size_t changed_count,
                            const gsq_page_ref *pages, size_t page_count);
/* A commit was refused because the lease or the head is not what we thought. */
void gsq_database_lease_lost(gsq_database *database);
/* The server does not have what it had: whoever begins a transaction asks it, whatever was promised. */
void gsq_database_ask_next(gsq_database *database);
/* Nobody knows whether a commit was applied: forget the cache and use the epoch no more. */
void gsq_database_doubt(gsq_database *database);

/* session.c: the server says that a lease was lost. */
void gsq_database_lease_lost_by_id(gsq_server *server, const gsq_id *id);

#endif
