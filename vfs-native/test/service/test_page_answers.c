/* What a server may answer, and what it may not: each decoder of the page service. */
#include "service/page_answers.h"

#include <stdlib.h>

#include "check.h"
#include "service/build.h"

static builder b;
static gsq_error error;

static void start(void) {
  b.size = 0;
  memset(&error, 0, sizeof error);
}

/* No decoder may read beyond the end: each gets the message in memory of just its size. */
static uint8_t *exact(size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  memcpy(copy, b.bytes, size);
  return copy;
}

/* ---- sessions ---- */

static int session(gsq_session_info *out) {
  uint8_t *data = exact(b.size);
  int code = gsq_decode_open_session(data, b.size, out, &error);
  free(data);
  return code;
}

static void test_open_session(void) {
  CASE("OpenSession");
  gsq_session_info info;
  start();
  b_uint(&b, 1, 10000);
  b_bytes(&b, 2, "\x08\x01\x18\x01\x30\x01", 6); /* commit_group, time_travel, lz4 */
  b_uint(&b, 3, 4 << 20);
  b_bytes(&b, 4, "server\n1", 8);
  b_fixed64(&b, 5, UINT64_MAX - 1);
  b_bytes(&b, 99, "unknown", 7);
  CHECK_INT(GSQ_OK, session(&info));
  CHECK_INT(10000, info.ttl_ms);
  CHECK_INT(4 << 20, info.max_message_bytes);
  CHECK(info.commit_group && !info.watch && info.time_travel && !info.fork && !info.prefetch);
  CHECK(info.lz4);
  CHECK_STR("server?1", info.server_name);
  CHECK(info.incarnation == UINT64_MAX - 1);

  start();
  b_uint(&b, 1, 10000);
  static char longer[1000];
  memset(longer, 'n', sizeof longer);
  b_bytes(&b, 4, longer, sizeof longer);
  CHECK_INT(GSQ_OK, session(&info));
  CHECK_INT(4 << 20, info.max_message_bytes); /* what the schema says if it does not */
  CHECK_INT(sizeof info.server_name - 1, strlen(info.server_name));
  CHECK(info.incarnation == 0 && !info.lz4);

  start(); /* no ttl */
  CHECK_INT(GSQ_BAD_ANSWER, session(&info));
  b_uint(&b, 1, 10000);
  b_uint(&b, 3, 1000); /* too small to be of use */
  CHECK_INT(GSQ_BAD_ANSWER, session(&info));
  start();
  b_uint(&b, 1, 10000);
  b_uint(&b, 3, UINT32_MAX);
  CHECK_INT(GSQ_OK, session(&info));
  CHECK(info.max_message_bytes <= 64 << 20);
  start();
  b_bytes(&b, 1, "x", 1); /* another type */
  CHECK_INT(GSQ_BAD_ANSWER, session(&info));
}

static gsq_kept_alive kept;

static int keep_alive(gsq_id *lost, size_t room, size_t *count) {
  uint8_t *data = exact(b.size);
  int code = gsq_decode_keep_alive(data, b.size, &kept, lost, room, count, &error);
  free(data);
  if (code == GSQ_OK) CHECK_INT(10000, kept.ttl_ms);
  return code;
}

static void test_keep_alive(void) {
  CASE("KeepAlive");
  gsq_id lost[2];
  size_t count;
  start();
  b_uint(&b, 1, 10000);
  CHECK_INT(GSQ_OK, keep_alive(lost, 2, &count));
  CHECK_INT(0, count);
  CHECK(kept.incarnation == 0); /* of a server that does not say */
  b_fixed64(&b, 3, UINT64_MAX);
  b_id(&b, 2, 'a');
  b_id(&b, 2, 'b');
  CHECK_INT(GSQ_OK, keep_alive(lost, 2, &count));
  CHECK_INT(2, count);
  CHECK(kept.incarnation == UINT64_MAX);
  CHECK(lost[0].bytes[0] == 'a' && lost[1].bytes[15] == 'b');
  CHECK_INT(GSQ_BAD_ANSWER, keep_alive(lost, 1, &count));
  CHECK_INT(0, count);
  start();
  b_uint(&b, 1, 10000);
  b_bytes(&b, 2, "short", 5);
  CHECK_INT(GSQ_BAD_ANSWER, keep_alive(lost, 2, &count));
}

