#include "service/calls.h"

#include <stdlib.h>

#define MARK 0x0102030405060708

static uint8_t page_bytes[3][512];
static const gsq_id database = {"database-id-...."}, stage = {"stage-id-......."},
                    commit = {"commit-id-......"};

static gsq_page_client client(gsq_channel *channel) {
  gsq_page_client it = {channel, {"session-id-....."}};
  return it;
}

/* ---- reading requests ---- */

/* The field `number`, the `index`-th of them; 0 if there is none. */
static int find(const uint8_t *data, size_t size, uint32_t number, int index, gsq_field *out) {
  gsq_reader reader = gsq_reader_of(data, size);
  while (gsq_next_field(&reader, out) == 1) {
    if (out->number == number && index-- == 0) return 1;
  }
  return 0;
}

static int is_uint(const uint8_t *data, size_t size, uint32_t number, uint64_t value) {
  gsq_field field;
  return find(data, size, number, 0, &field) ? field.value == value : value == 0;
}

static int is_bytes(const uint8_t *data, size_t size, uint32_t number, const void *want,
                    size_t want_size) {
  gsq_field field;
  return find(data, size, number, 0, &field) && field.size == want_size &&
         memcmp(field.data, want, want_size) == 0;
}

#define IS_TEXT(number, text) is_bytes(data, size, number, text, sizeof(text) - 1)
#define IS_UINT(number, value) is_uint(data, size, number, value)
#define IS_ID(number, id) is_bytes(data, size, number, (id).bytes, GSQ_ID_BYTES)
#define WANT(condition) \
  if (!(condition)) return #condition

static const char *session_problem(const uint8_t *data, size_t size) {
  WANT(is_bytes(data, size, 1, "session-id-.....", GSQ_ID_BYTES));
  return NULL;
}

static const char *database_problem(const uint8_t *data, size_t size) {
  WANT(session_problem(data, size) == NULL);
  WANT(IS_ID(2, database));
  return NULL;
}

/* The three pages of the requests below: 1 with bytes, 2 with zeros, 70000 with bytes. */
static const char *pages_problem(const uint8_t *data, size_t size, uint32_t number) {
  static const uint64_t numbers[] = {1, 2, 70000};
  for (int i = 0; i < 3; i++) {
    gsq_field page, checksum, content;
    WANT(find(data, size, number, i, &page));
    WANT(is_uint(page.data, page.size, 1, numbers[i]));
    if (i == 1) {
      WANT(!find(page.data, page.size, 3, 0, &checksum));
      WANT(!find(page.data, page.size, 4, 0, &content));
    } else {
      WANT(find(page.data, page.size, 3, 0, &checksum) && checksum.type == GSQ_FIXED64);
      WANT(find(page.data, page.size, 4, 0, &content) && content.size == 512);
      WANT(checksum.value == gsq_checksum(content.data, 512));
      WANT(memcmp(content.data, page_bytes[i], 512) == 0);
    }
  }
  gsq_field more;
  WANT(!find(data, size, number, 3, &more));
  return NULL;
}

static const gsq_page_ref *three_pages(void) {
  static gsq_page_ref pages[] = {
      {1, page_bytes[0], 512}, {2, NULL, 0}, {70000, page_bytes[2], 512}};
  return pages;
}

static int count_page(void *arg, uint32_t number, uint64_t version, int asked,
                      const uint8_t *data, uint32_t size, gsq_error *error) {
  (void)number, (void)version, (void)asked, (void)data, (void)size, (void)error;
  ++*(int *)arg;
  return 0;
}

static void nothing(builder *b) {
  (void)b;
}

/* ---- the page service ---- */

static void answer_session(builder *b) {
  b_uint(b, 1, 10000);
}

static int call_session(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  gsq_session_info info;
  return gsq_open_session(&it, "a test", &info, deadline_ms, error);
}

