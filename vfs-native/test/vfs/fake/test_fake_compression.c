/* When pages are asked for compressed. */
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define MIB (1 << 20)

/* Whether a read that misses the cache accepts compressed pages. */
static int accepts(const char *uri) {
  sqlite3 *db = sql_open(uri);
  fake_reset_counts();
  CHECK_STR("1", sql_get(db, "SELECT count(*) FROM t"));
  CHECK(fake_calls(FAKE_READ_PAGES) > 0);
  sqlite3_close(db);
  return fake_last_accepts_lz4();
}

static void make(const char *name) {
  sqlite3 *db = sql_open(name);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3_close(db);
}

static void start(void) {
  fake_reset();
  make("main.db");
}

static void the_setting_is_obeyed(void) {
  CASE("compression=lz4 asks for it, compression=off does not, whatever the network is like");
  start();
  for (int64_t bandwidth = 0; bandwidth <= MIB; bandwidth += MIB) {
    fake_set_bandwidth(bandwidth);
    CHECK(accepts("file:main.db?compression=lz4"));
    CHECK(!accepts("file:main.db?compression=off"));
  }

  CASE("a server that does not say that it can is not asked");
  start();
  fake_set_lz4(0);
  CHECK(!accepts("file:main.db?compression=lz4"));
}

static void by_itself_it_looks_at_the_network(void) {
  CASE("by default, it is asked for where answers were seen to come slowly");
  start();
  CHECK(!accepts("main.db"));
  fake_set_bandwidth(10 * MIB);
  CHECK(accepts("main.db"));
  CHECK(accepts("file:main.db?compression=auto"));
  fake_set_bandwidth(1000LL * MIB);
  CHECK(!accepts("main.db"));
}

static void it_does_not_waver(void) {
  CASE("a network that is neither slow nor fast changes nothing");
  static const struct {
    const char *name;
    int64_t bandwidth;
    int accepted;
  } reads[] = {
      {"a", 80LL * MIB, 0}, {"b", 10LL * MIB, 1}, {"c", 80LL * MIB, 1}, {"d", 1000LL * MIB, 0},
      {"e", 80LL * MIB, 0}, {"f", 10LL * MIB, 1}, {"g", 0, 0}};
  start();
  sqlite3 *same_server = sql_open("main.db");
  for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
    make(reads[i].name);
    fake_set_bandwidth(reads[i].bandwidth);
    CHECK_INT(reads[i].accepted, accepts(reads[i].name));
  }
  sqlite3_close(same_server);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  the_setting_is_obeyed();
  by_itself_it_looks_at_the_network();
  it_does_not_waver();
  return check_done();
}
