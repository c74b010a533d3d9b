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
  /* Its part of a commit over several databases is ready (group.h), and waits for the deletion of
  ** the super-journal, which ends this state. If SQLite rolls back before that, it writes and syncs
  ** as in ABORTED. */
  GSQ_REMOTE_PREPARED,
  /* It failed for good, and SQLite knows: it rolls back by writing old pages and syncing. That
  ** sync succeeds and ends this state. Reads show the snapshot. */
  GSQ_REMOTE_ABORTED,
  /* A write failed in a way after which SQLite may yet go on with the transaction. Reads fail,
  ** and so does the next sync, whether it is a commit or a roll-back; then it is ABORTED. */
  GSQ_REMOTE_BROKEN,
  /* The outcome of its commit is unknown, or it was applied, but other databases' parts of the
  ** same transaction were not. Reads fail until the lock is dropped or SQLite starts
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
  int wants_lease;    /* it was refused: asks for the lease at its next SHARED */
  int asked;          /* it did, at this SHARED */
  int exclusive;      /* locking_mode: SQLite keeps whatever lock it has */
  int keeps_out;      /* it has the right to write from SHARED on, as exclusive has it */
  int64_t refused_ms; /* when it was refused last; gsq_now_ms()'s clock */
  int batch;          /* between BEGIN_ and COMMIT_ATOMIC_WRITE */
  gsq_prefetch prefetch;

  enum gsq_remote_state state;
  int sync_failed; /* POISONED: the roll-back was told already */
  gsq_write_buffer *buffer;
  gsq_stager stager;

  /* PREPARED, else zeros; see group.h. */
  gsq_prepared prepared;
  char *super_journal;
  struct gsq_remote_file *next_prepared;

  /* What the pages in SQLite's own cache are of; see remote_file.c. */
  gsq_snapshot cached;

  int powersafe_overwrite;
} gsq_remote_file;

/* Opens settings->name at its server, which has the page service; at the version that the settings
** want, if any. Takes over *settings and the server's reference on SQLITE_OK only. */
int gsq_remote_open(gsq_remote_file *file, gsq_server *server, gsq_settings *settings,
                    int create, int read_only, int frozen, int64_t deadline_ms,
                    gsq_report *report);

/* PRAGMA locking_mode, before SQLite does it. SQLITE_NOTFOUND: it may. */
int gsq_remote_locking_mode(gsq_remote_file *file, const char *mode);

/* True for a file that gsq_remote_open opened. */
int gsq_is_remote_file(sqlite3_file *file);

/* remote_control.c */
int gsq_remote_file_control(sqlite3_file *base, int op, void *arg);

/* remote_file.c, for it: an inherited file in a forked child. Reports it and returns 1. */
int gsq_remote_is_inherited(gsq_remote_file *file);
/* The commit point; or what leads to it, of a transaction over several databases. */
int gsq_remote_sync(gsq_remote_file *file, const char *super_journal);
/* Forgets what was written. */
void gsq_remote_drop_writes(gsq_remote_file *file);
int64_t gsq_remote_deadline(const gsq_remote_file *file);

/* group.c, of a file that was PREPARED. Its commit ended; the result code for SQLite. */
int gsq_remote_ended(gsq_remote_file *file, enum gsq_commit_outcome outcome,
                     const gsq_error *error);
/* Its part was not sent: another was refused before. */
void gsq_remote_not_sent(gsq_remote_file *file);
/* Its part was applied, but others of the transaction, sent after it, were not. */
void gsq_remote_applied_alone(gsq_remote_file *file);

#endif