/* ---- databases ---- */

typedef struct pages {
  int count, asked, zeros, refuse;
  uint32_t last;
  uint64_t last_version;
} pages;

static int on_page(void *arg, uint32_t number, uint64_t version, int asked, const uint8_t *data,
                   uint32_t size, gsq_error *at) {
  pages *to = arg;
  to->count++;
  to->asked += asked;
  to->zeros += size == 0;
  to->last = number;
  to->last_version = version;
  volatile uint8_t sum = 0; /* all of it can be read */
  for (uint32_t i = 0; i < size; i++) sum = (uint8_t)(sum + data[i]);
  return to->refuse ? gsq_error_set(at, to->refuse, "not wanted") : 0;
}

static void open_answer(uint64_t version, uint32_t page_size, uint32_t page_count,
                        uint64_t oldest, uint64_t head) {
  start();
  b_id(&b, 1, 'd');
  b_snapshot(&b, 2, version, page_size, page_count);
  b_uint(&b, 3, oldest);
  b_uint(&b, 5, head);
}

static int open_database(const gsq_open_request *request, gsq_open_answer *out, pages *to) {
  memset(to, 0, sizeof *to);
  uint8_t *data = exact(b.size);
  int code = gsq_decode_open_database(data, b.size, request, out, on_page, to, &error);
  free(data);
  return code;
}

static void test_open_database(void) {
  CASE("OpenDatabase");
  gsq_open_request plain = {.name = "main.db"}, credit = {.prefetch_credit_bytes = 1024};
  gsq_open_request at = {.at_version_given = 1, .at_version = 5},
                   at_time = {.at_time_given = 1};
  gsq_open_answer out;
  pages got;
  open_answer(0, 0, 0, 0, 0);
  CHECK_INT(GSQ_OK, open_database(&plain, &out, &got));
  CHECK_INT(0, out.snapshot.version);
  CHECK_INT('d', out.database.bytes[7]);

  open_answer(7, 512, 3, 2, 7);
  b_page(&b, 4, 1, 6, 512, 'p', 0);
  CHECK_INT(GSQ_OK, open_database(&plain, &out, &got));
  CHECK_INT(1, got.count);
  CHECK_INT(1, got.asked);
  CHECK(out.snapshot.version == 7 && out.oldest_version == 2 && out.head_version == 7);
  b_page(&b, 4, 2, 6, 512, 'p', 0);
  b_page(&b, 4, 3, 7, 0, 0, 0);
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  CHECK_INT(GSQ_OK, open_database(&credit, &out, &got));
  CHECK(got.count == 3 && got.asked == 1 && got.zeros == 1);
  b_page(&b, 4, 2, 6, 512, 'p', 0); /* the credit is used up */
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&credit, &out, &got));

  open_answer(7, 512, 3, 2, 7); /* without page 1 */
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));

  static const struct {
    const char *what;
    uint64_t number, version;
    uint32_t size;
    uint64_t damage;
    int code;
  } bad[] = {
      {"page 0", 0, 7, 512, 0, GSQ_BAD_ANSWER},
      {"beyond the end", 4, 7, 512, 0, GSQ_BAD_ANSWER},
      {"number of 33 bits", UINT64_C(1) << 32 | 1, 7, 512, 0, GSQ_BAD_ANSWER},
      {"too new", 1, 8, 512, 0, GSQ_BAD_ANSWER},
      {"too large", 1, 7, 1024, 0, GSQ_BAD_ANSWER},
      {"too small", 1, 7, 511, 0, GSQ_BAD_ANSWER},
      {"damaged", 1, 7, 512, 1, GSQ_DATA_LOSS},
      {"zeros with a checksum", 1, 7, 0, 1, GSQ_DATA_LOSS},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    open_answer(7, 512, 3, 2, 7);
    b_page(&b, 4, bad[i].number, bad[i].version, bad[i].size, 'p', bad[i].damage);
    if (!CHECK_INT(bad[i].code, open_database(&credit, &out, &got))) CASE(bad[i].what);
    CHECK_INT(0, got.count);
  }

  static const uint32_t sizes[][2] = {{511, 1},    {513, 1}, {256, 1},
                                      {131072, 1}, {0, 1},   {UINT32_MAX, 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    open_answer(7, sizes[i][0], sizes[i][1], 2, 7);
    b_page(&b, 4, 1, 7, 0, 0, 0);
    CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  }
  open_answer(0, 512, 3, 0,
              0); /* a fork has content at version 0, and pages inherited from it */
  b_page(&b, 4, 1, 0, 512, 'p', 0);
  CHECK_INT(GSQ_OK, open_database(&plain, &out, &got));
  CHECK(out.snapshot.version == 0 && out.snapshot.page_size == 512 &&
        out.snapshot.page_count == 3 && got.count == 1 && got.last_version == 0);
  open_answer(7, 512, 3, 0, 7);
  b_page(&b, 4, 1, 0, 512, 'p', 0);
  CHECK_INT(GSQ_OK, open_database(&plain, &out, &got));
  CHECK(got.count == 1 && got.last_version == 0);
  open_answer(0, 512, 3, 0, 0); /* nor is it excused from the rest */
  b_page(&b, 4, 1, 1, 512, 'p', 0);
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  open_answer(0, 0, 3, 0, 0);
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  open_answer(8, 0, 0, 2, 7); /* above the head */
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  open_answer(1, 0, 0, 2, 7); /* not kept any more */
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  open_answer(5, 0, 0, 2, 7); /* not the head, which was wanted */
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  CHECK_INT(GSQ_OK, open_database(&at, &out, &got));
  CHECK_INT(GSQ_OK, open_database(&at_time, &out, &got));
  open_answer(6, 0, 0, 2, 7);
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&at, &out, &got));

  start(); /* ids of other lengths, and none */
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  b_bytes(&b, 1, "0123456789abcde", 15);
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
  start();
  b_bytes(&b, 1, "0123456789abcdefg", 17);
  CHECK_INT(GSQ_BAD_ANSWER, open_database(&plain, &out, &got));
}

