/* The write buffer against a plain array of bytes, and the shape of a commit. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/scratch_file.h"
#include "check.h"
#include "vfs/commit.h"
#include "vfs/write_buffer.h"

#define MAX_BYTES (1u << 20)
#define STAGED_UNITS 4096

/* What becomes of the copies of staged units. */
typedef enum scratch_kind { NO_SCRATCH, SCRATCH, FULL_DISK } scratch_kind;

/* What lies beneath: a snapshot, and a stage that keeps what it is given. */
typedef struct ground {
  scratch_kind kind;
  int scratch_file, scratch_opens;
  uint8_t base[MAX_BYTES];
  uint64_t base_size;
  uint8_t *staged[STAGED_UNITS];
  int stage_calls, read_stage_calls, read_base_calls;
  int stage_fails;  /* the next one */
  size_t most_read; /* units, by one read_stage */
} ground;

static int read_base(void *arg, uint64_t offset, void *to, uint32_t size, gsq_error *error) {
  ground *g = arg;
  g->read_base_calls++;
  if (!CHECK(offset + size <= g->base_size))
    return gsq_error_set(error, GSQ_INTERNAL, "beyond");
  memcpy(to, g->base + offset, size);
  return GSQ_OK;
}

static int read_stage(void *arg, const gsq_id *stage, uint32_t unit_size,
                      const uint32_t *numbers, size_t count, void *to, gsq_error *error) {
  ground *g = arg;
  (void)stage;
  g->read_stage_calls++;
  g->most_read = count > g->most_read ? count : g->most_read;
  CHECK(count > 0 && count <= GSQ_BATCH_PAGES);
  for (size_t i = 0; i < count; i++) {
    if (!CHECK(numbers[i] < STAGED_UNITS && g->staged[numbers[i]])) {
      return gsq_error_set(error, GSQ_INTERNAL, "not staged");
    }
    CHECK(i == 0 || numbers[i - 1] < numbers[i]);
    memcpy((uint8_t *)to + i * unit_size, g->staged[numbers[i]], unit_size);
  }
  return GSQ_OK;
}

static int stage(void *arg, gsq_stage *id, uint32_t unit_size, const gsq_page_ref *units,
                 size_t count, gsq_error *error) {
  ground *g = arg;
  (void)id;
  g->stage_calls++;
  if (g->stage_fails) {
    g->stage_fails = 0;
    return gsq_error_set(error, GSQ_UNAVAILABLE, "no");
  }
  for (size_t i = 0; i < count; i++) {
    free(g->staged[units[i].number]);
    g->staged[units[i].number] = malloc(unit_size);
    memcpy(g->staged[units[i].number], units[i].data, unit_size);
  }
  return GSQ_OK;
}

static size_t stage_batch(void *arg, uint32_t unit_size) {
  (void)arg;
  (void)unit_size;
  return 3;
}

static int scratch(void *arg) {
  ground *g = arg;
  g->scratch_opens++;
  g->scratch_file = g->kind == NO_SCRATCH  ? -1
                    : g->kind == FULL_DISK ? open("/dev/full", O_RDWR)
                                           : gsq_scratch_file_open();
  return g->scratch_file;
}

static ground *new_ground(uint64_t base_size) {
  ground *g = calloc(1, sizeof *g);
  g->base_size = base_size;
  for (uint64_t i = 0; i < base_size; i++) g->base[i] = (uint8_t)(i * 31 + i / 977);
  return g;
}

static void free_ground(ground *g) {
  for (int i = 0; i < STAGED_UNITS; i++) free(g->staged[i]);
  free(g);
}

static gsq_write_buffer *new_buffer(ground *g, size_t max_bytes) {
  const gsq_buffer_io io = {.arg = g,
                            .read_base = read_base,
                            .read_stage = read_stage,
                            .stage = stage,
                            .stage_batch = stage_batch,
                            .scratch = scratch};
  return gsq_write_buffer_new(&io, max_bytes);
}

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

