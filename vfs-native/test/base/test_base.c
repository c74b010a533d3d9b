/* Errors and the clock. */
#include "base/clock.h"
#include "base/error.h"
#include "check.h"

int main(void) {
  gsq_error error;
  memset(&error, 'x', sizeof error);
  error.sent_before = 1;
  CHECK_INT(GSQ_NOT_FOUND, gsq_error_set(&error, GSQ_NOT_FOUND, "no %s", "page"));
  CHECK_INT(GSQ_NOT_FOUND, error.code);
  CHECK_STR("no page", error.message);
  CHECK_STR("", error.reason);
  CHECK_INT(1, error.sent_before);
  CHECK(!gsq_error_is(&error, ""));
  strcpy(error.reason, "LEASE_LOST");
  CHECK(gsq_error_is(&error, "LEASE_LOST"));
  CHECK(!gsq_error_is(&error, "LEASE"));

  char longer[2000];
  memset(longer, 'y', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  gsq_error_set(&error, GSQ_UNKNOWN, "%s", longer);
  CHECK_INT(sizeof error.message - 1, strlen(error.message));

  int64_t before = gsq_now_ms();
  CHECK(before > 0);
  CHECK(gsq_now_ms() >= before);
  return check_done();
}
