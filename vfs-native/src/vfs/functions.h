/*
** What SQL sees of the VFS beside PRAGMAs: grpsqlite_last_error(), for after a failed open, when
** there is no database to run a PRAGMA on, and the table grpsqlite_history.
*/
#ifndef GSQ_VFS_FUNCTIONS_H
#define GSQ_VFS_FUNCTIONS_H

#include "vfs/sqlite_api.h"

int gsq_functions_register(sqlite3 *db);

#endif
