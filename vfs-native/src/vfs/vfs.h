/*
** The VFS "grpsqlite": what SQLite calls to open, find and name files.
*/
#ifndef GSQ_VFS_VFS_H
#define GSQ_VFS_VFS_H

#include "vfs/sqlite_api.h"

/* Registers it, once, and makes it the default if that is asked for. Contacts nobody. */
int gsq_vfs_register(int as_default);

#endif
