/*
** The file controls of batch-atomic writing, sent to the file as a SQLite that has them
** compiled in sends them: BEGIN, writes, COMMIT or ROLLBACK, and then SYNC. The sqlite3 of distributions
** has not, so no SQL gets here.
*/
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define PAGE 4096

static sqlite3_file *file_of(sqlite3 *db) {
  sqlite3_file *file = NULL;
  CHECK_INT(SQLITE_OK, sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file));
  return file;
}

static int control(sqlite3_file *file, int op) {
  return file->pMethods->xFileControl(file, op, NULL);
}

/* A database with a few pages, and a connection in a write transaction: RESERVED and EXCLUSIVE,
** as at the time of a commit. */
static sqlite3 *begin(const char *uri, sqlite3_file **file) {
  fake_reset();
  sqlite3 *db = sql_open(uri);
  SQL_OK(db, "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, zeroblob(40000))");
  SQL_OK(db, "BEGIN EXCLUSIVE");
  *file = file_of(db);
  CHECK(((*file)->pMethods->xDeviceCharacteristics(*file) & SQLITE_IOCAP_BATCH_ATOMIC) != 0);
  CHECK_INT(2, fake_head("main.db"));
  return db;
}

/* Writes the last overflow page, or one beyond: but for the number of the next page, which is 0,
** its bytes are the blob's. */
static void write_page(sqlite3_file *file, uint32_t page, int value) {
  uint8_t bytes[PAGE];
  memset(bytes, value, sizeof bytes);
  memset(bytes, 0, 4);
  CHECK_INT(SQLITE_OK, file->pMethods->xWrite(file, bytes, PAGE, (page - 1) * PAGE));
}

static int byte_of(sqlite3_file *file, uint32_t page) {
  uint8_t byte = 0;
  CHECK_INT(SQLITE_OK, file->pMethods->xRead(file, &byte, 1, (page - 1) * PAGE + 100));
  return byte;
}

/* Whether the blob, as another connection sees it, has this byte. */
static int blob_has(int value) {
  char sql[100];
  snprintf(sql, sizeof sql, "SELECT hex(b) GLOB '*%02X%02X%02X*' FROM t", value, value, value);
  sqlite3 *db = sql_open("main.db");
  const char *found = sql_get(db, sql);
  sqlite3_close(db);
  return CHECK(found[0] != 'e') && found[0] == '1';
}

static int pages_of(sqlite3_file *file) {
  sqlite3_int64 size = 0;
  CHECK_INT(SQLITE_OK, file->pMethods->xFileSize(file, &size));
  return (int)(size / PAGE);
}

static void a_batch_is_committed_by_its_sync(void) {
  CASE("BEGIN, writes, COMMIT: seen by the writer alone, until SYNC commits them");
  sqlite3_file *file;
  sqlite3 *db = begin("main.db", &file);
  const uint32_t last = (uint32_t)pages_of(file);
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_BEGIN_ATOMIC_WRITE));
  write_page(file, last, 7);
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_COMMIT_ATOMIC_WRITE));
  CHECK_INT(2, fake_head("main.db"));
  CHECK_INT(7, byte_of(file, last));
  CHECK_INT(0, blob_has(7));
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
  CHECK_INT(3, fake_head("main.db"));
  CHECK_INT(1, fake_last_commit_pages());
  CHECK_INT(1, blob_has(7));
  /* A second SYNC has nothing to say, and there is no batch to end any more. */
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
  CHECK_INT(3, fake_head("main.db"));
  CHECK_INT(SQLITE_IOERR_COMMIT_ATOMIC, control(file, SQLITE_FCNTL_COMMIT_ATOMIC_WRITE));
  SQL_OK(db, "ROLLBACK");
  CHECK_INT(3, fake_head("main.db"));
  sqlite3_close(db);
}

static void a_batch_rolled_back_leaves_nothing(void) {
  CASE("BEGIN, writes, ROLLBACK: nothing is left, and the same may be written again");
  sqlite3_file *file;
  sqlite3 *db = begin("main.db", &file);
  const uint32_t last = (uint32_t)pages_of(file);
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_BEGIN_ATOMIC_WRITE));
  write_page(file, last, 7);
  write_page(file, last + 2, 7);
  CHECK_INT(last + 2, pages_of(file));
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_ROLLBACK_ATOMIC_WRITE));
  CHECK_INT(last, pages_of(file));
  CHECK_INT(0, byte_of(file, last));
  CHECK_INT(SQLITE_IOERR_COMMIT_ATOMIC, control(file, SQLITE_FCNTL_COMMIT_ATOMIC_WRITE));
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
  CHECK_INT(2, fake_head("main.db"));
  /* Without a batch, by the journal, as SQLite then does. */
  write_page(file, last, 9);
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
  CHECK_INT(3, fake_head("main.db"));
  SQL_OK(db, "ROLLBACK");
  CHECK_INT(1, blob_has(9));
  CHECK_INT(0, blob_has(7));
  sqlite3_close(db);
}