/* Writes, truncations and reads at random, compared with the same on an array. */
static void random_operations(uint64_t seed, uint32_t page_size, size_t max_bytes,
                              scratch_kind kind) {
  fprintf(
      stderr,
      "- random operations, seed %llu, pages of %u, at most %zu bytes in memory, scratch %d\n",
      (unsigned long long)seed, page_size, max_bytes, (int)kind);
  uint64_t state = seed;
  gsq_error error = {0};
  ground *g = new_ground((uint64_t)page_size * (next_random(&state) % 40));
  g->kind = kind;
  uint8_t *want = calloc(1, MAX_BYTES), *got = malloc(MAX_BYTES), *data = malloc(MAX_BYTES);
  uint64_t size = g->base_size;
  memcpy(want, g->base, size);
  gsq_write_buffer *buffer = new_buffer(g, max_bytes);
  gsq_write_buffer_reset(buffer, size, size ? page_size : 0);
  for (int step = 0; step < 400; step++) {
    const uint32_t step_kind = next_random(&state) % 10;
    if (step_kind < 6) {
      uint32_t length = step_kind < 4 ? page_size : 1 + next_random(&state) % (3 * page_size);
      uint64_t at = step_kind < 4 ? (uint64_t)(next_random(&state) % 60) * page_size
                                  : next_random(&state) % (60 * page_size);
      for (uint32_t i = 0; i < length; i++) data[i] = (uint8_t)next_random(&state);
      CHECK_INT(GSQ_OK, gsq_write_buffer_write(buffer, at, data, length, &error));
      memcpy(want + at, data, length);
      if (at + length > size) size = at + length;
    } else if (step_kind < 7) {
      uint64_t to = next_random(&state) % (60 * page_size);
      if (next_random(&state) % 3) to = to / page_size * page_size;
      CHECK_INT(GSQ_OK, gsq_write_buffer_truncate(buffer, to, &error));
      if (to < size) {
        memset(want + to, 0, size - to);
        size = to;
      }
    } else if (size > 0) {
      uint64_t at = next_random(&state) % size;
      uint32_t length = (uint32_t)(1 + next_random(&state) % (size - at));
      CHECK_INT(GSQ_OK, gsq_write_buffer_read(buffer, at, got, length, &error));
      if (!CHECK(memcmp(want + at, got, length) == 0)) break;
    }
    CHECK_INT(size, gsq_write_buffer_size(buffer));
  }
  if (size) {
    CHECK_INT(GSQ_OK, gsq_write_buffer_read(buffer, 0, got, (uint32_t)size, &error));
    CHECK(memcmp(want, got, size) == 0);
  }
  /* The units and what shows through of the snapshot are the same again. */
  const uint32_t unit_size = gsq_write_buffer_unit_size(buffer);
  const uint64_t visible = gsq_write_buffer_base_visible(buffer);
  gsq_unit *units = NULL;
  size_t count = 0;
  CHECK_INT(GSQ_OK, gsq_write_buffer_units(buffer, &units, &count, &error));
  memset(got, 0, MAX_BYTES);
  memcpy(got, g->base, visible);
  for (size_t i = 0; i < count; i++) {
    CHECK(i == 0 || units[i - 1].number < units[i].number);
    memcpy(got + (uint64_t)(units[i].number - 1) * unit_size,
           units[i].data ? units[i].data : g->staged[units[i].number], unit_size);
  }
  CHECK(memcmp(want, got, size) == 0);
  if (kind == SCRATCH) CHECK_INT(0, g->read_stage_calls);
  CHECK_INT(max_bytes<MAX_BYTES, g->stage_calls> 0);
  free(units);
  gsq_write_buffer_free(buffer);
  free_ground(g);
  free(data);
  free(got);
  free(want);
}

