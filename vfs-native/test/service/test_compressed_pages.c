/* Pages that come compressed: to who accepts them, as what they were, and whatever the bytes are. */
#include <lz4.h>
#include <stdlib.h>

#include "check.h"
#include "service/build.h"
#include "service/page_answers.h"

#define PAGE 4096u

static builder b;
static gsq_error error;
static uint8_t content[1 << 16];

typedef struct came {
  int count, asked;
  uint8_t bytes[PAGE];
} came;

static int on_page(void *arg, uint32_t number, uint64_t version, int asked, const uint8_t *data,
                   uint32_t size, gsq_error *at) {
  came *to = arg;
  (void)number, (void)version, (void)at;
  to->count++;
  to->asked += asked;
  CHECK(size == 0 || size == PAGE);
  memset(to->bytes, 0, sizeof to->bytes);
  if (size) memcpy(to->bytes, data, size);
  return 0;
}

/* A Page with these bytes in field 5, and `plain` (or NULL) in field 4, under the checksum of
** `content`'s first page, plus `damage`. */
static void put_page(uint32_t field, uint32_t number, const uint8_t *lz4, size_t size,
                     const uint8_t *plain, uint64_t damage) {
  static builder inner;
  inner.size = 0;
  b_uint(&inner, 1, number);
  b_uint(&inner, 2, 7);
  b_fixed64(&inner, 3, gsq_checksum(content, PAGE) + damage);
  if (plain) b_bytes(&inner, 4, plain, PAGE);
  b_bytes(&inner, 5, lz4, size);
  b_bytes(&b, field, inner.bytes, inner.size);
}

/* `size` bytes of content, compressed. */
static size_t compress(uint32_t size, uint8_t *to, size_t room) {
  int made = LZ4_compress_default((const char *)content, (char *)to, (int)size, (int)room);
  CHECK(made > 0);
  return (size_t)made;
}

static const gsq_page_range ranges[] = {{5, 3}};

/* Reads b as an answer of ReadPages, in memory of just its size. */
static int read_answer(int accept_lz4, uint32_t credit, came *to) {
  const gsq_read_request request = {.version = 7,
                                    .page_size = PAGE,
                                    .ranges = ranges,
                                    .range_count = 1,
                                    .prefetch_credit_bytes = credit,
                                    .accept_lz4 = accept_lz4};
  memset(to, 0, sizeof *to);
  gsq_reading reading;
  if (!CHECK_INT(GSQ_OK, gsq_reading_begin(&reading, &request, on_page, to, &error))) exit(1);
  uint8_t *exact = malloc(b.size);
  memcpy(exact, b.bytes, b.size);
  int code = gsq_reading_message(&reading, exact, b.size, &error);
  free(exact);
  gsq_reading_end(&reading);
  return code;
}

static void they_are_what_they_were(void) {
  CASE("a compressed page is its content, beside plain ones and zeros");
  uint8_t lz4[PAGE];
  const size_t size = compress(PAGE, lz4, sizeof lz4);
  CHECK(size < PAGE / 2);
  came got;
  b.size = 0;
  b_page(&b, 1, 5, 7, PAGE, 'p', 0);
  b_page(&b, 1, 6, 7, 0, 0, 0);
  put_page(1, 7, lz4, size, NULL, 0);
  CHECK_INT(GSQ_OK, read_answer(1, 0, &got));
  CHECK(got.count == 3 && got.asked == 3 && memcmp(got.bytes, content, PAGE) == 0);

  CASE("credit is used up by content, not by what it was compressed to");
  put_page(1, 8, lz4, size, NULL, 0);
  CHECK_INT(GSQ_BAD_ANSWER, read_answer(1, PAGE - 1, &got));
  CHECK_INT(GSQ_OK, read_answer(1, PAGE, &got));
  CHECK_INT(4, got.count);
}

