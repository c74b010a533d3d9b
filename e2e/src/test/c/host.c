/*
** A program with SQLite in it that cannot load extensions, and only dlopens the library.
**
**   host LIBRARY DATABASE
**
** Prints the number of rows that it finds after it added one.
*/
#include <dlfcn.h>
#include <sqlite3.h>
#include <stdio.h>

static int print(void *unused, int columns, char **values, char **names) {
  (void)unused;
  (void)columns;
  (void)names;
  puts(values[0]);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    return 2;
  }
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  int (*grpsqlite_register)(void);
  *(void **)&grpsqlite_register = dlsym(library, "grpsqlite_register");
  if (grpsqlite_register == NULL || grpsqlite_register() != SQLITE_OK ||
      grpsqlite_register() != SQLITE_OK) {
    fprintf(stderr, "grpsqlite_register failed\n");
    return 1;
  }
  sqlite3 *db;
  char *message = NULL;
  if (sqlite3_open(argv[2], &db) != SQLITE_OK ||
      sqlite3_exec(db,
                   "CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1);"
                   "SELECT count(*) FROM t",
                   print, NULL, &message) != SQLITE_OK) {
    fprintf(stderr, "%s\n", message != NULL ? message : sqlite3_errmsg(db));
    return 1;
  }
  sqlite3_close(db);
  return 0;
}
