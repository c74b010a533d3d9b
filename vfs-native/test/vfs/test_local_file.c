/* Local files against a plain array, in memory and spilled; with failing allocations and a failing
** VFS beneath; and as SQLite uses them. Calls SQLite directly, as a program that links it. */
#define SQLITE_CORE 1
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "random.h"
#include "vfs/local_file.h"

#define CHUNK 16384 /* of local_file.c; offsets are chosen around it */

static sqlite3_vfs *os;

static sqlite3_file *open_file(int flags, sqlite3_int64 limit) {
  sqlite3_file *file = malloc((size_t)gsq_local_file_size(os));
  memset(file, 0xa5, (size_t)gsq_local_file_size(os)); /* SQLite promises no zeros */
  CHECK_INT(SQLITE_OK, gsq_local_open(os, file, flags, limit));
  CHECK(file->pMethods);
  return file;
}

static void close_file(sqlite3_file *file) {
  CHECK_INT(SQLITE_OK, file->pMethods->xClose(file));
  free(file);
}

static sqlite3_int64 size_of(sqlite3_file *file) {
  sqlite3_int64 size = -1;
  CHECK_INT(SQLITE_OK, file->pMethods->xFileSize(file, &size));
  return size;
}

/* ---- Counting and failing: memory, and the VFS beneath --------------------------------------- */

static sqlite3_mem_methods real_memory;
static int memory_countdown; /* the n-th allocation from now fails; 0: none */
static int memory_failed;
static long long blocks;

static int memory_fails(void) {
  if (memory_countdown == 0 || --memory_countdown > 0)
    return 0;
  memory_failed = 1;
  return 1;
}

static void *faulty_malloc(int size) {
  if (memory_fails())
    return NULL;
  void *block = real_memory.xMalloc(size);
  if (block)
    blocks++;
  return block;
}

static void faulty_free(void *block) {
  if (block)
    blocks--;
  real_memory.xFree(block);
}

static void *faulty_realloc(void *block, int size) {
  return memory_fails() ? NULL : real_memory.xRealloc(block, size);
}

static sqlite3_vfs wrapped;
static int os_countdown; /* the n-th open or write from now fails; 0: none */
static int os_open_files, os_opens;

static int os_fails(void) {
  return os_countdown > 0 && --os_countdown == 0;
}

typedef struct wrapped_file {
  sqlite3_file base;
  sqlite3_file *real; /* behind */
} wrapped_file;

static sqlite3_vfs *real_os;

static int w_close(sqlite3_file *file) {
  sqlite3_file *real = ((wrapped_file *)file)->real;
  os_open_files--;
  return real->pMethods->xClose(real);
}
static int w_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at) {
  sqlite3_file *real = ((wrapped_file *)file)->real;
  return real->pMethods->xRead(real, to, n, at);
}
static int w_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at) {
  sqlite3_file *real = ((wrapped_file *)file)->real;
  return os_fails() ? SQLITE_FULL : real->pMethods->xWrite(real, from, n, at);
}
static int w_truncate(sqlite3_file *file, sqlite3_int64 size) {
  sqlite3_file *real = ((wrapped_file *)file)->real;
  return real->pMethods->xTruncate(real, size);
}
static int w_size(sqlite3_file *file, sqlite3_int64 *size) {
  sqlite3_file *real = ((wrapped_file *)file)->real;
  return real->pMethods->xFileSize(real, size);
}
static int w_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
  static const sqlite3_io_methods methods = {.iVersion = 1,
                                             .xClose = w_close,
                                             .xRead = w_read,
                                             .xWrite = w_write,
                                             .xTruncate = w_truncate,
                                             .xFileSize = w_size};
  wrapped_file *w = (wrapped_file *)file;
  (void)vfs;
  CHECK(!name);
  CHECK(flags & SQLITE_OPEN_DELETEONCLOSE);
  CHECK(!(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL |
                   SQLITE_OPEN_WAL)));
  w->base.pMethods = NULL;
  if (os_fails())
    return SQLITE_CANTOPEN;
  w->real = (sqlite3_file *)(w + 1);
  int rc = real_os->xOpen(real_os, name, w->real, flags, out);
  if (rc == SQLITE_OK) {
    w->base.pMethods = &methods;
    os_open_files++;
    os_opens++;
  }
  return rc;
}

/* ---- Cases ---------------------------------------------------------------------------------- */

