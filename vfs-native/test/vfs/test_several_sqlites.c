/*
** One copy of the extension serves one SQLite, and refuses another by its sentence; another copy of
** the file serves that one. The other SQLite is this process's, with its table of functions at
** another place: by that the extension tells them apart.
*/
#define SQLITE_CORE 1 /* sqlite3_open is the function, not an entry of the table */
#include <dlfcn.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sqlite3ext.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

typedef int (*entry_point)(sqlite3 *db, char **message, const sqlite3_api_routines *api);

static const sqlite3_api_routines *table;

static int see_table(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  (void)db;
  (void)message;
  table = api;
  return SQLITE_OK;
}

static void *symbol(const char *file, const char *name) {
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!CHECK(library != NULL)) {
    fprintf(stderr, "  %s\n", dlerror());
    exit(1);
  }
  void *found = dlsym(library, name);
  if (!CHECK(found != NULL)) exit(1);
  return found;
}

static void copy_file(const char *from, const char *to) {
  char buffer[65536];
  int in = open(from, O_RDONLY);
  int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700);
  CHECK(in >= 0 && out >= 0);
  for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;) {
    if (!CHECK_INT(n, write(out, buffer, (size_t)n))) break;
  }
  close(in);
  close(out);
}

int main(void) {
  sqlite3 *db = NULL;
  CHECK_INT(SQLITE_OK, sqlite3_auto_extension((void (*)(void))see_table));
  CHECK_INT(SQLITE_OK, sqlite3_open(":memory:", &db));
  sqlite3_reset_auto_extension();
  if (!CHECK(table != NULL)) return check_done();
  const sqlite3_api_routines other = *table;

  CASE("the SQLite that loaded it can load it again");
  char *message = NULL;
  entry_point init = (entry_point)symbol(GSQ_EXTENSION_PATH, "sqlite3_grpsqlitevfs_init");
  entry_point named = (entry_point)symbol(GSQ_EXTENSION_PATH, "grpsqlite_named_init");
  CHECK_INT(SQLITE_OK_LOAD_PERMANENTLY, init(db, &message, table));
  CHECK_INT(SQLITE_OK_LOAD_PERMANENTLY, named(db, &message, table));
  sqlite3_vfs *vfs = sqlite3_vfs_find("grpsqlite");
  CHECK(vfs != NULL && message == NULL);

  CASE("another one is refused, and nothing changes");
  const entry_point entry_points[] = {init, named};
  for (int i = 0; i < 2; i++) {
    message = NULL;
    CHECK_INT(SQLITE_ERROR, entry_points[i](db, &message, &other));
    CHECK_HAS("serves another SQLite of this process already; load a copy", message);
    sqlite3_free(message);
    CHECK_INT(SQLITE_ERROR, entry_points[i](db, NULL, &other)); /* who wants no message */
  }
  CHECK(sqlite3_vfs_find("grpsqlite") == vfs);
  message = NULL;
  CHECK_INT(SQLITE_OK_LOAD_PERMANENTLY, init(db, &message, table));

  CASE("a copy of the file serves the other one");
  char folder[] = "/tmp/several-sqlites-XXXXXX";
  char copy[sizeof folder + 16];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(copy, sizeof copy, "%s/copy.so", folder);
  copy_file(GSQ_EXTENSION_PATH, copy);
  entry_point copied = (entry_point)symbol(copy, "grpsqlite_named_init");
  unlink(copy);
  rmdir(folder);
  CHECK(copied != named);
  CHECK_INT(SQLITE_OK_LOAD_PERMANENTLY, copied(db, &message, &other));
  message = NULL;
  CHECK_INT(SQLITE_ERROR, copied(db, &message, table));
  CHECK_HAS("serves another SQLite", message);
  sqlite3_free(message);
  sqlite3_close(db);
  return check_done();
}
