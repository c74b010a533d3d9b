/*
** A database file of the page service, as one connection has it open.
*/
#ifndef GSQ_VFS_REMOTE_FILE_H
#define GSQ_VFS_REMOTE_FILE_H

#include "vfs/commit.h"
#include "vfs/database.h"
#include "vfs/fixed_view.h"
#include "vfs/report.h"
#include "vfs/settings.h"
#include "vfs/sqlite_api.h"
#include "vfs/write_buffer.h"

/* What became of the write transaction. In all states but the first, writes are dropped. */
enum gsq_remote_state {
  /* Nothing bad: the buffer has what was written, if anything. */
  GSQ_REMOTE_GOOD,
  /* It failed for good, and SQLite knows: it rolls back by writing old pages and syncing. That
  ** sync succeeds and ends this state. Reads show the snapshot. */
  GSQ_REMOTE_ABORTED,
  /* A write failed in a way after which SQLite may yet go on with the transaction. Reads fail,
  ** and so does the next sync, whether it is a commit or a roll-back; then it is ABORTED. */
  GSQ_REMOTE_BROKEN,
  /* The outcome of its commit is unknown. Reads fail until the lock is dropped or SQLite starts
  ** over, each of which ends this state with another snapshot. */
  GSQ_REMOTE_POISONED,
};

typedef struct gsq_remote_file {
  sqlite3_file base;
  unsigned generation; /* gsq_fork_generation() when it was opened */
  gsq_server *server;  /* references */
  gsq_database *database;
  gsq_settings settings;
  gsq_report report;

  int lock; /* SQLITE_LOCK_NONE, _SHARED, _RESERVED or _EXCLUSIVE */
  int read_only;
  int frozen; /* pinned from open to close: immutable=1, or at a fixed version */
  int fixed;  /* at a fixed version, by a view of its own; the pin is then in no list */
  gsq_fixed_view view;
  gsq_pin pin;
  int wants_lease; /* it was refused: asks for the lease at its next SHARED */
  int batch;       /* between BEGIN_ and COMMIT_ATOMIC_WRITE */

  enum gsq_remote_state state;
  int sync_failed; /* POISONED: the roll-back was told already */
  gsq_write_buffer *buffer;
  gsq_stager stager;

  /* The version that the pages in SQLite's own cache are of; see remote_file.c. */
  uint64_t cache_version;

  int powersafe_overwrite;
} gsq_remote_file;

/* Opens settings->name at its server, which has the page service; at the version that the settings
** want, if any. Takes over *settings and the server's reference on SQLITE_OK only. */
int gsq_remote_open(gsq_remote_file *file, gsq_server *server, gsq_settings *settings,
                    int create, int read_only, int frozen, int64_t deadline_ms,
                    gsq_report *report);

/* True for a file that gsq_remote_open opened. */
int gsq_is_remote_file(sqlite3_file *file);

/* remote_control.c */
int gsq_remote_file_control(sqlite3_file *base, int op, void *arg);

/* remote_file.c, for it: an inherited file in a forked child. Reports it and returns 1. */
int gsq_remote_is_inherited(gsq_remote_file *file);
/* The commit point. */
int gsq_remote_sync(gsq_remote_file *file);
/* Forgets what was written. */
void gsq_remote_drop_writes(gsq_remote_file *file);
int64_t gsq_remote_deadline(const gsq_remote_file *file);

#endif