static void a_new_file_is_empty_and_its_reads_are_short(void) {
  sqlite3_file *file = open_file(SQLITE_OPEN_MAIN_JOURNAL, 1 << 20);
  unsigned char got[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  CHECK_INT(0, size_of(file));
  CHECK_INT(SQLITE_IOERR_SHORT_READ, file->pMethods->xRead(file, got, 8, 0));
  for (int i = 0; i < 8; i++)
    CHECK_INT(0, got[i]);
  CHECK_INT(SQLITE_OK, file->pMethods->xWrite(file, "abcd", 4, 0));
  memset(got, 1, 8);
  CHECK_INT(SQLITE_IOERR_SHORT_READ, file->pMethods->xRead(file, got, 8, 2));
  CHECK(!memcmp(got, "cd\0\0\0\0\0\0", 8));
  CHECK_INT(SQLITE_OK, file->pMethods->xRead(file, got, 2, 2));
  CHECK_INT(SQLITE_OK, file->pMethods->xSync(file, SQLITE_SYNC_FULL));
  CHECK_INT(SQLITE_OK, file->pMethods->xLock(file, SQLITE_LOCK_EXCLUSIVE));
  int reserved = 1;
  CHECK_INT(SQLITE_OK, file->pMethods->xCheckReservedLock(file, &reserved));
  CHECK_INT(0, reserved);
  CHECK_INT(SQLITE_OK, file->pMethods->xUnlock(file, SQLITE_LOCK_NONE));
  CHECK_INT(SQLITE_NOTFOUND, file->pMethods->xFileControl(file, SQLITE_FCNTL_PDB, NULL));
  close_file(file);
}

static void it_spills_at_the_limit_and_comes_back_when_emptied(void) {
  unsigned char bytes[1000];
  memset(bytes, 'x', sizeof bytes);
  os_opens = 0;
  sqlite3_file *file = open_file(SQLITE_OPEN_TEMP_DB, 50000);
  for (int i = 0; i < 50; i++)
    CHECK_INT(SQLITE_OK, file->pMethods->xWrite(file, bytes, 1000, i * 1000));
  CHECK_INT(0, os_opens);
  CHECK_INT(SQLITE_OK, file->pMethods->xWrite(file, "y", 1, 50000));
  CHECK_INT(1, os_opens);
  CHECK_INT(50001, size_of(file));
  CHECK_INT(SQLITE_OK, file->pMethods->xTruncate(file, 0));
  CHECK_INT(0, os_open_files);
  CHECK_INT(0, size_of(file));
  CHECK_INT(SQLITE_OK, file->pMethods->xWrite(file, "z", 1, 0));
  CHECK_INT(1, os_opens);
  CHECK_INT(SQLITE_OK, file->pMethods->xTruncate(file, 50001));
  CHECK_INT(2, os_opens);
  CHECK_INT(SQLITE_OK, file->pMethods->xRead(file, bytes, 2, 0));
  CHECK(bytes[0] == 'z' && bytes[1] == 0);
  close_file(file);
  CHECK_INT(0, os_open_files);

  file = open_file(SQLITE_OPEN_SUBJOURNAL, 0); /* no memory at all */
  CHECK_INT(SQLITE_OK, file->pMethods->xWrite(file, "a", 1, 0));
  CHECK_INT(3, os_opens);
  close_file(file);
}

static void random_operations_agree_with_an_array(void) {
  enum { ROOM = 8 * CHUNK };
  uint64_t random = random_seed("random_operations_agree_with_an_array");
  unsigned char *array = malloc(ROOM), *got = malloc(ROOM), *bytes = malloc(ROOM);
  for (int round = 0; round < 300 && !atomic_load(&check_failures); round += test_every()) {
    static const sqlite3_int64 limits[] = {0, 1, CHUNK, CHUNK + 1, 3 * CHUNK, 1 << 30};
    sqlite3_file *file = open_file(SQLITE_OPEN_TEMP_JOURNAL, limits[random_below(&random, 6)]);
    int size = 0;
    memset(array, 0, ROOM);
    for (int step = 0; step < 60; step++) {
      int offset, amount;
      if (random_below(&random, 2)) { /* near a chunk's edge */
        offset = (int)random_below(&random, 7) * CHUNK + (int)random_below(&random, 5);
        amount = (int)random_below(&random, 3) * CHUNK / 2 + (int)random_below(&random, 5);
      } else {
        offset = (int)random_below(&random, ROOM);
        amount = (int)random_below(&random, 3 * CHUNK);
      }
      if (offset == 0 && amount == 1)
        amount = 2;
      if (amount > ROOM - offset)
        amount = ROOM - offset;
      switch (random_below(&random, 8)) {
      case 0:
      case 1:
      case 2:
        for (int i = 0; i < amount; i++)
          bytes[i] = (unsigned char)random_next(&random) | 1;
        CHECK_INT(SQLITE_OK, file->pMethods->xWrite(file, bytes, amount, offset));
        memcpy(array + offset, bytes, (size_t)amount);
        /* A write of nothing may or may not grow the file; none is ever made. */
        if (amount == 0)
          CHECK_INT(SQLITE_OK, file->pMethods->xTruncate(file, size));
        else if (offset + amount > size)
          size = offset + amount;
        break;
      case 3: {
        /* Not 1: the unix VFS reports a file of one byte as empty. */
        int to = random_below(&random, 3) && offset != 1 ? offset : 0;
        CHECK_INT(SQLITE_OK, file->pMethods->xTruncate(file, to));
        if (to < size)
          memset(array + to, 0, (size_t)(size - to));
        size = to;
        break;
      }
      default: {
        memset(got, 0xee, ROOM);
        int rc = file->pMethods->xRead(file, got, amount, offset);
        CHECK_INT(offset + amount <= size || amount == 0 ? SQLITE_OK : SQLITE_IOERR_SHORT_READ,
                  rc);
        CHECK(!memcmp(got, array + offset, (size_t)amount));
        CHECK(amount == ROOM || got[amount] == 0xee);
        break;
      }
      }
      CHECK_INT(size, size_of(file));
    }
    close_file(file);
  }
  CHECK_INT(0, os_open_files);
  free(array);
  free(got);
  free(bytes);
}

/* The n-th allocation, open or write fails, for every n: an honest code, the old content intact,
** nothing lost, and the next try works. */
static void a_failure_at_any_point_leaves_the_file_as_it_was(int of_memory) {
  for (int n = 1;; n++) {
    long long blocks_before = blocks;
    unsigned char bytes[3 * CHUNK], got[3 * CHUNK];
    int failures = 0;
    memset(bytes, 'q', sizeof bytes);
    sqlite3_file *file = open_file(SQLITE_OPEN_MAIN_JOURNAL, 20 * CHUNK);
    memory_failed = 0;
    if (of_memory)
      memory_countdown = n;
    else
      os_countdown = n;
    sqlite3_int64 size = 0;
    for (int i = 0; i < 10; i++) {
      int rc = file->pMethods->xWrite(file, bytes, sizeof bytes, size);
      if (rc != SQLITE_OK) {
        failures++;
        CHECK(of_memory ? rc == SQLITE_IOERR_NOMEM
                        : rc == SQLITE_FULL || rc == SQLITE_CANTOPEN);
        CHECK_INT(size, size_of(file));
        rc = file->pMethods->xWrite(file, bytes, sizeof bytes, size);
      }
      CHECK_INT(SQLITE_OK, rc);
      size += (sqlite3_int64)sizeof bytes;
    }
    memory_countdown = os_countdown = 0;
    CHECK_INT(size, size_of(file));
    for (int i = 0; i < 10; i++) {
      CHECK_INT(SQLITE_OK,
                file->pMethods->xRead(file, got, sizeof got, i * (sqlite3_int64)sizeof got));
      CHECK(!memcmp(got, bytes, sizeof got));
    }
    close_file(file);
    CHECK_INT(blocks_before, blocks);
    CHECK_INT(0, os_open_files);
    if (!failures || atomic_load(&check_failures)) {
      CHECK(n > 10); /* it did fail before, often */
      break;
    }
  }
}

/* SQLite over a VFS whose journals and temporary files are ours, its database in the real one. */

static int t_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
  (void)vfs;
  if (flags & SQLITE_OPEN_MAIN_DB)
    return real_os->xOpen(real_os, name, file, flags, out);
  return gsq_local_open(os, file, flags, 20000);
}
static int t_delete(sqlite3_vfs *vfs, const char *name, int sync) {
  (void)vfs;
  (void)name;
  (void)sync;
  return SQLITE_OK;
}
static int t_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
  if (strstr(name, "-journal") || strstr(name, "-wal"))
    return *out = 0;
  return real_os->xAccess(vfs, name, flags, out);
}