static void whole_pages_read_nothing_beneath(void) {
  CASE("writing whole pages reads nothing of the snapshot");
  gsq_error error = {0};
  uint8_t page[1024] = {1};
  ground *g = new_ground(10 * 1024);
  gsq_write_buffer *buffer = new_buffer(g, MAX_BYTES);
  gsq_write_buffer_reset(buffer, g->base_size, 1024);
  CHECK(gsq_write_buffer_is_empty(buffer));
  for (int i = 0; i < 20; i++) {
    CHECK_INT(GSQ_OK, gsq_write_buffer_write(buffer, (uint64_t)i * 1024, page, 1024, &error));
  }
  CHECK_INT(0, g->read_base_calls);
  CHECK_INT(1024, gsq_write_buffer_unit_size(buffer));
  CHECK_INT(0, gsq_write_buffer_is_empty(buffer));
  gsq_write_buffer_reset(buffer, g->base_size, 1024);
  CHECK(gsq_write_buffer_is_empty(buffer));
  CHECK_INT(10 * 1024, gsq_write_buffer_size(buffer));
  gsq_write_buffer_free(buffer);
  free_ground(g);
}

static void a_failed_staging_loses_nothing(void) {
  CASE("a staging that fails is an error, and the bytes are still there");
  gsq_error error = {0};
  uint8_t page[4096];
  ground *g = new_ground(0);
  gsq_write_buffer *buffer = new_buffer(g, 4 * 4096);
  gsq_write_buffer_reset(buffer, 0, 0);
  g->stage_fails = 1;
  int code = GSQ_OK;
  for (int i = 0; i < 10 && code == GSQ_OK; i++) {
    memset(page, i + 1, sizeof page);
    code = gsq_write_buffer_write(buffer, (uint64_t)i * 4096, page, 4096, &error);
  }
  CHECK_INT(GSQ_UNAVAILABLE, code);
  const int pages = (int)(gsq_write_buffer_size(buffer) / 4096);
  for (int i = 0; i < pages; i++) {
    CHECK_INT(GSQ_OK, gsq_write_buffer_read(buffer, (uint64_t)i * 4096, page, 4096, &error));
    CHECK_INT(i + 1, page[17]);
  }
  gsq_write_buffer_free(buffer);
  free_ground(g);
}

static void units_that_follow_each_other_are_read_together(void) {
  CASE("units and snapshot pages that follow each other are read by one call");
  enum { UNIT = 512, UNITS = 1000 };
  gsq_error error = {0};
  ground *g = new_ground(2 * UNITS * UNIT);
  uint8_t *bytes = malloc(2 * UNITS * UNIT);
  gsq_write_buffer *buffer = new_buffer(g, 4 * UNIT);
  gsq_write_buffer_reset(buffer, g->base_size, UNIT);
  for (uint32_t i = 0; i < UNITS; i++) {
    memset(bytes, (int)(i % 251), UNIT);
    CHECK_INT(GSQ_OK, gsq_write_buffer_write(buffer, (uint64_t)i * UNIT, bytes, UNIT, &error));
  }
  CHECK_INT(GSQ_OK, gsq_write_buffer_read(buffer, 0, bytes, 2 * UNITS * UNIT, &error));
  CHECK_INT(GSQ_BATCH_PAGES, g->most_read);
  CHECK_INT(1, g->read_base_calls);
  for (uint32_t i = 0; i < UNITS; i++) CHECK_INT(i % 251, bytes[i * UNIT + 17]);
  CHECK(memcmp(bytes + UNITS * UNIT, g->base + UNITS * UNIT, UNITS * UNIT) == 0);
  gsq_write_buffer_free(buffer);
  free(bytes);
  free_ground(g);
}

/* Units of 512 bytes, each of its number's low byte. */
static void write_units(gsq_write_buffer *buffer, uint32_t count) {
  gsq_error error = {0};
  uint8_t unit[512];
  for (uint32_t i = 1; i <= count; i++) {
    memset(unit, (int)(i & 0xff), sizeof unit);
    CHECK_INT(GSQ_OK, gsq_write_buffer_write(buffer, (uint64_t)(i - 1) * sizeof unit, unit,
                                             sizeof unit, &error));
  }
}

