/*
** The VFS "grpsqlite": what SQLite calls to open, find and name files.
*/
#ifndef GSQ_VFS_VFS_H
#define GSQ_VFS_VFS_H

#include "vfs/sqlite_api.h"

/* Registers it and makes it the default, once; later calls do nothing. Contacts nobody. */
int gsq_vfs_register(void);

#endif
