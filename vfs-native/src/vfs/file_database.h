/*
** One database on a server that has only the file service, shared by all connections of the
** process that have it open: the lease, the locks among these connections, a cache of what is read,
** and the order in which writes reach the server.
**
** THE LEASE is taken at open if it is free, else at the first SHARED lock that can get it (until
** then that lock is SQLITE_BUSY, so that busy_timeout works), and kept until the last connection
** closes. A lease that is lost, or under which a write has an unknown outcome, makes everything
** fail until no connection has a lock; the next SHARED takes a new one, with an empty cache: what
** was sent under the old one is refused by the server from then on.
**
** MODES, decided when the lease is taken:
**
**   batch    the server has atomic_batch, and there is no journal or WAL of this database at the
**            server: commits are one AtomicWriteBatch, journals are local.
**   through  otherwise: the database, its journal and its WAL are files at the server, and SQLite
**            recovers by them. A transaction that is too large for one batch goes through too, its
**            journal first. Ends when journal and WAL are gone.
**
** WRITES THROUGH are combined while they are contiguous and sent in their order; one is on the way,
** or waiting, at a time. So SQLite's many small journal writes are few RPCs, and no page of the
** database is written before the journal that can undo it.
**
** LOCK ORDER, outermost first: context mutex, lease_mutex, write_mutex, mutex. Only the second and
** the third are held across RPCs.
*/
#ifndef GSQ_VFS_FILE_DATABASE_H
#define GSQ_VFS_FILE_DATABASE_H

#include <pthread.h>
#include <stdint.h>

#include "service/file_client.h"
#include "vfs/page_cache.h"
#include "vfs/report.h"
#include "vfs/server.h"
#include "vfs/settings.h"

enum gsq_remote_name { GSQ_MAIN, GSQ_JOURNAL, GSQ_WAL, GSQ_REMOTE_NAMES };

typedef struct gsq_file_context gsq_file_context;

typedef struct gsq_file_database {
  /* Set before anyone else sees the object; never changed. */
  gsq_server *server;
  gsq_file_context *context;
  char *names[GSQ_REMOTE_NAMES]; /* file_name of each */
  const char *database;          /* within names[GSQ_MAIN] */
  int read_only;                 /* no lease: reads are of snapshots */
  int atomic_batch;
  int64_t timeout_ms;
  gsq_page_cache *cache; /* unit by unit; its version: a local counter, or the snapshot's time */

  /* Protected by the context's mutex. */
  int references, beating;
  struct gsq_file_database *next;

  pthread_mutex_t lease_mutex; /* taking the lease */
  pthread_mutex_t write_mutex; /* writes: their order, and what waits to be sent */

  /* Protected by write_mutex. */
  unsigned char *pending;
  enum gsq_remote_name pending_name;
  int64_t pending_offset;
  uint32_t pending_size; /* 0: nothing waits */

  pthread_mutex_t mutex;
  /* Protected by mutex. */
  char lease_id[256];
  int leased;                      /* lease_id is ours, as far as we know */
  unsigned lease_count;            /* how often it was taken */
  int64_t trusted_until_ms;        /* beyond, a heartbeat must be answered first */
  int through;                     /* the mode */
  int64_t sizes[GSQ_REMOTE_NAMES]; /* bytes; -1: ask */
  uint32_t unit;                   /* of the cache: the page size; 0: not known yet */
  int shared;                      /* connections that have a lock */
  const void *reserved, *pending_lock, *exclusive; /* who has these locks */
} gsq_file_database;

/* All return an SQLite result code and report what went wrong. */

/* Finds or makes it. The caller keeps a reference to the server for as long. That the lease is
** another's is no error. */
int gsq_file_database_open(gsq_server *server, const gsq_settings *settings, int read_only,
                           gsq_file_database **out, gsq_report *report);
void gsq_file_database_close(gsq_file_database *db);

/* SQLite's locks; `who` is any address of the connection's own, from and to are SQLITE_LOCK_...
** *level is what it has, and is updated. */
int gsq_file_database_lock(gsq_file_database *db, const void *who, int *level, int wanted,
                           gsq_report *report);
void gsq_file_database_unlock(gsq_file_database *db, const void *who, int *level, int wanted,
                              gsq_report *report);
int gsq_file_database_is_reserved(gsq_file_database *db);

/* Whether the lease is held: without it nothing can be read or written. */
int gsq_file_database_leased(gsq_file_database *db);
int gsq_file_database_through(gsq_file_database *db);
/* Changes the mode for a transaction that is too large. */
void gsq_file_database_set_through(gsq_file_database *db);
unsigned gsq_file_database_lease_count(gsq_file_database *db);

int gsq_remote_size(gsq_file_database *db, enum gsq_remote_name name, int64_t *size,
                    gsq_report *report);
/* SQLITE_IOERR_SHORT_READ past the end, with zeros. time_millis: of a read-only connection, the
** snapshot (in: 0 for the newest; out: which it is); NULL otherwise. */
int gsq_remote_read(gsq_file_database *db, enum gsq_remote_name name, int64_t offset, void *to,
                    int size, int64_t *time_millis, gsq_report *report);
int gsq_remote_write(gsq_file_database *db, enum gsq_remote_name name, int64_t offset,
                     const void *from, int size, gsq_report *report);
int gsq_remote_truncate(gsq_file_database *db, enum gsq_remote_name name, int64_t size,
                        gsq_report *report);
int gsq_remote_delete(gsq_file_database *db, enum gsq_remote_name name, gsq_report *report);
/* Sends what waits. */
int gsq_remote_flush(gsq_file_database *db, gsq_report *report);

/* Commits: all or nothing. *refused: it was surely not applied, and the lease is still good. */
int gsq_file_database_commit(gsq_file_database *db, const gsq_file_write_ref *writes,
                             size_t count, int *refused, gsq_report *report);

/* The server's PRAGMA. SQLITE_NOTFOUND: not one of its own. *response: malloc'ed, or NULL. */
int gsq_file_database_pragma(gsq_file_database *db, const char *name, const char *value,
                             char **response, gsq_report *report);

/* Whether another process's child inherited it: then nothing works. */
int gsq_file_database_is_inherited(const gsq_file_database *db);
/* What one AtomicWriteBatch needs beside its bytes, per write. */
uint32_t gsq_file_database_write_overhead(const gsq_file_database *db);
int gsq_file_database_sector_size(const gsq_file_database *db);

#endif