static void a_batch_begins_on_an_empty_buffer_only(void) {
  CASE("BEGIN after writes is refused, so that SQLite takes its journal; they stay");
  sqlite3_file *file;
  sqlite3 *db = begin("main.db", &file);
  const uint32_t last = (uint32_t)pages_of(file);
  CHECK_INT(SQLITE_IOERR_COMMIT_ATOMIC, control(file, SQLITE_FCNTL_COMMIT_ATOMIC_WRITE));
  write_page(file, last, 7);
  CHECK_INT(SQLITE_IOERR_BEGIN_ATOMIC, control(file, SQLITE_FCNTL_BEGIN_ATOMIC_WRITE));
  CHECK_INT(SQLITE_IOERR_COMMIT_ATOMIC, control(file, SQLITE_FCNTL_COMMIT_ATOMIC_WRITE));
  CHECK_INT(7, byte_of(file, last));
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
  CHECK_INT(3, fake_head("main.db"));
  /* A transaction later, a batch may begin; and one that ends with its lock is no more. */
  SQL_OK(db, "ROLLBACK; BEGIN EXCLUSIVE");
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_BEGIN_ATOMIC_WRITE));
  write_page(file, last, 8);
  SQL_OK(db, "ROLLBACK; BEGIN EXCLUSIVE");
  CHECK_INT(SQLITE_IOERR_COMMIT_ATOMIC, control(file, SQLITE_FCNTL_COMMIT_ATOMIC_WRITE));
  CHECK_INT(7, byte_of(file, last));
  SQL_OK(db, "ROLLBACK");
  CHECK_INT(3, fake_head("main.db"));
  sqlite3_close(db);
}

static void a_large_batch_is_staged_and_dropped(void) {
  CASE("a batch that is staged: ROLLBACK drops the stage, SYNC commits it");
  for (int commit = 0; commit < 2; commit++) {
    sqlite3_file *file;
    sqlite3 *db = begin("file:main.db?buffer_mb=1", &file);
    const uint32_t last = (uint32_t)pages_of(file);
    CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_BEGIN_ATOMIC_WRITE));
    for (uint32_t i = 0; i < 600; i++) write_page(file, last + i, 7);
    CHECK_INT(1, fake_stages());
    if (commit) {
      CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_COMMIT_ATOMIC_WRITE));
      CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
      CHECK_INT(3, fake_head("main.db"));
    } else {
      CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_ROLLBACK_ATOMIC_WRITE));
      CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
      CHECK_INT(2, fake_head("main.db"));
      CHECK_INT(last, pages_of(file));
    }
    CHECK_INT(0, fake_stages());
    CHECK_INT(commit ? 7 : 0, byte_of(file, last));
    SQL_OK(db, "ROLLBACK");
    sqlite3_close(db);
  }
}

static void a_batch_in_which_a_write_fails_can_be_written_again(void) {
  CASE("a write fails within a batch: after ROLLBACK it may be written again, and commits");
  sqlite3_file *file;
  sqlite3 *db = begin("file:main.db?buffer_mb=1", &file);
  const uint32_t last = (uint32_t)pages_of(file);
  uint8_t bytes[PAGE] = {0};
  memset(bytes + 4, 7, sizeof bytes - 4);
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_BEGIN_ATOMIC_WRITE));
  fake_set_fault((fake_fault){.method = FAKE_STAGE_PAGES,
                              .kind = FAKE_REFUSE,
                              .code = GSQ_RESOURCE_EXHAUSTED,
                              .reason = "QUOTA"});
  int rc = SQLITE_OK;
  for (uint32_t i = 0; i < 600 && rc == SQLITE_OK; i++) {
    rc = file->pMethods->xWrite(file, bytes, PAGE, (sqlite3_int64)(last + i - 1) * PAGE);
  }
  CHECK_INT(SQLITE_FULL, rc);
  CHECK_INT(1, fake_faults());
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_ROLLBACK_ATOMIC_WRITE));
  CHECK_INT(last, pages_of(file));
  write_page(file, last, 9);
  CHECK_INT(SQLITE_OK, control(file, SQLITE_FCNTL_SYNC));
  CHECK_INT(3, fake_head("main.db"));
  SQL_OK(db, "ROLLBACK");
  CHECK_INT(1, blob_has(9));
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  a_batch_is_committed_by_its_sync();
  a_batch_rolled_back_leaves_nothing();
  a_batch_begins_on_an_empty_buffer_only();
  a_large_batch_is_staged_and_dropped();
  a_batch_in_which_a_write_fails_can_be_written_again();
  return check_done();
}