static uint32_t delegated_ms; /* by the last one */
static uint64_t have_mark;    /* in the next ones */

static int refresh(uint64_t have, gsq_snapshot *head, gsq_changes *changes) {
  uint8_t *data = exact(b.size);
  const gsq_refresh_request request = {.have = {have, have_mark}, .read_delegation_ms = 100};
  gsq_refresh_answer answer;
  int code = gsq_decode_refresh(data, b.size, &request, &answer, &error);
  *head = answer.head;
  *changes = answer.changes;
  delegated_ms = answer.read_delegation_ms;
  free(data);
  return code;
}

static void test_refresh(void) {
  CASE("Refresh");
  gsq_snapshot head;
  gsq_changes changes;
  static const uint32_t good[] = {1, 2, 300, UINT32_MAX};
  for (int packed = 0; packed < 2; packed++) {
    start();
    b_snapshot(&b, 1, 9, 4096, 10);
    b_changes(&b, 2, 0, packed, good, 4);
    CHECK_INT(GSQ_OK, refresh(7, &head, &changes));
    CHECK(head.version == 9 && head.page_size == 4096 && head.page_count == 10);
    CHECK(!changes.all && changes.count == 4 && memcmp(changes.pages, good, sizeof good) == 0);
    gsq_changes_free(&changes);
    CHECK_INT(GSQ_OK, refresh(10, &head, &changes)); /* it went back */
    CHECK(changes.other_history && changes.all && changes.count == 0 && !changes.pages);
  }
  start();
  b_snapshot(&b, 1, 9, 4096, 10);
  b_changes(&b, 2, 1, 1, good, 4);
  CHECK_INT(GSQ_OK, refresh(7, &head, &changes));
  CHECK(changes.all && changes.count == 0 && !changes.pages);
  CHECK_INT(0, delegated_ms);
  b_uint(&b, 3, 50);
  CHECK_INT(GSQ_OK, refresh(7, &head, &changes));
  CHECK_INT(50, delegated_ms);
  b_uint(&b, 3, 5000); /* more than was asked for */
  CHECK_INT(GSQ_OK, refresh(7, &head, &changes));
  CHECK_INT(100, delegated_ms);

  start(); /* nothing said about what changed */
  b_snapshot(&b, 1, 9, 4096, 10);
  CHECK_INT(GSQ_OK, refresh(9, &head, &changes));
  CHECK(!changes.all && changes.count == 0);
  CHECK_INT(GSQ_OK, refresh(8, &head, &changes));
  CHECK(changes.all);

  static const uint32_t bad[][2] = {{2, 1}, {3, 3}, {0, 1}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    for (int packed = 0; packed < 2; packed++) {
      start();
      b_snapshot(&b, 1, 9, 4096, 10);
      b_changes(&b, 2, 0, packed, bad[i], 2);
      CHECK_INT(GSQ_BAD_ANSWER, refresh(7, &head, &changes));
      CHECK(!changes.pages);
    }
  }
  start(); /* a number of 33 bits, half a number, changes twice */
  b_snapshot(&b, 1, 9, 4096, 10);
  b_bytes(&b, 2, "\x12\x05\x80\x80\x80\x80\x10", 7);
  CHECK_INT(GSQ_BAD_ANSWER, refresh(7, &head, &changes));
  start();
  b_snapshot(&b, 1, 9, 4096, 10);
  b_bytes(&b, 2, "\x12\x01\x80", 3);
  CHECK_INT(GSQ_BAD_ANSWER, refresh(7, &head, &changes));
  start();
  b_snapshot(&b, 1, 9, 4096, 10);
  b_changes(&b, 2, 0, 1, good, 4);
  b_changes(&b, 2, 0, 1, good, 4);
  CHECK_INT(GSQ_BAD_ANSWER, refresh(7, &head, &changes));
}