/* With room for four in memory. */
static gsq_write_buffer *with_units(ground *g, uint32_t count) {
  gsq_write_buffer *buffer = new_buffer(g, 4 * 512);
  gsq_write_buffer_reset(buffer, 0, 0);
  write_units(buffer, count);
  return buffer;
}

static void check_units(gsq_write_buffer *buffer, uint32_t count) {
  gsq_error error = {0};
  uint8_t unit[512];
  for (uint32_t i = 1; i <= count; i++) {
    CHECK_INT(GSQ_OK, gsq_write_buffer_read(buffer, (uint64_t)(i - 1) * sizeof unit, unit,
                                            sizeof unit, &error));
    CHECK_INT(i & 0xff, unit[0]);
    CHECK_INT(i & 0xff, unit[511]);
  }
}

static void what_was_staged_is_read_here(void) {
  CASE("what was staged is read from a scratch file, a new one for each transaction");
  ground *g = new_ground(0);
  g->kind = SCRATCH;
  gsq_write_buffer *buffer = with_units(g, 100);
  check_units(buffer, 100);
  CHECK_INT(0, g->read_stage_calls);
  CHECK_INT(1, g->scratch_opens);
  const int first = g->scratch_file;
  gsq_write_buffer_reset(buffer, 0, 0);
  CHECK_INT(-1, fcntl(first, F_GETFD));
  gsq_write_buffer_free(buffer);
  free_ground(g);
}

static void a_scratch_file_that_fails_is_done_without(void) {
  CASE("a scratch file that can't be written, or loses what it had, is done without");
  static const scratch_kind kinds[] = {NO_SCRATCH, FULL_DISK};
  for (size_t i = 0; i < 2; i++) {
    ground *g = new_ground(0);
    g->kind = kinds[i];
    gsq_write_buffer *buffer = with_units(g, 100);
    check_units(buffer, 100);
    CHECK(g->read_stage_calls > 0);
    CHECK_INT(1, g->scratch_opens);
    gsq_write_buffer_reset(buffer, 0, 0);
    write_units(buffer, 100);
    CHECK_INT(2, g->scratch_opens); /* the next transaction tries it again */
    gsq_write_buffer_free(buffer);
    free_ground(g);
  }
  ground *g = new_ground(0);
  g->kind = SCRATCH;
  gsq_write_buffer *buffer = with_units(g, 100);
  CHECK_INT(0, ftruncate(g->scratch_file, 10 * 512 + 100));
  check_units(buffer, 100);
  CHECK(g->read_stage_calls > 0);
  gsq_write_buffer_free(buffer);
  free_ground(g);
}

static void a_disk_that_becomes_full_leaves_what_it_has(void) {
  CASE(
      "when the disk is full, copies that it has are still used, but none of an older content");
  enum { UNIT = 512, UNITS = 100, FIT = 20 };
  gsq_error error = {0};
  uint8_t bytes[UNITS * UNIT];
  struct rlimit before, limit;
  ground *g = new_ground(0);
  g->kind = SCRATCH;
  signal(SIGXFSZ, SIG_IGN);
  CHECK_INT(0, getrlimit(RLIMIT_FSIZE, &before));
  limit = (struct rlimit){.rlim_cur = FIT * UNIT, .rlim_max = before.rlim_max};
  CHECK_INT(0, setrlimit(RLIMIT_FSIZE, &limit));
  gsq_write_buffer *buffer = with_units(g, UNITS);
  CHECK_INT(0, setrlimit(RLIMIT_FSIZE, &before));
  g->most_read = 0;
  CHECK_INT(GSQ_OK, gsq_write_buffer_read(buffer, 0, bytes, sizeof bytes, &error));
  for (uint32_t i = 0; i < UNITS; i++) CHECK_INT((i + 1) & 0xff, bytes[i * UNIT + 17]);
  CHECK(g->most_read > 0 && g->most_read <= UNITS - FIT + 1);
  /* All anew, and out of memory again. */
  for (uint32_t i = 0; i < UNITS; i++) {
    memset(bytes, 200, UNIT);
    CHECK_INT(GSQ_OK, gsq_write_buffer_write(buffer, (uint64_t)i * UNIT, bytes, UNIT, &error));
  }
  CHECK_INT(GSQ_OK, gsq_write_buffer_read(buffer, 0, bytes, sizeof bytes, &error));
  for (uint32_t i = 0; i < UNITS; i++) CHECK_INT(200, bytes[i * UNIT + 17]);
  CHECK_INT(1, g->scratch_opens);
  gsq_write_buffer_free(buffer);
  free_ground(g);
}