static const char *problem_session(const uint8_t *data, size_t size) {
  WANT(session_problem(data, size) == NULL);
  WANT(IS_TEXT(2, "a test"));
  return NULL;
}

static int call_keep_alive(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  gsq_view views[] = {{database, 0, 7, 0}, {database, 3, UINT64_MAX, 1}};
  gsq_kept_alive kept;
  size_t count;
  return gsq_keep_alive(&it, views, 2, &kept, NULL, 0, &count, deadline_ms, error);
}

static const char *problem_keep_alive(const uint8_t *data, size_t size) {
  gsq_field view;
  WANT(session_problem(data, size) == NULL);
  WANT(find(data, size, 2, 0, &view));
  WANT(is_bytes(view.data, view.size, 1, database.bytes, 16));
  WANT(is_uint(view.data, view.size, 3, 7) && is_uint(view.data, view.size, 4, 0));
  WANT(find(data, size, 2, 1, &view));
  WANT(is_uint(view.data, view.size, 2, 3) && is_uint(view.data, view.size, 3, UINT64_MAX));
  WANT(is_uint(view.data, view.size, 4, 1));
  return NULL;
}

static int call_close_session(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  return gsq_close_session(&it, deadline_ms, error);
}

static void answer_open(builder *b) {
  b_id(b, 1, 'd');
  b_snapshot(b, 2, 7, 512, 3);
  b_page(b, 4, 1, 7, 512, 'p', 0);
  b_uint(b, 5, 7);
  b_uint(b, 6, 80);
}

static int call_open(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  gsq_open_request request = {.name = "tenant-7/main.db",
                              .create = 1,
                              .view = 2,
                              .at_time_given = 1,
                              .at_time_seconds = -5,
                              .at_time_nanos = 9,
                              .prefetch_credit_bytes = 1000,
                              .accept_lz4 = 1,
                              .read_delegation_ms = 90};
  gsq_open_answer answer;
  int pages = 0;
  int code = gsq_open_database(&it, &request, &answer, count_page, &pages, deadline_ms, error);
  if (code == GSQ_OK && answer.read_delegation_ms != 80) code = GSQ_UNKNOWN;
  return code == GSQ_OK && pages == 0 ? GSQ_UNKNOWN : code;
}

static const char *problem_open(const uint8_t *data, size_t size) {
  gsq_field time;
  WANT(session_problem(data, size) == NULL);
  WANT(IS_TEXT(2, "tenant-7/main.db"));
  WANT(IS_UINT(3, 1) && IS_UINT(4, 0) && IS_UINT(5, 2) && IS_UINT(8, 1000));
  WANT(IS_UINT(10, 1) && IS_UINT(11, 90));
  WANT(find(data, size, 7, 0, &time));
  WANT(is_uint(time.data, time.size, 1, (uint64_t)-5) && is_uint(time.data, time.size, 2, 9));
  return NULL;
}

static void answer_refresh(builder *b) {
  static const uint32_t pages[] = {1, 2};
  b_snapshot(b, 1, 8, 512, 3);
  b_changes(b, 2, 0, 1, pages, 2);
  b_uint(b, 3, 80);
}

static int call_refresh(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  const gsq_refresh_request request = {
      .database = database, .have = {7, MARK}, .floor_version = 6, .read_delegation_ms = 90};
  gsq_refresh_answer answer;
  int code = gsq_refresh(&it, &request, &answer, deadline_ms, error);
  if (code == GSQ_OK && (answer.changes.count != 2 || answer.read_delegation_ms != 80)) {
    code = GSQ_UNKNOWN;
  }
  if (code == GSQ_OK) gsq_changes_free(&answer.changes);
  return code;
}

static const char *problem_refresh(const uint8_t *data, size_t size) {
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 7) && IS_UINT(4, 6) && IS_UINT(5, 90));
  WANT(IS_UINT(6, MARK));
  return NULL;
}

static void answer_read(builder *b) {
  for (uint32_t i = 0; i < 20; i++) b_page(b, 1, 2 * i + 1, 7, 512, 'p', 0);
}

