#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int gsq_error_set(gsq_error *error, int code, const char *format, ...) {
  error->code = code;
  error->reason[0] = 0;
  va_list args;
  va_start(args, format);
  vsnprintf(error->message, sizeof error->message, format, args);
  va_end(args);
  return code;
}

int gsq_error_nomem(gsq_error *error) {
  return gsq_error_set(error, GSQ_NOMEM, "out of memory");
}

int gsq_error_is(const gsq_error *error, const char *reason) {
  return error->reason[0] != 0 && strcmp(error->reason, reason) == 0;
}
