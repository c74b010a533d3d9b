/*
** Closing the last connection ends the background thread, wherever that is at the moment. This
** program's own read() holds it up where it takes what it was woken with.
*/
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define HELD_UP_MS 200 /* enough for the closing one to come to where it waits for the thread */
#define GIVE_UP_SECONDS 30

static atomic_int hold_up, is_held_up;

ssize_t read(int fd, void *buffer, size_t size) {
  if (atomic_exchange(&hold_up, 0)) {
    atomic_store(&is_held_up, 1);
    nanosleep(&(struct timespec){.tv_nsec = HELD_UP_MS * 1000000}, NULL);
  }
  return syscall(SYS_read, fd, buffer, size);
}

static void closing_while_it_begins(void) {
  CASE("closed before the background thread has first slept");
  fake_reset();
  atomic_store(&hold_up, 1);
  sqlite3 *db = sql_open("file:main.db");
  CHECK_STR("0", sql_get(db, "SELECT count(*) FROM sqlite_schema"));
  AWAIT(atomic_load(&is_held_up));
  CHECK_INT(SQLITE_OK, sqlite3_close(db));
  CHECK_INT(0, fake_sessions());
}

int main(void) {
  alarm(GIVE_UP_SECONDS);
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  closing_while_it_begins();
  return check_done();
}