static int call_read(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  gsq_page_range ranges[20]; /* more than fit without malloc */
  for (uint32_t i = 0; i < 20; i++) ranges[i] = (gsq_page_range){2 * i + 1, 1};
  gsq_read_request request = {.database = database,
                              .version = 7,
                              .mark = MARK,
                              .page_size = 512,
                              .ranges = ranges,
                              .range_count = 20,
                              .stage = &stage,
                              .prefetch_credit_bytes = 99,
                              .accept_lz4 = 1};
  int pages = 0;
  int code = gsq_read_pages(&it, &request, count_page, &pages, NULL, deadline_ms, error);
  /* A retry begins anew. */
  return code == GSQ_OK && (pages == 0 || pages % 20) ? GSQ_UNKNOWN : code;
}

static const char *problem_read(const uint8_t *data, size_t size) {
  gsq_field range;
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 7) && IS_ID(5, stage) && IS_UINT(6, 99) && IS_UINT(7, 1));
  WANT(IS_UINT(8, MARK));
  WANT(find(data, size, 4, 19, &range));
  WANT(is_uint(range.data, range.size, 1, 39) && is_uint(range.data, range.size, 2, 1));
  return NULL;
}

static void answer_lease(builder *b) {
  static const uint32_t pages[] = {1, 2};
  b_uint(b, 1, 1);
  b_uint(b, 2, 3);
  b_snapshot(b, 3, 8, 512, 3);
  b_changes(b, 4, 0, 1, pages, 2);
}

static int call_lease(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  gsq_lease_answer answer;
  const gsq_have have = {7, MARK};
  int code = gsq_acquire_lease(&it, &database, &have, 1, 100, 6, &answer, deadline_ms, error);
  if (code == GSQ_OK && answer.changes.count != 2) code = GSQ_UNKNOWN;
  if (code == GSQ_OK) gsq_changes_free(&answer.changes);
  return code;
}

static const char *problem_lease(const uint8_t *data, size_t size) {
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 7) && IS_UINT(4, 1) && IS_UINT(5, 100) && IS_UINT(6, 6));
  WANT(IS_UINT(7, MARK));
  return NULL;
}

static int call_release(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  return gsq_release_lease(&it, &database, 3, deadline_ms, error);
}

static const char *problem_release(const uint8_t *data, size_t size) {
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 3));
  return NULL;
}

static int call_stage(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  return gsq_stage_pages(&it, &database, 3, &stage, 7, 512, three_pages(), 3, deadline_ms,
                         error);
}

static int call_stage_in_bulk(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  return gsq_stage_in_bulk(&it, &database, 3, &stage, 512, three_pages(), 3, deadline_ms,
                           error);
}

static void answer_commit_group(builder *b) {
  b_bytes(b, 1, "\x08\x09", 2); /* 8, 9, packed */
}

static int call_commit_group(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  gsq_page_ref pages[] = {{1, page_bytes[0], 512}, {2, NULL, 0}, {70000, page_bytes[2], 512}};
  gsq_commit_request with_pages = {.database = database,
                                   .epoch = 3,
                                   .commit = commit,
                                   .base_version = 7,
                                   .page_size = 512,
                                   .page_count = 70000,
                                   .pages = pages,
                                   .count = 3};
  gsq_commit_request staged = {.database = stage,
                               .epoch = 4,
                               .commit = database,
                               .base_version = 8,
                               .page_size = 1024,
                               .page_count = 5,
                               .stage = &stage,
                               .floor_version = 6};
  const gsq_commit_request *requests[] = {&with_pages, &staged};
  uint64_t versions[2] = {0};
  int code = gsq_commit_group(&it, requests, 2, versions, deadline_ms, error);
  return code == GSQ_OK && (versions[0] != 8 || versions[1] != 9) ? GSQ_UNKNOWN : code;
}