/* The fields of a snapshot, and its mark. */
static void marked_snapshot(uint32_t number, uint64_t version, uint64_t mark) {
  builder snapshot = {0};
  b_uint(&snapshot, 1, version);
  b_uint(&snapshot, 2, 512);
  b_uint(&snapshot, 3, 1);
  b_fixed64(&snapshot, 4, mark);
  b_bytes(&b, number, snapshot.bytes, snapshot.size);
}

static void test_histories(void) {
  CASE("a head with another mark, or below what there was, is of another history");
  static const struct {
    uint64_t have, have_mark, head, head_mark;
    int other;
  } cases[] = {
      {9, 5, 9, 5, 0}, {9, 5, 9, 6, 1}, {9, 0, 9, 6, 0}, {9, 5, 9, 0, 0},
      {8, 5, 9, 6, 0}, {9, 5, 8, 5, 1}, {9, 0, 8, 0, 1},
  };
  gsq_snapshot head;
  gsq_changes changes;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    start();
    marked_snapshot(1, cases[i].head, cases[i].head_mark);
    have_mark = cases[i].have_mark;
    CHECK_INT(GSQ_OK, refresh(cases[i].have, &head, &changes));
    CHECK_INT(cases[i].other, changes.other_history);
    CHECK_INT((long long)cases[i].head_mark, (long long)head.mark);
    if (cases[i].other) CHECK(changes.all);
  }
  have_mark = 0;

  CASE("or if the server says so");
  start();
  b_snapshot(&b, 1, 9, 4096, 10);
  b_bytes(&b, 2, "\x18\x01\x12\x01\x07", 5);
  CHECK_INT(GSQ_OK, refresh(7, &head, &changes));
  CHECK(changes.other_history && changes.all && changes.count == 0 && !changes.pages);
  start();
  b_snapshot(&b, 1, 9, 4096, 10);
  b_bytes(&b, 2, "\x1a\x01\x07", 3); /* of another type */
  CHECK_INT(GSQ_BAD_ANSWER, refresh(7, &head, &changes));
}

static int lease(uint64_t have_version, int any, gsq_lease_answer *out) {
  uint8_t *data = exact(b.size);
  const gsq_have have = {have_version, have_mark};
  int code = gsq_decode_lease(data, b.size, &have, any, out, &error);
  free(data);
  if (code != GSQ_OK) CHECK(!out->changes.pages);
  return code;
}

static void lease_answer(uint64_t outcome, uint64_t epoch, uint64_t version) {
  start();
  b_uint(&b, 1, outcome);
  b_uint(&b, 2, epoch);
  b_snapshot(&b, 3, version, version ? 512 : 0, version ? 1 : 0);
}

