/*
** PRAGMAs of a database of the page service: which are SQLite's, which are ours, which the
** server's.
*/
#ifndef GSQ_VFS_PRAGMA_H
#define GSQ_VFS_PRAGMA_H

#include "vfs/remote_file.h"

/* The file control PRAGMA: `arguments` as SQLite documents it. */
int gsq_remote_pragma(gsq_remote_file *file, char **arguments);

/* True if SQLite itself knows a PRAGMA of this name, which therefore stays with it. Pure. */
int gsq_is_sqlite_pragma(const char *name);

/* Given the value of PRAGMA journal_mode=..., makes SQLite answer with the mode that there is if
** the value asks for WAL. */
void gsq_pragma_forbid_wal(char *mode);

/* "name value" lines of what the VFS did for this database and its server; sqlite3_malloc'ed,
** NULL if memory ran out. */
char *gsq_remote_stats(gsq_remote_file *file);

#endif
