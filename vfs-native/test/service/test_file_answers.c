/* What a server may answer, and what it may not: each decoder of the file service. */
#include "service/file_answers.h"

#include <stdlib.h>

#include "check.h"
#include "service/build.h"

static builder b;
static gsq_error error;

static void start(void) {
  b.size = 0;
}

static void test_capabilities(void) {
  CASE("GetCapabilities");
  gsq_file_capabilities out;
  char longer[256];
  memset(longer, 'c', sizeof longer);
  start();
  CHECK_INT(GSQ_OK, gsq_decode_file_capabilities(b.bytes, b.size, &out, &error));
  CHECK(out.context[0] == 0 && !out.atomic_batch && out.heartbeat_interval_ms == 5000);
  b_bytes(&b, 1, longer, 255);
  b_uint(&b, 3, 1);
  b_uint(&b, 4, 512);
  b_uint(&b, 5, 100);
  b_bytes(&b, 6, "unknown", 7);
  CHECK_INT(GSQ_OK, gsq_decode_file_capabilities(b.bytes, b.size, &out, &error));
  CHECK_INT(255, strlen(out.context));
  CHECK(out.point_in_time_reads && out.sector_size == 512 && out.heartbeat_interval_ms == 100);
  start();
  b_bytes(&b, 1, longer, 256);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_file_capabilities(b.bytes, b.size, &out, &error));
  start();
  b_bytes(&b, 1, "a\0b", 3);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_file_capabilities(b.bytes, b.size, &out, &error));
  static const uint64_t bad[][2] = {{4, UINT64_MAX}, {4, UINT64_C(1) << 31}, {5, UINT64_MAX}};
  for (size_t i = 0; i < 3; i++) {
    start();
    b_uint(&b, (uint32_t)bad[i][0], bad[i][1]);
    CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_file_capabilities(b.bytes, b.size, &out, &error));
  }
}

static void test_lease(void) {
  CASE("AcquireLease");
  char lease[GSQ_FILE_TEXT_BYTES], longer[256];
  memset(longer, 'l', sizeof longer);
  start();
  b_bytes(&b, 1, longer, 255);
  CHECK_INT(GSQ_OK, gsq_decode_file_lease(b.bytes, b.size, lease, &error));
  CHECK_INT(255, strlen(lease));
  start();
  b_bytes(&b, 1, longer, 256);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_file_lease(b.bytes, b.size, lease, &error));
}

static void test_read(void) {
  CASE("Read");
  /* Of just the size asked for, for ASan to see a byte too many. */
  char *buffer = malloc(7);
  uint32_t got;
  int unchanged;
  int64_t time;
#define READ(length, have)                                                                \
  gsq_decode_file_read(b.bytes, b.size, length, have, buffer, &got, &unchanged, &time, &error)
  start();
  CHECK_INT(GSQ_OK, READ(7, 0)); /* past the end */
  CHECK(got == 0 && !unchanged);
  b_uint(&b, 2, 12345);
  b_uint(&b, 3, 77);
  CHECK_INT(GSQ_OK, READ(7, 77));
  CHECK(got == 0 && unchanged && time == 12345);
  CHECK_INT(GSQ_OK, READ(7, 78));
  CHECK(!unchanged);
  start();
  b_bytes(&b, 1, "content", 7);
  CHECK_INT(GSQ_OK, READ(7, 0)); /* checksum 0: none given */
  CHECK(got == 7 && memcmp(buffer, "content", 7) == 0);
  CHECK_INT(GSQ_BAD_ANSWER, READ(6, 0));
  b_uint(&b, 3, gsq_checksum("content", 7));
  CHECK_INT(GSQ_OK, READ(7, gsq_checksum("content", 7)));
  CHECK(got == 7 && !unchanged);
  b_uint(&b, 3, gsq_checksum("content", 7) + 1);
  CHECK_INT(GSQ_DATA_LOSS, READ(7, 0));
  start();
  b_uint(&b, 1, 5); /* another type */
  CHECK_INT(GSQ_BAD_ANSWER, READ(7, 0));
#undef READ
  free(buffer);
}

static void test_size_and_pragma(void) {
  CASE("GetFileSize, Pragma");
  int64_t size = -1;
  start();
  CHECK_INT(GSQ_OK, gsq_decode_file_size(b.bytes, b.size, &size, &error));
  CHECK_INT(0, size);
  b_uint(&b, 1, INT64_MAX);
  CHECK_INT(GSQ_OK, gsq_decode_file_size(b.bytes, b.size, &size, &error));
  CHECK_INT(INT64_MAX, size);
  b_uint(&b, 1, UINT64_MAX);
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_file_size(b.bytes, b.size, &size, &error));
  char *response;
  start();
  CHECK_INT(GSQ_OK, gsq_decode_file_pragma(b.bytes, b.size, &response, &error));
  CHECK(response == NULL);
  b_bytes(&b, 1, "yes", 3);
  CHECK_INT(GSQ_OK, gsq_decode_file_pragma(b.bytes, b.size, &response, &error));
  CHECK_STR("yes", response);
  free(response);
  b.bytes[1] = 100; /* longer than the message */
  CHECK_INT(GSQ_BAD_ANSWER, gsq_decode_file_pragma(b.bytes, b.size, &response, &error));
  CHECK(response == NULL);
}

int main(void) {
  test_capabilities();
  test_lease();
  test_read();
  test_size_and_pragma();
  return check_done();
}