static void test_lease(void) {
  CASE("AcquireLease");
  gsq_lease_answer out;
  static const uint32_t changed[] = {1, 4};
  lease_answer(1, 3, 7);
  CHECK_INT(GSQ_OK, lease(7, 0, &out));
  CHECK(out.outcome == GSQ_LEASE_GRANTED && out.epoch == 3 && out.head.version == 7);
  CHECK(!out.changes.all);
  CHECK_INT(GSQ_BAD_ANSWER, lease(6, 0, &out));
  CHECK_INT(GSQ_BAD_ANSWER, lease(8, 0, &out));
  CHECK_INT(GSQ_OK, lease(8, 1, &out)); /* it went back */
  CHECK(out.changes.other_history && out.changes.all);
  CHECK_INT(GSQ_OK, lease(6, 1, &out));
  CHECK(out.changes.all); /* it does not say what changed */
  b_changes(&b, 4, 0, 1, changed, 2);
  CHECK_INT(GSQ_OK, lease(6, 1, &out));
  CHECK(!out.changes.all && out.changes.count == 2);
  gsq_changes_free(&out.changes);
  lease_answer(1, 0, 7);
  CHECK_INT(GSQ_BAD_ANSWER, lease(7, 0, &out)); /* no epoch */
  lease_answer(2, 0, 0);
  CHECK_INT(GSQ_OK, lease(7, 0, &out));
  CHECK_INT(GSQ_LEASE_HELD, out.outcome);
  start(); /* of a fork that nobody has written to */
  b_uint(&b, 1, 1);
  b_uint(&b, 2, 3);
  b_snapshot(&b, 3, 0, 512, 1);
  CHECK_INT(GSQ_OK, lease(0, 0, &out));
  CHECK(out.head.version == 0 && out.head.page_count == 1 && !out.changes.all);
  lease_answer(3, 0, 8);
  CHECK_INT(GSQ_OK, lease(7, 0, &out));
  CHECK_INT(GSQ_LEASE_HEAD_MOVED, out.outcome);
  CHECK_INT(GSQ_BAD_ANSWER, lease(8, 0, &out)); /* it is there */
  CHECK_INT(GSQ_OK, lease(9, 0, &out));         /* it went back */
  CHECK_INT(GSQ_LEASE_HEAD_MOVED, out.outcome);
  for (uint64_t outcome = 1; outcome <= 3; outcome += 2) {
    start();
    b_uint(&b, 1, outcome);
    b_uint(&b, 2, 3);
    marked_snapshot(3, 7, 5);
    have_mark = 6; /* so the head is not at what there was */
    CHECK_INT(outcome == 1 ? GSQ_BAD_ANSWER : GSQ_OK, lease(7, 0, &out));
    have_mark = 5;
    CHECK_INT(outcome == 1 ? GSQ_OK : GSQ_BAD_ANSWER, lease(7, 0, &out));
    have_mark = 0;
  }
  lease_answer(0, 3, 7);
  CHECK_INT(GSQ_BAD_ANSWER, lease(7, 0, &out));
  lease_answer(4, 3, 7);
  CHECK_INT(GSQ_BAD_ANSWER, lease(7, 0, &out));
}

static void test_commit(void) {
  CASE("Commit");
  uint64_t version = 0;
  start();
  b_uint(&b, 1, 8);
  CHECK_INT(GSQ_OK, gsq_decode_commit(b.bytes, b.size, 7, &version, &error));
  CHECK_INT(8, version);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_commit(b.bytes, b.size, 8, &version, &error));
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_commit(b.bytes, b.size, 6, &version, &error));
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_commit(b.bytes, 0, UINT64_MAX, &version, &error));
}

static void test_commit_group(void) {
  CASE("CommitGroup: as many versions as commits, each behind its base");
  static const struct {
    const char *bytes;
    size_t size;
    int code;
  } answers[] = {
      {"\x0a\x02\x08\x65", 4, GSQ_OK},               /* packed */
      {"\x08\x08\x08\x65", 4, GSQ_OK},               /* one by one */
      {"\x0a\x01\x08\x08\x65", 5, GSQ_OK},           /* both */
      {"\x0a\x00\x0a\x02\x08\x65", 6, GSQ_OK},       /* none, then two */
      {"\x10\x07\x0a\x02\x08\x65", 6, GSQ_OK},       /* a field of later */
      {"\x0a\x02\x65\x08", 4, GSQ_BAD_ANSWER},       /* the other way round */
      {"\x0a\x01\x08", 3, GSQ_BAD_ANSWER},           /* too few */
      {"", 0, GSQ_BAD_ANSWER},                       /* none */
      {"\x0a\x03\x08\x65\x66", 5, GSQ_BAD_ANSWER},   /* too many */
      {"\x0a\x02\x08\xe5", 4, GSQ_BAD_ANSWER},       /* half a number */
      {"\x09\x08\0\0\0\0\0\0\0", 9, GSQ_BAD_ANSWER}, /* of another type */
      {"\x0a\x05\x08", 3, GSQ_BAD_ANSWER},           /* cut off */
  };
  const gsq_commit_request one = {.base_version = 7}, two = {.base_version = 100};
  const gsq_commit_request *requests[] = {&one, &two};
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    uint64_t versions[2] = {0};
    if (!CHECK_INT(answers[i].code,
                   gsq_decode_commit_group((const uint8_t *)answers[i].bytes, answers[i].size,
                                           requests, 2, versions, &error))) {
      fprintf(stderr, "  answer %zu\n", i);
    }
    if (answers[i].code == GSQ_OK) CHECK(versions[0] == 8 && versions[1] == 101);
  }
}

