/*
** SELECT * FROM grpsqlite_history: the versions of a database that its server keeps, newest first.
*/
#ifndef GSQ_VFS_HISTORY_H
#define GSQ_VFS_HISTORY_H

#include "vfs/sqlite_api.h"

/* Makes the table known to a connection. */
int gsq_history_register(sqlite3 *db);

#endif