static const char *problem_commit_group(const uint8_t *message, size_t message_size) {
  gsq_field part;
  WANT(session_problem(message, message_size) == NULL);
  WANT(find(message, message_size, 2, 0, &part));
  const uint8_t *data = part.data;
  size_t size = part.size;
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 3) && IS_ID(4, commit) && IS_UINT(5, 7) && IS_UINT(6, 512));
  WANT(IS_UINT(7, 70000) && !find(data, size, 8, 0, &part));
  WANT(pages_problem(data, size, 9) == NULL);
  WANT(find(message, message_size, 2, 1, &part));
  data = part.data;
  size = part.size;
  WANT(IS_ID(2, stage) && IS_UINT(3, 4) && IS_ID(4, database) && IS_UINT(5, 8));
  WANT(IS_UINT(6, 1024) && IS_UINT(7, 5) && IS_ID(8, stage) && IS_UINT(10, 6));
  WANT(!find(data, size, 9, 0, &part) && !find(message, message_size, 2, 2, &part));
  return NULL;
}

static const char *problem_stage(const uint8_t *data, size_t size) {
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 3) && IS_ID(4, stage) && IS_UINT(5, 512) && IS_UINT(7, 0) && IS_UINT(8, 7));
  WANT(size <= GSQ_MESSAGE_OVERHEAD_BYTES + gsq_pages_wire_size(512, 3));
  return pages_problem(data, size, 6);
}

static const char *problem_stage_in_bulk(const uint8_t *data, size_t size) {
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 3) && IS_ID(4, stage) && IS_UINT(5, 512) && IS_UINT(7, 1) && IS_UINT(8, 0));
  return pages_problem(data, size, 6);
}

static int call_drop(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  return gsq_drop_stage(&it, &database, &stage, deadline_ms, error);
}

static const char *problem_drop(const uint8_t *data, size_t size) {
  WANT(database_problem(data, size) == NULL);
  WANT(IS_ID(3, stage));
  return NULL;
}

static void answer_commit(builder *b) {
  b_uint(b, 1, 8);
}

static int call_commit(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_page_client it = client(channel);
  memset(page_bytes[0], 'a', 512);
  memset(page_bytes[2], 'c', 512);
  gsq_commit_request request = {.database = database,
                                .epoch = 3,
                                .commit = commit,
                                .base_version = 7,
                                .page_size = 512,
                                .page_count = 70000,
                                .stage = &stage,
                                .pages = three_pages(),
                                .count = 3,
                                .floor_version = 6};
  uint64_t version = 0;
  int code = gsq_commit(&it, &request, &version, deadline_ms, error);
  return code == GSQ_OK && version != 8 ? GSQ_UNKNOWN : code;
}

static const char *problem_commit(const uint8_t *data, size_t size) {
  WANT(database_problem(data, size) == NULL);
  WANT(IS_UINT(3, 3) && IS_ID(4, commit) && IS_UINT(5, 7) && IS_UINT(6, 512));
  WANT(IS_UINT(7, 70000) && IS_ID(8, stage) && IS_UINT(10, 6));
  return pages_problem(data, size, 9);
}

/* ---- the file service ---- */

static const gsq_file_ref file = {"the context", "the lease", "dir/main.db-journal", "main.db"};

static const char *problem_file(const uint8_t *data, size_t size) {
  WANT(IS_TEXT(1, "the context") && IS_TEXT(2, "the lease"));
  WANT(IS_TEXT(3, "dir/main.db-journal") && IS_TEXT(4, "main.db"));
  return NULL;
}

static void answer_capabilities(builder *b) {
  b_bytes(b, 1, "the context", 11);
  b_uint(b, 2, 1);
  b_uint(b, 4, 4096);
}

static int call_capabilities(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_file_capabilities out;
  int code = gsq_file_get_capabilities(channel, "the token", &out, deadline_ms, error);
  if (code != GSQ_OK) return code;
  return strcmp(out.context, "the context") == 0 && out.atomic_batch &&
                 !out.point_in_time_reads && out.sector_size == 4096 &&
                 out.heartbeat_interval_ms == 5000
             ? GSQ_OK
             : GSQ_UNKNOWN;
}