static long long value_of(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  CHECK_INT(SQLITE_OK, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
  CHECK_INT(SQLITE_ROW, sqlite3_step(statement));
  long long value = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return value;
}

static void run(sqlite3 *db, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
    fprintf(stderr, "%s: %s\n", sql, message);
    abort();
  }
}

static void sqlite_rolls_back_and_sorts_with_it(const char *journal_mode) {
  sqlite3_vfs vfs = *real_os;
  vfs.zName = "local-file-test";
  vfs.pNext = NULL;
  vfs.szOsFile =
      gsq_local_file_size(os) > real_os->szOsFile ? gsq_local_file_size(os) : real_os->szOsFile;
  vfs.xOpen = t_open;
  vfs.xDelete = t_delete;
  vfs.xAccess = t_access;
  CHECK_INT(SQLITE_OK, sqlite3_vfs_register(&vfs, 0));
  char path[512], sql[600];
  const char *folder = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/gsq-local-XXXXXX", folder ? folder : "/tmp");
  int descriptor = mkstemp(path);
  CHECK(descriptor >= 0);
  FILE *stream = fdopen(descriptor, "w");
  fclose(stream);

  sqlite3 *db = NULL;
  CHECK_INT(SQLITE_OK, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "local-file-test"));
  snprintf(sql, sizeof sql,
           "PRAGMA journal_mode=%s; PRAGMA cache_size=5; PRAGMA temp_store=file;",
           journal_mode);
  run(db, sql);
  run(db, "CREATE TABLE t(a, b); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c"
          " WHERE n<2000) INSERT INTO t SELECT n, hex(zeroblob(50)) FROM c");
  for (int i = 0; i < 3; i++) {
    run(db, "BEGIN; UPDATE t SET a=a+1, b=b||'x'");
    run(db, "SAVEPOINT s; UPDATE t SET a=a+1; ROLLBACK TO s; RELEASE s");
    run(db, "ROLLBACK");
    CHECK_INT(2000 * 2001 / 2, value_of(db, "SELECT sum(a) FROM t"));
  }
  run(db, "CREATE TEMP TABLE u AS SELECT * FROM t; CREATE INDEX temp.ui ON u(b, a)");
  CHECK_INT(2000, value_of(db, "SELECT count(*) FROM (SELECT * FROM u ORDER BY b, a DESC)"));
  run(db, "VACUUM");
  run(db, "UPDATE t SET a=a+1");
  CHECK_INT(2000 * 2001 / 2 + 2000, value_of(db, "SELECT sum(a) FROM t"));
  CHECK_INT(1, value_of(db, "SELECT integrity_check='ok' FROM pragma_integrity_check"));
  CHECK_INT(SQLITE_OK, sqlite3_close(db));
  CHECK_INT(SQLITE_OK, sqlite3_vfs_unregister(&vfs));
  CHECK_INT(0, os_open_files);
  remove(path);
}

