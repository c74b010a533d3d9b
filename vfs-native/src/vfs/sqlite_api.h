/*
** SQLite's interface, however this build reaches it: through the table that a loadable extension
** is given, or directly when GSQ_STATIC is defined (the static archive). Every file of vfs/ that
** calls SQLite includes this and no other SQLite header; extension.c defines the table.
*/
#ifndef GSQ_VFS_SQLITE_API_H
#define GSQ_VFS_SQLITE_API_H

#ifdef GSQ_STATIC
#ifndef SQLITE_CORE
#define SQLITE_CORE 1
#endif
#endif
#include <sqlite3ext.h>
#ifndef GSQ_STATIC
extern const sqlite3_api_routines *sqlite3_api;
#endif

#endif