static const char *problem_capabilities(const uint8_t *data, size_t size) {
  WANT(IS_TEXT(1, "the token") && IS_UINT(2, 0));
  return NULL;
}

static void answer_file_lease(builder *b) {
  b_bytes(b, 1, "the lease", 9);
}

static int call_file_lease(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  char lease[256];
  int code =
      gsq_file_acquire_lease(channel, file.context, file.database, lease, deadline_ms, error);
  return code == GSQ_OK && strcmp(lease, "the lease") != 0 ? GSQ_UNKNOWN : code;
}

static const char *problem_file_lease(const uint8_t *data, size_t size) {
  WANT(IS_TEXT(1, "the context") && IS_TEXT(2, "main.db"));
  return NULL;
}

static int call_file_close(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  return gsq_file_close(channel, &file, deadline_ms, error);
}

static const char *problem_file_close(const uint8_t *data, size_t size) {
  WANT(IS_TEXT(1, "the context") && IS_TEXT(2, "the lease"));
  WANT(IS_TEXT(3, "dir/main.db-journal"));
  return NULL;
}

static int call_heartbeat(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  return gsq_file_heartbeat(channel, file.context, file.lease_id, deadline_ms, error);
}

static const char *problem_heartbeat(const uint8_t *data, size_t size) {
  WANT(IS_TEXT(1, "the context") && IS_TEXT(2, "the lease"));
  return NULL;
}

static void answer_file_read(builder *b) {
  b_bytes(b, 1, "content", 7);
  b_uint(b, 2, 1234567890123);
  b_uint(b, 3, gsq_checksum("content", 7));
}

static int call_file_read(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  char buffer[16];
  uint32_t got;
  int unchanged;
  int64_t time;
  int code = gsq_file_read(channel, &file, INT64_C(1) << 40, 16, 99, UINT64_MAX, buffer, &got,
                           &unchanged, &time, deadline_ms, error);
  if (code != GSQ_OK) return code;
  return got == 7 && memcmp(buffer, "content", 7) == 0 && !unchanged && time == 1234567890123
             ? GSQ_OK
             : GSQ_UNKNOWN;
}

static const char *problem_file_read(const uint8_t *data, size_t size) {
  WANT(problem_file(data, size) == NULL);
  WANT(IS_UINT(5, UINT64_C(1) << 40) && IS_UINT(6, 16) && IS_UINT(7, 99));
  WANT(IS_UINT(8, UINT64_MAX));
  return NULL;
}

static int call_file_write(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  return gsq_file_write(channel, &file, 24, "content", 7, deadline_ms, error);
}

static const char *problem_file_write(const uint8_t *data, size_t size) {
  WANT(problem_file(data, size) == NULL);
  WANT(IS_UINT(5, 24) && IS_TEXT(6, "content") && IS_UINT(7, gsq_checksum("content", 7)));
  return NULL;
}

static int call_batch(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  static uint8_t large[300]; /* its length, and so its write's, needs two bytes */
  gsq_file_write_ref writes[] = {{0, "content", 7}, {4096, large, sizeof large}, {5000, "", 0}};
  return gsq_file_write_batch(channel, &file, writes, 3, deadline_ms, error);
}

static const char *problem_batch(const uint8_t *data, size_t size) {
  static const struct {
    uint64_t offset;
    size_t size;
  } want[] = {{0, 7}, {4096, 300}, {5000, 0}};
  WANT(problem_file(data, size) == NULL);
  for (int i = 0; i < 3; i++) {
    gsq_field write, content;
    WANT(find(data, size, 5, i, &write));
    WANT(is_bytes(write.data, write.size, 1, "the context", 11));
    WANT(is_bytes(write.data, write.size, 2, "the lease", 9));
    WANT(is_uint(write.data, write.size, 3, want[i].offset));
    WANT(find(write.data, write.size, 4, 0, &content) && content.size == want[i].size);
    WANT(is_uint(write.data, write.size, 5, gsq_checksum(content.data, content.size)));
  }
  return NULL;
}

