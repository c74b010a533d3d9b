/*
** gRPSQLite: a SQLite VFS whose databases live in a storage server.
**
** Most programs need nothing of this: `.load libgrpsqlite_vfs` (or sqlite3_load_extension)
** registers the VFS "grpsqlite" and makes it the default for databases opened from then on.
*/
#ifndef GRPSQLITE_H
#define GRPSQLITE_H

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
** The same for a program that has SQLite and the static archive built in. Its argument is
** ignored; it has the signature that SQLite calls at start-up if it was compiled with
** -DSQLITE_EXTRA_INIT=grpsqlite_static_init. Only in the static archive.
*/
int grpsqlite_static_init(const char *unused);

#ifdef __cplusplus
}
#endif
#endif
