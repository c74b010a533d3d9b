/* What a server may answer, and what it may not: the decoders of the Admin service. */
#include "service/admin_answers.h"

#include <stdlib.h>

#include "check.h"
#include "service/build.h"

static builder b;

/* As in the schema; those of one version. */
typedef struct info {
  uint64_t version;
  int64_t seconds, nanos;
  uint64_t pages_changed, page_size, page_count;
} info;

static const info usual = {5, 1700000000, 999999999, 3, 4096, 10};

static void add(info from) {
  static builder time, one;
  time.size = one.size = 0;
  b_uint(&time, 1, (uint64_t)from.seconds);
  b_uint(&time, 2, (uint64_t)from.nanos);
  b_uint(&one, 1, from.version);
  b_bytes(&one, 2, time.bytes, time.size);
  b_uint(&one, 3, from.pages_changed);
  b_uint(&one, 4, from.page_size);
  b_uint(&one, 5, from.page_count);
  b_uint(&one, 99, 1);
  b_bytes(&b, 1, one.bytes, one.size);
}

/* From memory of just its size, so that nothing is read beyond it. */
static int decode(uint32_t limit, uint64_t below, gsq_version_list *out) {
  gsq_error error;
  uint8_t *copy = malloc(b.size ? b.size : 1);
  memcpy(copy, b.bytes, b.size);
  int code = gsq_decode_list_versions(copy, b.size, limit, below, out, &error);
  free(copy);
  if (code != GSQ_OK) CHECK(out->versions == NULL && out->count == 0);
  b.size = 0;
  return code;
}

static void good(void) {
  CASE("what is good");
  gsq_version_list list;
  CHECK_INT(GSQ_OK, decode(10, UINT64_MAX, &list)); /* an empty message */
  CHECK(list.count == 0 && !list.next[0]);
  gsq_version_list_free(&list);

  add((info){.version = INT64_MAX, .page_size = 65536, .page_count = UINT32_MAX});
  add(usual);
  add((info){.version = 0, .seconds = -62135596800});
  b_bytes(&b, 2, "t", 1);
  b_uint(&b, 99, 1);
  CHECK_INT(GSQ_OK, decode(3, UINT64_MAX, &list));
  CHECK_INT(3, list.count);
  CHECK_STR("t", list.next);
  CHECK_INT(INT64_MAX, list.versions[0].version);
  CHECK_INT(0, list.versions[0].committed_at_seconds);
  CHECK_INT(5, list.versions[1].version);
  CHECK_INT(999999999, list.versions[1].committed_at_nanos);
  CHECK_INT(3, list.versions[1].pages_changed);
  CHECK_INT(4096, list.versions[1].page_size);
  CHECK_INT(10, list.versions[1].page_count);
  CHECK_INT(-62135596800, list.versions[2].committed_at_seconds);
  gsq_version_list_free(&list);
}

static void bad(const char *what, uint32_t limit, uint64_t below) {
  gsq_version_list list;
  if (!CHECK_INT(GSQ_BAD_ANSWER, decode(limit, below, &list))) {
    fprintf(stderr, "  %s\n", what);
    gsq_version_list_free(&list);
  }
}

static void bad_one(const char *what, info one) {
  add(one);
  bad(what, 10, UINT64_MAX);
}

static void hostile(void) {
  CASE("what is not");
  info one = usual;
  one.version = (uint64_t)INT64_MAX + 1;
  bad_one("a version beyond what SQLite counts to", one);
  one = usual;
  one.page_size = 1000;
  bad_one("a page size that is none", one);
  one.page_size = 0;
  bad_one("pages of no size", one);
  one = usual;
  one.page_count = UINT64_C(1) << 32;
  bad_one("too many pages", one);
  one = usual;
  one.pages_changed = UINT64_MAX;
  bad_one("too many changed", one);
  one = usual;
  one.nanos = 1000000000;
  bad_one("too many nanoseconds", one);
  one.nanos = -1;
  bad_one("negative nanoseconds", one);
  one = usual;
  one.seconds = 253402300800;
  bad_one("the year 10000", one);
  one.seconds = INT64_MIN;
  bad_one("long ago", one);

  add(usual);
  add(usual);
  bad("the same version twice", 10, UINT64_MAX);
  add(usual);
  bad("a version that is not below the last", 10, 5);
  for (int i = 9; i > 6; i--) add((info){.version = (uint64_t)i});
  bad("more than asked for", 2, UINT64_MAX);
  b_bytes(&b, 2, "t", 1);
  bad("no versions, but more to come", 10, UINT64_MAX);
  static char token[GSQ_PAGE_TOKEN_BYTES];
  memset(token, 'x', sizeof token);
  add(usual);
  b_bytes(&b, 2, token, sizeof token);
  bad("a token that is too long", 10, UINT64_MAX);
  add(usual);
  b_bytes(&b, 2, "a\0b", 3);
  bad("a token with a NUL", 10, UINT64_MAX);

  b_uint(&b, 1, 5);
  bad("a version of another type", 10, UINT64_MAX);
  add(usual);
  b_uint(&b, 2, 5);
  bad("a token of another type", 10, UINT64_MAX);
  b_bytes(&b, 1, "\x12\x02\x08", 3);
  bad("a version that ends in its time", 10, UINT64_MAX);
  b_bytes(&b, 1, "\x10\x05", 2);
  bad("a time of another type", 10, UINT64_MAX);
  b_bytes(&b, 1, "\x0a\x00", 2);
  bad("a number of another type", 10, UINT64_MAX);
  b_bytes(&b, 1, "\x12\x02\x0a\x00", 4);
  bad("seconds of another type", 10, UINT64_MAX);
}

static void cut(void) {
  CASE("no beginning of an answer reads beyond its end");
  add((info){.version = 9});
  add(usual);
  b_bytes(&b, 2, "token", 5);
  static builder whole;
  whole = b;
  for (size_t size = 0; size <= whole.size; size++) {
    gsq_version_list list;
    memcpy(b.bytes, whole.bytes, b.size = size);
    if (decode(10, UINT64_MAX, &list) == GSQ_OK) gsq_version_list_free(&list);
  }
}

static void forks_and_restores(void) {
  CASE("the answers to ForkDatabase and RestoreDatabase");
  gsq_error error;
  uint64_t version;
  b.size = 0;
  b_bytes(&b, 1,
          "\x0a\x04"
          "copy",
          6);
  CHECK_INT(GSQ_OK, gsq_decode_fork(b.bytes, b.size, &error));
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_fork(b.bytes, b.size - 1, &error));
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_fork(b.bytes, 0, &error));
  CHECK_HAS("ForkDatabase", error.message);
  b.size = 0;
  b_uint(&b, 1, 5);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_fork(b.bytes, b.size, &error));
  CHECK_INT(GSQ_OK, gsq_decode_restore(b.bytes, b.size, &version, &error));
  CHECK_INT(5, version);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_restore(b.bytes, b.size - 1, &version, &error));
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_restore(b.bytes, 0, &version, &error));
  CHECK_HAS("RestoreDatabase", error.message);
  b.size = 0;
  b_uint(&b, 1, (uint64_t)INT64_MAX + 1);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_restore(b.bytes, b.size, &version, &error));
  b.size = 0;
  b_bytes(&b, 1, "5", 1);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_restore(b.bytes, b.size, &version, &error));
}

int main(void) {
  good();
  hostile();
  cut();
  forks_and_restores();
  return check_done();
}