static void answer_size(builder *b) {
  b_uint(b, 1, UINT64_C(5) << 30);
}

static int call_size(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  int64_t size = 0;
  int code = gsq_file_size(channel, &file, &size, deadline_ms, error);
  return code == GSQ_OK && size != INT64_C(5) << 30 ? GSQ_UNKNOWN : code;
}

static int call_truncate(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  return gsq_file_truncate(channel, &file, 8192, deadline_ms, error);
}

static const char *problem_truncate(const uint8_t *data, size_t size) {
  WANT(problem_file(data, size) == NULL);
  WANT(IS_UINT(5, 8192));
  return NULL;
}

static int call_delete(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  return gsq_file_delete(channel, &file, deadline_ms, error);
}

static void answer_pragma(builder *b) {
  b_bytes(b, 1, "an answer", 9);
}

static int call_pragma(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  static char value[1000]; /* the request does not fit without malloc */
  memset(value, 'v', sizeof value - 1);
  char *response;
  int code = gsq_file_pragma(channel, &file, "name", value, &response, deadline_ms, error);
  if (code != GSQ_OK) return response ? GSQ_UNKNOWN : code;
  code = response && strcmp(response, "an answer") == 0 ? GSQ_OK : GSQ_UNKNOWN;
  free(response);
  return code;
}

static const char *problem_pragma(const uint8_t *data, size_t size) {
  gsq_field value;
  WANT(problem_file(data, size) == NULL);
  WANT(IS_TEXT(5, "name"));
  WANT(find(data, size, 6, 0, &value) && value.size == 999);
  return NULL;
}

/* ---- the Admin service ---- */

static void b_version(builder *b, uint64_t version, int64_t seconds) {
  static builder info, time;
  info.size = time.size = 0;
  b_uint(&time, 1, (uint64_t)seconds);
  b_uint(&time, 2, 5000000);
  b_uint(&info, 1, version);
  b_bytes(&info, 2, time.bytes, time.size);
  b_uint(&info, 3, 7);
  b_uint(&info, 4, 4096);
  b_uint(&info, 5, 100);
  b_bytes(b, 1, info.bytes, info.size);
}

static void answer_versions(builder *b) {
  b_version(b, 9, 1700000000);
  b_version(b, 7, -1);
  b_bytes(b, 2, "go on", 5);
}

static int call_versions(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  gsq_version_list list;
  int code =
      gsq_list_versions(channel, "a database", 2, "from here", 10, &list, deadline_ms, error);
  if (code != GSQ_OK) return list.versions ? GSQ_UNKNOWN : code;
  const gsq_version_info *v = list.versions;
  const int good = list.count == 2 && strcmp(list.next, "go on") == 0 && v[0].version == 9 &&
                   v[0].committed_at_seconds == 1700000000 &&
                   v[0].committed_at_nanos == 5000000 && v[0].pages_changed == 7 &&
                   v[0].page_size == 4096 && v[0].page_count == 100 && v[1].version == 7 &&
                   v[1].committed_at_seconds == -1;
  gsq_version_list_free(&list);
  return good ? GSQ_OK : GSQ_UNKNOWN;
}

static const char *problem_versions(const uint8_t *data, size_t size) {
  WANT(IS_TEXT(1, "a database"));
  WANT(IS_UINT(2, 2));
  WANT(IS_TEXT(3, "from here"));
  return NULL;
}

static void answer_fork(builder *b) {
  b_bytes(b, 1,
          "\x0a\x04"
          "copy",
          6);
}

static int call_fork(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  return gsq_fork_database(channel, "a database", "a copy", &commit, deadline_ms, error);
}