/* ---- reading ---- */

static int read_message(gsq_reading *reading) {
  uint8_t *data = exact(b.size);
  int code = gsq_reading_message(reading, data, b.size, &error);
  free(data);
  return code;
}

static void test_read_pages(void) {
  CASE("ReadPages");
  static const gsq_page_range ranges[] = {{5, 2}, {1, 1}, {1000, 600}};
  gsq_read_request request = {.version = 7,
                              .page_size = 512,
                              .ranges = ranges,
                              .range_count = 2,
                              .prefetch_credit_bytes = 1024};
  gsq_reading reading;
  pages got = {0};
  CHECK_INT(GSQ_OK, gsq_reading_begin(&reading, &request, on_page, &got, &error));
  CHECK_INT(GSQ_BAD_ANSWER, gsq_reading_check_complete(&reading, &error));
  start();
  b_page(&b, 1, 5, 1, 512, 'a', 0);
  b_bytes(&b, 77, "unknown", 7);
  CHECK_INT(GSQ_OK, read_message(&reading));
  start();
  b_page(&b, 1, 1, 7, 0, 0, 0); /* not in the order asked, but asked for */
  b_page(&b, 1, 6, 1, 512, 'a', 0);
  CHECK_INT(GSQ_OK, read_message(&reading));
  CHECK_INT(GSQ_OK, gsq_reading_check_complete(&reading, &error));
  CHECK(got.count == 3 && got.asked == 3 && got.zeros == 1 && got.last == 6);
  start();
  b_page(&b, 1, 9, 1, 512, 'a', 0); /* ahead; and one a second time */
  b_page(&b, 1, 5, 1, 512, 'a', 0);
  CHECK_INT(GSQ_OK, read_message(&reading));
  CHECK(got.count == 5 && got.asked == 3);
  CHECK_INT(GSQ_BAD_ANSWER, read_message(&reading)); /* the credit is used up */
  gsq_reading_restart(&reading);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_reading_check_complete(&reading, &error));
  CHECK_INT(GSQ_OK, read_message(&reading));
  gsq_reading_end(&reading);

  static const struct {
    uint64_t number, version;
    uint32_t size;
    uint64_t damage;
    int code;
  } bad[] = {{0, 7, 512, 0, GSQ_BAD_ANSWER},  {5, 8, 512, 0, GSQ_BAD_ANSWER},
             {5, 7, 1024, 0, GSQ_BAD_ANSWER}, {5, 7, 512, 1, GSQ_DATA_LOSS},
             {7, 7, 512, 0, GSQ_BAD_ANSWER},  {UINT32_MAX, 7, 512, 0, GSQ_BAD_ANSWER}};
  request.prefetch_credit_bytes = 0;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(GSQ_OK, gsq_reading_begin(&reading, &request, on_page, &got, &error));
    start();
    b_page(&b, 1, bad[i].number, bad[i].version, bad[i].size, 'p', bad[i].damage);
    CHECK_INT(bad[i].code, read_message(&reading));
    gsq_reading_end(&reading);
  }

  CHECK_INT(GSQ_OK, gsq_reading_begin(&reading, &request, on_page, &got, &error));
  start();
  b_page(&b, 1, 5, 0, 512, 'p', 0); /* as a fork inherited it */
  CHECK_INT(GSQ_OK, read_message(&reading));
  CHECK(got.last == 5 && got.last_version == 0);
  gsq_reading_end(&reading);

  gsq_id stage = {{1}}; /* staged pages have no version yet */
  request.stage = &stage;
  CHECK_INT(GSQ_OK, gsq_reading_begin(&reading, &request, on_page, &got, &error));
  start();
  b_page(&b, 1, 5, 0, 0, 0, 0);
  CHECK_INT(GSQ_OK, read_message(&reading));
  got.refuse = GSQ_NOMEM;
  start();
  b_page(&b, 1, 6, 0, 0, 0, 0);
  CHECK_INT(GSQ_NOMEM, read_message(&reading));
  gsq_reading_end(&reading);
  got.refuse = 0;

  request.range_count = 3; /* more than fit without malloc */
  CHECK_INT(GSQ_OK, gsq_reading_begin(&reading, &request, on_page, &got, &error));
  for (int backwards = 0; backwards < 2; backwards++) {
    for (uint32_t i = 0; i < 603; i++) {
      uint32_t k = backwards ? 602 - i : i;
      start();
      b_page(&b, 1, k < 2 ? 5 + k : k == 2 ? 1 : 1000 + k - 3, 7, 512, 'p', 0);
      CHECK_INT(GSQ_OK, read_message(&reading));
      CHECK((gsq_reading_check_complete(&reading, &error) == GSQ_OK) == (i == 602));
    }
    gsq_reading_restart(&reading);
  }
  gsq_reading_end(&reading);

  static const gsq_page_range senseless[] = {{0, 1}, {1, 0}, {UINT32_MAX, 2}, {1, UINT32_MAX}};
  for (size_t i = 0; i < 4; i++) {
    request.ranges = &senseless[i];
    request.range_count = 1;
    CHECK_INT(GSQ_INVALID_ARGUMENT,
              gsq_reading_begin(&reading, &request, on_page, &got, &error));
  }
}

