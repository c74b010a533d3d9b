/*
** gRPSQLite: a SQLite VFS whose databases live in a storage server.
**
** Most programs need nothing of this: `.load libgrpsqlite_vfs` (or sqlite3_load_extension)
** registers the VFS "grpsqlite" and makes it the default for databases opened from then on. With
** the entry point "grpsqlite_named_init", the second argument of SQL's load_extension(), it is
** registered and does not become the default: databases at a server have vfs=grpsqlite in their URI.
*/
#ifndef GRPSQLITE_H
#define GRPSQLITE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
** For programs that cannot load extensions: dlopen the library, look this up with dlsym and call
** it once, before the first database is opened. It finds the SQLite that the process already has.
** Returns a SQLite result code; 0 is success, SQLITE_NOTFOUND (12) means that this process has no
** SQLite with visible symbols. May be called again, from any thread.
*/
int grpsqlite_register(void);

/*
** What this process did with all servers, each number since it began (the first one aside):
**
**    0  servers with an open database, now     6  commits
**    1  RPCs of SQLite's threads               7  pages committed
**    2  their retries                          8  pages staged ahead of commits
**    3  connections made                       9  events of Watch
**    4  bytes sent                            10  transactions begun within max_staleness_ms
**    5  bytes received                        11  leases given back because someone waited
**   12  read transactions begun under a read delegation, without a round trip
**
** Fills values[0] to values[count - 1], as many as there are, and returns how many there are; later
** versions may add some at the end. From any thread.
*/
int grpsqlite_stats(uint64_t *values, int count);

/*
** The same for a program that has SQLite and the static archive built in. Its argument is
** ignored; it has the signature that SQLite calls at start-up if it was compiled with
** -DSQLITE_EXTRA_INIT=grpsqlite_static_init. Only in the static archive.
*/
int grpsqlite_static_init(const char *unused);

#ifdef __cplusplus
}
#endif
#endif
