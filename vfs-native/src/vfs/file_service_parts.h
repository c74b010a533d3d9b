/*
** The two kinds of files of a database in the file service, for the three files that make them up:
** file_service_file.c (the database), file_service_commit.c (what its transactions write) and
** file_service_side.c (journals and WALs). The doors are in file_service_file.h.
*/
#ifndef GSQ_VFS_FILE_SERVICE_PARTS_H
#define GSQ_VFS_FILE_SERVICE_PARTS_H

#include "vfs/file_database.h"
#include "vfs/file_service_file.h"
#include "vfs/write_buffer.h"

typedef struct gsq_side_file gsq_side_file;

typedef struct gsq_main_file {
  sqlite3_file base;
  gsq_server *server; /* a reference */
  gsq_file_database *db;
  gsq_settings settings;
  gsq_report report;
  int read_only;
  int lock; /* SQLITE_LOCK_... */
  int64_t
      time_millis; /* of a read-only file: the snapshot of this transaction; 0: the next newest */
  const char *journal_name, *wal_name; /* SQLite's own pointers */
  gsq_side_file *journal;              /* if it is open */

  /* Batch mode. */
  gsq_write_buffer *buffer;
  int buffering; /* the buffer has been begun in this transaction */
  int full;      /* the buffer has just refused for being full */
  int aborted; /* the commit was refused: what SQLite writes until it unlocks is its rolling back */
  int committed; /* since the commit nothing was written */

  struct gsq_main_file *next; /* protected by mains_mutex */
} gsq_main_file;

struct gsq_side_file {
  sqlite3_file base;
  gsq_main_file *owner;
  enum gsq_remote_name which;
  sqlite3_vfs *os;
  int flags;
  int active;            /* written in this transaction, locally */
  int remote;            /* at the server; else in `local` */
  unsigned lease_count;  /* of the lease under which `remote` was decided */
  sqlite3_file *local;   /* behind this struct; open if its pMethods is set */
  unsigned char *window; /* what was read last from the server; NULL until then */
  int64_t window_offset;
  int window_size; /* 0: nothing */
};

#define GSQ_SIDE_LOCAL_AT ((sizeof(gsq_side_file) + 15) / 16 * 16)

/* The open databases, by which names of journals and WALs are known. */
void gsq_main_files_add(gsq_main_file *f);
void gsq_main_files_remove(gsq_main_file *f);

/* Decides where a journal or WAL is, before each use. An SQLite result code, as below. */
int gsq_side_settle(gsq_side_file *s, int writing);
/* What was sent is applied in its order, whole, and touches nothing beside it. */
int gsq_file_device_characteristics(sqlite3_file *file);

/* The functions of a write buffer in front of the database. */
gsq_buffer_io gsq_main_buffer_io(gsq_main_file *f);
int gsq_main_begin_writes(gsq_main_file *f);
void gsq_main_drop_writes(gsq_main_file *f);
/* Writes the transaction through, its journal first. */
int gsq_main_go_through(gsq_main_file *f);
/* The commit point. */
int gsq_main_commit(gsq_main_file *f);

#endif