/* ---- watching ---- */

static int watch(gsq_watch_event *out) {
  uint8_t *data = exact(b.size);
  int code = gsq_decode_watch(data, b.size, out, &error);
  free(data);
  return code;
}

static void about(uint32_t event, uint64_t epoch) {
  static builder inner;
  inner.size = 0;
  b_id(&inner, 1, 7);
  b_uint(&inner, 2, epoch);
  b_bytes(&b, event, inner.bytes, inner.size);
}

static void head_moved(uint64_t from, uint64_t to, uint32_t page_size) {
  static const uint32_t changed[] = {1, 2, 300};
  static builder inner;
  start();
  inner.size = 0;
  b_id(&inner, 1, 7);
  b_snapshot(&inner, 2, to, page_size, 300);
  b_uint(&inner, 3, from);
  b_changes(&inner, 4, 0, 1, changed, 3);
  b_bytes(&b, 1, inner.bytes, inner.size);
}

static void test_watch(void) {
  CASE("Watch");
  gsq_watch_event event;
  head_moved(7, 9, 4096);
  CHECK_INT(GSQ_OK, watch(&event));
  CHECK_INT(GSQ_WATCH_HEAD_MOVED, event.kind);
  CHECK_INT(7, event.database.bytes[15]);
  CHECK_INT(9, event.head.version);
  CHECK_INT(4096, event.head.page_size);
  CHECK_INT(300, event.head.page_count);
  CHECK_INT(7, event.from_version);
  CHECK(!event.changes.all && event.changes.count == 3 && event.changes.pages[2] == 300);
  gsq_changes_free(&event.changes);
  CHECK(!event.changes.other_history);
  head_moved(9, 7, 4096);
  CHECK_INT(GSQ_OK, watch(&event));
  CHECK(event.changes.other_history && event.changes.all && !event.changes.pages);
  head_moved(7, 9, 4095);
  CHECK_INT(GSQ_BAD_ANSWER, watch(&event));
  CHECK(event.changes.pages == NULL);

  static const enum gsq_watch_kind kinds[] = {
      [2] = GSQ_WATCH_LEASE_WANTED, [3] = GSQ_WATCH_LEASE_LOST, [5] = GSQ_WATCH_DROPPED};
  for (uint32_t i = 2; i <= 5; i++) {
    if (i == 4) continue;
    start();
    about(i, 12);
    CHECK_INT(GSQ_OK, watch(&event));
    CHECK_INT(kinds[i], event.kind);
    CHECK_INT(7, event.database.bytes[0]);
    CHECK_INT(12, event.epoch);
    start(); /* of no database */
    b_bytes(&b, i, "\x10\x0c", 2);
    CHECK_INT(GSQ_BAD_ANSWER, watch(&event));
    start(); /* of one with a short id */
    b_bytes(&b, i, "\x0a\x02xx", 4);
    CHECK_INT(GSQ_BAD_ANSWER, watch(&event));
  }

  start();
  b_bytes(&b, 4, "\x08\x96\x01", 3);
  CHECK_INT(GSQ_OK, watch(&event));
  CHECK_INT(GSQ_WATCH_CONFIRMED, event.kind);
  CHECK_INT(150, event.elapsed_ms);
  start(); /* the moment of the request itself */
  b_bytes(&b, 4, "", 0);
  CHECK_INT(GSQ_OK, watch(&event));
  CHECK_INT(GSQ_WATCH_CONFIRMED, event.kind);
  CHECK_INT(0, event.elapsed_ms);

  start(); /* an event of a later version of the schema */
  b_bytes(&b, 9, "what", 4);
  CHECK_INT(GSQ_OK, watch(&event));
  CHECK_INT(GSQ_WATCH_OTHER, event.kind);
  start(); /* two in one */
  about(2, 1);
  about(3, 1);
  CHECK_INT(GSQ_BAD_ANSWER, watch(&event));
  start();
  b_uint(&b, 4, 3);
  CHECK_INT(GSQ_BAD_ANSWER, watch(&event));
}

