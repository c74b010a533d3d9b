/*
** A private file for journals, super-journals and temporary databases: memory up to a limit, then
** one nameless temporary file of the default VFS, deleted on close. Nothing of it is ever needed
** for recovery. Used by one connection at a time, as SQLite does; no locks.
*/
#ifndef GSQ_VFS_LOCAL_FILE_H
#define GSQ_VFS_LOCAL_FILE_H

#include "sqlite_api.h"

/* How large the sqlite3_file is that gsq_local_open fills in. `os` is the VFS that holds what does
** not fit in memory (the one that was the default before ours). */
int gsq_local_file_size(sqlite3_vfs *os);

/* Opens an empty one. `flags` as in xOpen. Sets file->pMethods on SQLITE_OK. memory_limit: bytes. */
int gsq_local_open(sqlite3_vfs *os, sqlite3_file *file, int flags, sqlite3_int64 memory_limit);

#endif