/* The table that the extension would be given: the only way to it is to be an extension. */
static int take_table(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  (void)db;
  (void)message;
  sqlite3_api = api;
  return SQLITE_OK;
}

static void find_table(void) {
  sqlite3 *db = NULL;
  sqlite3_auto_extension((void (*)(void))take_table);
  CHECK_INT(SQLITE_OK, sqlite3_open(":memory:", &db));
  sqlite3_close(db);
  sqlite3_reset_auto_extension();
  CHECK(sqlite3_api);
}

#define RUN(test) (CASE(#test), test)

int main(void) {
  CHECK_INT(SQLITE_OK, sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory));
  sqlite3_mem_methods faulty = real_memory;
  faulty.xMalloc = faulty_malloc;
  faulty.xFree = faulty_free;
  faulty.xRealloc = faulty_realloc;
  CHECK_INT(SQLITE_OK, sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty));
  CHECK_INT(SQLITE_OK, sqlite3_initialize());
  find_table();
  real_os = sqlite3_vfs_find(NULL);
  wrapped = *real_os;
  wrapped.szOsFile += (int)sizeof(wrapped_file);
  wrapped.xOpen = w_open;
  os = &wrapped;

  RUN(a_new_file_is_empty_and_its_reads_are_short)();
  RUN(it_spills_at_the_limit_and_comes_back_when_emptied)();
  RUN(random_operations_agree_with_an_array)();
  RUN(a_failure_at_any_point_leaves_the_file_as_it_was)(1);
  RUN(a_failure_at_any_point_leaves_the_file_as_it_was)(0);
  RUN(sqlite_rolls_back_and_sorts_with_it)("delete");
  RUN(sqlite_rolls_back_and_sorts_with_it)("truncate");
  RUN(sqlite_rolls_back_and_sorts_with_it)("persist");
  sqlite3_shutdown();
  return check_done();
}