/* Every prefix of good messages, and every single byte of them changed: nothing but the
** documented codes, and (under ASan) no byte beyond the end read. */
static void test_broken_bytes(void) {
  CASE("cut and changed messages");
  static builder good[5];
  static const uint32_t changed[] = {1, 2, 300};
  open_answer(7, 512, 3, 2, 7);
  b_page(&b, 4, 1, 6, 512, 'p', 0);
  good[0] = b;
  start();
  b_snapshot(&b, 1, 9, 4096, 10);
  b_changes(&b, 2, 0, 1, changed, 3);
  good[1] = b;
  lease_answer(1, 3, 7);
  b_changes(&b, 4, 0, 0, changed, 3);
  good[2] = b;
  start();
  b_page(&b, 1, 5, 1, 512, 'a', 0);
  good[3] = b;
  head_moved(7, 9, 4096);
  good[4] = b;
  for (size_t m = 0; m < 5; m++) {
    for (size_t i = 0; i <= 2 * good[m].size; i++) {
      b = good[m];
      if (i < b.size) {
        b.size = i;
      } else if (i < 2 * good[m].size) {
        b.bytes[i - b.size] ^= (uint8_t)(1 + i * 37 % 255);
      }
      gsq_open_request plain = {.name = "x"};
      gsq_open_answer answer;
      gsq_snapshot head;
      gsq_changes changes;
      gsq_lease_answer out;
      pages got = {0};
      static const gsq_page_range range = {5, 1};
      gsq_read_request request = {
          .version = 7, .page_size = 512, .ranges = &range, .range_count = 1};
      gsq_reading reading;
      int code = open_database(&plain, &answer, &got);
      CHECK(code == GSQ_OK || code == GSQ_BAD_ANSWER || code == GSQ_DATA_LOSS);
      code = refresh(3, &head, &changes);
      CHECK(code == GSQ_OK || code == GSQ_BAD_ANSWER);
      if (code == GSQ_OK) gsq_changes_free(&changes);
      code = lease(7, 1, &out);
      CHECK(code == GSQ_OK || code == GSQ_BAD_ANSWER);
      if (code == GSQ_OK) gsq_changes_free(&out.changes);
      gsq_watch_event event;
      code = watch(&event);
      CHECK(code == GSQ_OK || code == GSQ_BAD_ANSWER);
      if (code == GSQ_OK) gsq_changes_free(&event.changes);
      gsq_reading_begin(&reading, &request, on_page, &got, &error);
      code = read_message(&reading);
      CHECK(code == GSQ_OK || code == GSQ_BAD_ANSWER || code == GSQ_DATA_LOSS);
      gsq_reading_end(&reading);
    }
  }
}

int main(void) {
  test_open_session();
  test_keep_alive();
  test_open_database();
  test_refresh();
  test_histories();
  test_lease();
  test_commit();
  test_commit_group();
  test_read_pages();
  test_watch();
  test_broken_bytes();
  return check_done();
}