static const char *problem_fork(const uint8_t *data, size_t size) {
  WANT(IS_TEXT(1, "a database") && IS_TEXT(2, "a copy") && IS_ID(5, commit));
  return NULL;
}

static void answer_restore(builder *b) {
  b_uint(b, 1, 9);
}

static int call_restore(gsq_channel *channel, int64_t deadline_ms, gsq_error *error) {
  const gsq_restore_request request = {.name = "a database",
                                       .version = 0,
                                       .commit = commit,
                                       .session = client(channel).session,
                                       .epoch = 12};
  uint64_t version = 0;
  int code = gsq_restore_database(channel, &request, &version, deadline_ms, error);
  return code == GSQ_OK && version != 9 ? GSQ_UNKNOWN : code;
}

static const char *problem_restore(const uint8_t *data, size_t size) {
  gsq_field version;
  WANT(IS_TEXT(1, "a database") && IS_ID(4, commit) &&
       is_bytes(data, size, 5, "session-id-.....", GSQ_ID_BYTES));
  WANT(find(data, size, 2, 0, &version) && version.type == GSQ_VARINT && version.value == 0);
  WANT(IS_UINT(6, 12));
  return NULL;
}

#define PAGE(name) "/grpsqlite.v1.PageStore/" name
#define ADMIN(name) "/grpsqlite.v1.Admin/" name
#define FILE_SERVICE(name) "/grpc_vfs.Grpsqlite/" name

const service_call service_calls[] = {
    {PAGE("OpenSession"), answer_session, call_session, problem_session},
    {PAGE("KeepAlive"), answer_session, call_keep_alive, problem_keep_alive},
    {PAGE("CloseSession"), nothing, call_close_session, session_problem},
    {PAGE("OpenDatabase"), answer_open, call_open, problem_open},
    {PAGE("Refresh"), answer_refresh, call_refresh, problem_refresh},
    {PAGE("ReadPages"), answer_read, call_read, problem_read},
    {PAGE("AcquireLease"), answer_lease, call_lease, problem_lease},
    {PAGE("ReleaseLease"), nothing, call_release, problem_release},
    {PAGE("Commit"), answer_commit, call_commit, problem_commit},
    {PAGE("CommitGroup"), answer_commit_group, call_commit_group, problem_commit_group},
    {PAGE("StagePages"), nothing, call_stage, problem_stage},
    {PAGE("StagePages"), nothing, call_stage_in_bulk, problem_stage_in_bulk},
    {PAGE("DropStage"), nothing, call_drop, problem_drop},
    {ADMIN("ListVersions"), answer_versions, call_versions, problem_versions},
    {ADMIN("ForkDatabase"), answer_fork, call_fork, problem_fork},
    {ADMIN("RestoreDatabase"), answer_restore, call_restore, problem_restore},
    {FILE_SERVICE("GetCapabilities"), answer_capabilities, call_capabilities,
     problem_capabilities},
    {FILE_SERVICE("AcquireLease"), answer_file_lease, call_file_lease, problem_file_lease},
    {FILE_SERVICE("Close"), nothing, call_file_close, problem_file_close},
    {FILE_SERVICE("HeartbeatLease"), nothing, call_heartbeat, problem_heartbeat},
    {FILE_SERVICE("Read"), answer_file_read, call_file_read, problem_file_read},
    {FILE_SERVICE("Write"), nothing, call_file_write, problem_file_write},
    {FILE_SERVICE("AtomicWriteBatch"), nothing, call_batch, problem_batch},
    {FILE_SERVICE("GetFileSize"), answer_size, call_size, problem_file},
    {FILE_SERVICE("Truncate"), nothing, call_truncate, problem_truncate},
    {FILE_SERVICE("Delete"), nothing, call_delete, problem_file},
    {FILE_SERVICE("Pragma"), answer_pragma, call_pragma, problem_pragma},
};
const int service_call_count = sizeof service_calls / sizeof *service_calls;
