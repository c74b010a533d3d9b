/*
** Times as people write them: RFC 3339, strictly. Pure.
*/
#ifndef GSQ_VFS_RFC3339_H
#define GSQ_VFS_RFC3339_H

#include <stddef.h>
#include <stdint.h>

/* As google.protobuf.Timestamp has it: since 1970 in UTC, leap seconds left out, from the year 1 to
** 9999; nanos count forward from there. */
typedef struct gsq_time {
  int64_t seconds;
  int32_t nanos; /* 0 to 999999999 */
} gsq_time;

int gsq_time_is_valid(const gsq_time *time);

/* Reads the whole text. A leap second, which can be at the end of a month in UTC, is the second
** after it; what is below a nanosecond is left out. Returns NULL, or what is wrong. */
const char *gsq_rfc3339_read(const char *text, gsq_time *out);

#define GSQ_RFC3339_BYTES sizeof "9999-12-31T23:59:59.999Z"

/* In UTC with milliseconds, rounded up: read again it is never before the time that it was. The
** time is valid. */
void gsq_rfc3339_write(const gsq_time *time, char out[GSQ_RFC3339_BYTES]);

#endif
