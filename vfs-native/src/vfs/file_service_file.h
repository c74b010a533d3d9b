/*
** The files of a database on a server that has only the file service: the database itself, its
** journal and its WAL. What they share is in file_database.h; read about the modes there.
**
** In batch mode a database file is as with the page service: what SQLite writes stays in a write
** buffer, the SYNC file control commits it, and the journal is a local file that nobody else sees.
** A transaction that is too large for one message of the server (max_batch_mb) is written through,
** its journal first, so that a crash is undone by whoever opens the database next; if SQLite keeps
** no journal file for it (journal_mode off or memory), it fails with SQLITE_FULL.
**
** A transaction over several databases is atomic in each of them alone.
*/
#ifndef GSQ_VFS_FILE_SERVICE_FILE_H
#define GSQ_VFS_FILE_SERVICE_FILE_H

#include "vfs/report.h"
#include "vfs/server.h"
#include "vfs/settings.h"
#include "vfs/sqlite_api.h"

/* How large the sqlite3_file is that the functions below fill in. */
int gsq_file_service_file_size(sqlite3_vfs *os);

/* Opens a main database, which is settings->name. `name` is what xOpen was given: the journal's and
** the WAL's names are found by that pointer. On SQLITE_OK the file has taken over *settings and the
** server's reference, and releases them on close. */
int gsq_file_service_open(sqlite3_file *file, gsq_server *server, gsq_settings *settings,
                          const char *name, int create, int read_only, gsq_report *report);

/* The rest of xOpen, xAccess and xDelete, for names of the journal or the WAL of a database that
** was opened by gsq_file_service_open. SQLITE_NOTFOUND: it is none of those. */
int gsq_file_service_open_side(sqlite3_vfs *os, const char *name, sqlite3_file *file, int flags,
                               int *out_flags);
int gsq_file_service_access(const char *name, int *exists);
int gsq_file_service_delete(const char *name);

#endif