static void the_shape_of_a_commit(void) {
  CASE("page size and count come from the header, as far as it can be believed");
  static const struct {
    int magic;
    uint32_t bytes, counter, count, valid_for;
    uint64_t size;
    uint32_t page_size, page_count;
  } cases[] = {
      {1, 4096, 7, 10, 7, 40960, 4096, 10},      {1, 1, 7, 2, 7, 131072, 65536, 2},
      {1, 512, 7, 3, 7, 5120, 512, 3},           /* the file is shortened later */
      {1, 512, 7, 3, 6, 5120, 512, 10},          /* an old writer did not keep the count */
      {1, 512, 7, 0, 7, 5120, 512, 10},          /* nor this one */
      {1, 512, 7, 11, 7, 5120, 512, 11},         /* the last page is that of the lock byte */
      {1, 512, 7, 0xfffffff0, 7, 5120, 512, 10}, /* no count of this file */
      {0, 512, 7, 3, 7, 8192, 4096, 2},          /* no SQLite database */
      {1, 1000, 7, 3, 7, 8192, 4096, 2},         /* no page size */
      {1, 4096, 7, 10, 7, 0, 4096, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint8_t header[100] = {0};
    if (cases[i].magic) memcpy(header, "SQLite format 3", 16);
    header[16] = (uint8_t)(cases[i].bytes >> 8);
    header[17] = (uint8_t)cases[i].bytes;
    const uint32_t words[] = {24, cases[i].counter, 28, cases[i].count, 92, cases[i].valid_for};
    for (int w = 0; w < 6; w += 2) {
      for (int b = 0; b < 4; b++)
        header[words[w] + (uint32_t)b] = (uint8_t)(words[w + 1] >> (24 - 8 * b));
    }
    uint32_t page_size, page_count;
    if (cases[i].size == 0) memset(header, 0, sizeof header);
    gsq_commit_shape(header, cases[i].size, 4096, &page_size, &page_count);
    CHECK_INT(cases[i].page_size, page_size);
    CHECK_INT(cases[i].page_count, page_count);
  }
}

int main(void) {
  static const uint32_t page_sizes[] = {512, 4096, 8192};
  for (uint64_t seed = 1; seed <= 8; seed += (uint64_t)test_every()) {
    for (int i = 0; i < 3; i++) {
      random_operations(seed, page_sizes[i], MAX_BYTES, SCRATCH);
      random_operations(seed + 100, page_sizes[i], 4 * page_sizes[i], NO_SCRATCH);
      random_operations(seed + 200, page_sizes[i], 4 * page_sizes[i], SCRATCH);
      random_operations(seed + 300, page_sizes[i], 4 * page_sizes[i], FULL_DISK);
    }
  }
  whole_pages_read_nothing_beneath();
  a_failed_staging_loses_nothing();
  units_that_follow_each_other_are_read_together();
  what_was_staged_is_read_here();
  a_scratch_file_that_fails_is_done_without();
  a_disk_that_becomes_full_leaves_what_it_has();
  the_shape_of_a_commit();
  return check_done();
}
