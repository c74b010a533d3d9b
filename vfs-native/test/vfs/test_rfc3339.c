/* Times as people write them: what is read, what is refused, and that what is written is read. */
#include "vfs/rfc3339.h"

#include <time.h>

#include "check.h"

static void good(const char *text, int64_t seconds, int32_t nanos) {
  gsq_time got = {-1, -1};
  const char *problem = gsq_rfc3339_read(text, &got);
  if (!CHECK(problem == NULL)) fprintf(stderr, "  %s: %s\n", text, problem);
  if (!CHECK_INT(seconds, got.seconds)) fprintf(stderr, "  %s\n", text);
  CHECK_INT(nanos, got.nanos);
}

static void bad(const char *text, const char *part) {
  gsq_time got;
  const char *problem = gsq_rfc3339_read(text, &got);
  if (!CHECK_HAS(part, problem)) fprintf(stderr, "  %s\n", text);
}

static void what_is_read(void) {
  CASE("times, offsets, fractions, leap seconds");
  good("1970-01-01T00:00:00Z", 0, 0);
  good("2026-01-31T10:00:00Z", 1769853600, 0);
  good("2026-01-31t10:00:00z", 1769853600, 0);
  good("2026-01-31T10:00:00.5Z", 1769853600, 500000000);
  good("2026-01-31T10:00:00.000000001Z", 1769853600, 1);
  good("2026-01-31T10:00:00.1234567899999999999999Z", 1769853600, 123456789);
  good("2026-01-31T12:00:00+02:00", 1769853600, 0);
  good("2026-01-31T00:30:00.25-09:30", 1769853600, 250000000);
  good("2026-02-01T09:59:00+23:59", 1769853600, 0);
  good("2026-01-31T10:00:00-00:00", 1769853600, 0);
  good("2000-02-29T23:59:59Z", 951868799, 0);
  good("1969-12-31T23:59:59.999Z", -1, 999000000); /* nanos count forward */
  good("0001-01-01T00:00:00Z", -62135596800, 0);
  good("0000-12-31T23:00:00-01:00", -62135596800, 0);
  good("9999-12-31T23:59:59.999999999Z", 253402300799, 999999999);
  /* The end of 1990, and of a June in another zone. */
  good("1990-12-31T23:59:60Z", 662688000, 0);
  good("1990-12-31T15:59:60-08:00", 662688000, 0);
  good("2015-07-01T01:59:60.5+02:00", 1435708800, 500000000);
}

static void what_is_refused(void) {
  CASE("everything else is refused, and the message says what was expected");
  static const char *const no_date[] = {
      "",           "x",           "2026",       "20260131T100000Z", "2026-1-31T10:00:00Z",
      "2026-00-01", "2026-13-01",  "2026-02-29", "2100-02-29",       "2026-04-31",
      "2026-01-00", "+026-01-01",  "-026-01-01", "2026/01/31",       " 2026-01-31T10:00:00Z",
      "2026-01",    "12026-01-01", "2026-01-3",  "\xd9\xa2-01-31",   "2026-01-32"};
  for (size_t i = 0; i < sizeof no_date / sizeof *no_date; i++) {
    bad(no_date[i], "begin with a date");
  }
  bad("2026-01-31", "a T");
  bad("2026-01-31 10:00:00Z", "a T");
  bad("2026-01-31T", "after the T");
  bad("2026-01-31T24:00:00Z", "after the T");
  bad("2026-01-31T10:60:00Z", "after the T");
  bad("2026-01-31T10:00:61Z", "after the T");
  bad("2026-01-31T10:00Z", "after the T");
  bad("2026-01-31T1:00:00Z", "after the T");
  bad("2026-01-31T10:00:-1Z", "after the T");
  bad("2026-01-31T10:00:00.Z", "digits");
  bad("2026-01-31T10:00:00,5Z", "Z or an offset");
  bad("2026-01-31T10:00:00", "Z or an offset");
  bad("2026-01-31T10:00:00 02:00", "%2B");
  bad("2026-01-31T10:00:00+2:00", "offset has to be");
  bad("2026-01-31T10:00:00+02", "offset has to be");
  bad("2026-01-31T10:00:00+0200", "offset has to be");
  bad("2026-01-31T10:00:00+24:00", "offset has to be");
  bad("2026-01-31T10:00:00+02:60", "offset has to be");
  bad("2026-01-31T10:00:00ZZ", "follows");
  bad("2026-01-31T10:00:00+02:00 ", "follows");
  bad("2026-01-31T10:00:60Z", "second 60");
  bad("2026-01-30T23:59:60Z", "second 60");
  bad("2015-06-30T23:59:60+02:00", "second 60");
  bad("0000-12-31T23:59:59Z", "years");
  bad("0001-01-01T00:00:00+00:01", "years");
  bad("9999-12-31T23:59:59-00:01", "years");
}

static void every_prefix_is_refused(void) {
  CASE("no part of a time is one");
  const char *whole = "2026-01-31T10:00:00.5+02:00";
  for (size_t n = 0; n < strlen(whole); n++) {
    char text[64];
    gsq_time got;
    snprintf(text, sizeof text, "%.*s", (int)n, whole);
    if (!CHECK(gsq_rfc3339_read(text, &got) != NULL)) fprintf(stderr, "  %s\n", text);
  }
}

static void what_is_written(void) {
  CASE("what is written is rounded up to milliseconds");
  char text[GSQ_RFC3339_BYTES];
  gsq_rfc3339_write(&(gsq_time){0, 0}, text);
  CHECK_STR("1970-01-01T00:00:00.000Z", text);
  gsq_rfc3339_write(&(gsq_time){1769853600, 1}, text);
  CHECK_STR("2026-01-31T10:00:00.001Z", text);
  gsq_rfc3339_write(&(gsq_time){1769853600, 7000000}, text);
  CHECK_STR("2026-01-31T10:00:00.007Z", text);
  gsq_rfc3339_write(&(gsq_time){951868799, 999000001}, text);
  CHECK_STR("2000-03-01T00:00:00.000Z", text);
  gsq_rfc3339_write(&(gsq_time){-62135596800, 0}, text);
  CHECK_STR("0001-01-01T00:00:00.000Z", text);
  gsq_rfc3339_write(&(gsq_time){253402300799, 999999999}, text);
  CHECK_STR("9999-12-31T23:59:59.999Z", text);
}

/* Some 40,000 days of all centuries, against the C library. */
static void it_agrees_with_the_c_library(void) {
  CASE("both ways as the C library does");
  for (int64_t at = -62135596800; at <= 253402300799; at += 7919033) {
    const time_t seconds = (time_t)at;
    struct tm parts;
    char want[64], text[GSQ_RFC3339_BYTES];
    gmtime_r(&seconds, &parts);
    snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.000Z", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    gsq_rfc3339_write(&(gsq_time){at, 0}, text);
    gsq_time back = {0, -1};
    if (!CHECK_STR(want, text) || !CHECK(gsq_rfc3339_read(want, &back) == NULL) ||
        !CHECK_INT(at, back.seconds)) {
      return;
    }
  }
}

int main(void) {
  what_is_read();
  what_is_refused();
  every_prefix_is_refused();
  what_is_written();
  it_agrees_with_the_c_library();
  return check_done();
}