static void open_brings_them(void) {
  CASE("pages that come with an open may be compressed, to who accepts that");
  uint8_t lz4[PAGE];
  const size_t size = compress(PAGE, lz4, sizeof lz4);
  came got = {0};
  gsq_open_request request = {.name = "a", .accept_lz4 = 1};
  gsq_open_answer out;
  b.size = 0;
  b_id(&b, 1, 'd');
  b_snapshot(&b, 2, 7, PAGE, 3);
  b_uint(&b, 5, 7);
  put_page(4, 1, lz4, size, NULL, 0);
  CHECK_INT(GSQ_OK,
            gsq_decode_open_database(b.bytes, b.size, &request, &out, on_page, &got, &error));
  CHECK(got.count == 1 && memcmp(got.bytes, content, PAGE) == 0);
  request.accept_lz4 = 0;
  CHECK_INT(GSQ_BAD_ANSWER,
            gsq_decode_open_database(b.bytes, b.size, &request, &out, on_page, &got, &error));
}

static void nothing_else_is_taken(void) {
  static uint8_t lz4[1 << 16];
  const size_t size = compress(PAGE, lz4, sizeof lz4);
  came got;
  CASE("a page is not compressed for who did not ask for it");
  b.size = 0;
  put_page(1, 5, lz4, size, NULL, 0);
  CHECK_INT(GSQ_BAD_ANSWER, read_answer(0, 0, &got));
  CHECK(strstr(error.message, "page 5 compressed, which nobody asked for") != NULL);

  CASE("a page that is there in both ways is none");
  b.size = 0;
  put_page(1, 5, lz4, size, content, 0);
  CHECK_INT(GSQ_BAD_ANSWER, read_answer(1, 0, &got));

  CASE("the checksum is that of the content");
  b.size = 0;
  put_page(1, 5, lz4, size, NULL, 1);
  CHECK_INT(GSQ_DATA_LOSS, read_answer(1, 0, &got));

  CASE("what decompresses to more or less than a page is none");
  static const uint32_t sizes[] = {1, PAGE / 2, PAGE - 1, PAGE + 1, 2 * PAGE, 1 << 16};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint8_t other[1 << 15];
    b.size = 0;
    put_page(1, 5, other, compress(sizes[i], other, sizeof other), NULL, 0);
    if (!CHECK_INT(GSQ_BAD_ANSWER, read_answer(1, 0, &got))) {
      fprintf(stderr, "  of %u bytes\n", sizes[i]);
    }
    CHECK_INT(0, got.count);
  }
}

static void garbage_does_no_harm(void) {
  CASE("a compressed page that was cut off or changed is an error");
  uint8_t lz4[PAGE], changed[PAGE];
  const size_t size = compress(PAGE, lz4, sizeof lz4);
  came got;
  for (size_t cut = 1; cut < size; cut += 1 + cut / 64) {
    b.size = 0;
    put_page(1, 5, lz4, cut, NULL, 0);
    CHECK_INT(GSQ_BAD_ANSWER, read_answer(1, 0, &got));
  }
  for (size_t at = 0; at < size; at += 1 + at / 32) {
    for (int bit = 0; bit < 8; bit++) {
      memcpy(changed, lz4, size);
      changed[at] ^= (uint8_t)(1 << bit);
      b.size = 0;
      put_page(1, 5, changed, size, NULL, 0);
      int code = read_answer(1, 0, &got);
      /* A match may be found elsewhere as well. */
      CHECK(code == GSQ_BAD_ANSWER || code == GSQ_DATA_LOSS ||
            (code == GSQ_OK && memcmp(got.bytes, content, PAGE) == 0));
    }
  }
}

int main(void) {
  /* Text of the kind that rows have. */
  for (size_t used = 0; used + 40 < sizeof content;) {
    used += (size_t)snprintf((char *)content + used, 40, "row %zu of table orders;", used * 7);
  }
  they_are_what_they_were();
  open_brings_them();
  nothing_else_is_taken();
  garbage_does_no_harm();
  return check_done();
}
