#include "vfs/rfc3339.h"

#include <stdio.h>

#define DAY_SECONDS 86400
#define FIRST_SECOND (-62135596800LL) /* 0001-01-01T00:00:00Z */
#define LAST_SECOND 253402300799LL    /* 9999-12-31T23:59:59Z */
#define MILLI_NANOS 1000000

static int is_leap_year(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* Days from year 0 to the beginning of another, not before it. */
static int64_t days_before_year(int64_t year) {
  const int64_t last = year - 1;
  return year == 0 ? 0 : year * 365 + last / 4 - last / 100 + last / 400 + 1;
}

#define DAYS_BEFORE_1970 719528

static int64_t days_since_1970(int year, int month, int day) {
  int64_t days = days_before_year(year) - DAYS_BEFORE_1970 + day - 1;
  for (int m = 1; m < month; m++) days += days_of_month(year, m);
  return days;
}

/* `count` digits, no more and no less, with a value from min to max. -1 if not. */
static int digits(const char **at, int count, int min, int max) {
  int value = 0;
  for (int i = 0; i < count; i++) {
    const char c = (*at)[i];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  if (value < min || value > max) return -1;
  *at += count;
  return value;
}

static int skip(const char **at, char c) {
  if (**at != c) return 0;
  ++*at;
  return 1;
}

/* Seconds that the local time is ahead of UTC. */
static const char *read_offset(const char **at, int *seconds) {
  *seconds = 0;
  if (skip(at, 'Z') || skip(at, 'z')) return NULL;
  const int east = **at == '+';
  if (!east && **at != '-') {
    return **at == ' '
               ? "there is a blank where Z or an offset has to be; a '+' may have to be "
                 "written as %2B"
               : "it has to end in Z or an offset such as +02:00";
  }
  ++*at;
  const int hour = digits(at, 2, 0, 23);
  if (hour < 0 || !skip(at, ':')) return "its offset has to be from -23:59 to +23:59";
  const int minute = digits(at, 2, 0, 59);
  if (minute < 0) return "its offset has to be from -23:59 to +23:59";
  *seconds = (hour * 60 + minute) * (east ? 60 : -60);
  return NULL;
}

int gsq_time_is_valid(const gsq_time *time) {
  return time->seconds >= FIRST_SECOND && time->seconds <= LAST_SECOND && time->nanos >= 0 &&
         time->nanos < 1000 * MILLI_NANOS;
}

/* A day, counted from the first of year 0, in the calendar. */
static void to_calendar(int64_t days, int *year, int *month, int *day) {
  *year = (int)(days / 366);
  while (days_before_year(*year + 1) <= days) ++*year;
  days -= days_before_year(*year);
  *month = 1;
  while (days >= days_of_month(*year, *month)) days -= days_of_month(*year, (*month)++);
  *day = (int)days + 1;
}

static int begins_a_month(int64_t seconds) {
  int year, month, day;
  if (seconds % DAY_SECONDS != 0) return 0;
  to_calendar(seconds / DAY_SECONDS + DAYS_BEFORE_1970, &year, &month, &day);
  return day == 1;
}

const char *gsq_rfc3339_read(const char *text, gsq_time *out) {
  const char *at = text;
  int month = -1, day = -1;
  const int year = digits(&at, 4, 0, 9999);
  if (year >= 0 && skip(&at, '-')) month = digits(&at, 2, 1, 12);
  if (month > 0 && skip(&at, '-')) day = digits(&at, 2, 1, days_of_month(year, month));
  if (day < 0) return "it has to begin with a date such as 2026-01-31";
  if (!skip(&at, 'T') && !skip(&at, 't')) return "after the date there has to be a T";

  int minute = -1, second = -1;
  const int hour = digits(&at, 2, 0, 23);
  if (hour >= 0 && skip(&at, ':')) minute = digits(&at, 2, 0, 59);
  if (minute >= 0 && skip(&at, ':')) second = digits(&at, 2, 0, 60);
  if (second < 0) return "after the T there has to be a time such as 10:00:00";
  int32_t nanos = 0;
  if (skip(&at, '.')) {
    if (*at < '0' || *at > '9') return "after the point there have to be digits";
    for (int32_t unit = 100 * MILLI_NANOS; *at >= '0' && *at <= '9'; at++, unit /= 10) {
      nanos += (*at - '0') * unit;
    }
  }
  int offset;
  const char *problem = read_offset(&at, &offset);
  if (problem) return problem;
  if (*at) return "something follows it";

  int64_t seconds = days_since_1970(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60;
  seconds += second - offset;
  if (second == 60 && !begins_a_month(seconds)) {
    return "a second 60 is at the end of a month in UTC alone";
  }
  *out = (gsq_time){seconds, nanos};
  return gsq_time_is_valid(out) ? NULL : "in UTC it is not in the years 1 to 9999";
}

void gsq_rfc3339_write(const gsq_time *time, char out[GSQ_RFC3339_BYTES]) {
  int64_t seconds = time->seconds;
  int millis = (time->nanos + MILLI_NANOS - 1) / MILLI_NANOS;
  if (millis == 1000 && seconds == LAST_SECOND) millis = 999; /* there is nothing later */
  if (millis == 1000) {
    millis = 0;
    seconds++;
  }
  seconds -= FIRST_SECOND;
  int year, month, day;
  to_calendar(seconds / DAY_SECONDS + days_before_year(1), &year, &month, &day);
  const int rest = (int)(seconds % DAY_SECONDS);
  snprintf(out, GSQ_RFC3339_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
           (unsigned)year % 10000, (unsigned)month % 100, (unsigned)day % 100,
           (unsigned)rest / 3600 % 100, (unsigned)rest / 60 % 60, (unsigned)rest % 60,
           (unsigned)millis % 1000);
}
