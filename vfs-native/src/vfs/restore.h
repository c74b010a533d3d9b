/*
** PRAGMA grpsqlite_restore=N: brings the content of an old version back as a new commit, which the
** server makes under this process's lease.
*/
#ifndef GSQ_VFS_RESTORE_H
#define GSQ_VFS_RESTORE_H

#include "vfs/remote_file.h"

/* *result: the version that was made or, if it fails, why, if there is a sentence; for SQLite to
** free. */
int gsq_remote_restore(gsq_remote_file *file, const char *value, char **result);

#endif
