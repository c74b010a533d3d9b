/* Every allocation of the settings fails once: -2, nothing kept. */
#include "alloc_fault.h"
#include "check.h"
#include "vfs/settings.h"

static const char *value_of(void *arg, const char *key) {
  static const char *const pairs[] = {
      "server", "https://h,https://i", "token", "t",        "ca_file",
      "/ca",    "cert_file",           "/cert", "key_file", "/key",
      "at",     "2026-01-31T10:00:00Z"};
  (void)arg;
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i += 2) {
    if (!strcmp(pairs[i], key))
      return pairs[i + 1];
  }
  return NULL;
}

int main(void) {
  int n = 0, rc;
  do {
    gsq_settings settings;
    char message[200];
    alloc_fault_at(++n, 0);
    rc = gsq_settings_read("main.db", value_of, NULL, NULL, &settings, message, sizeof message);
    int hits = alloc_fault_hits();
    alloc_fault_at(0, 0);
    CHECK_INT(hits ? -2 : 0, rc);
    if (hits)
      CHECK(!settings.name && !settings.server && !settings.at);
    gsq_settings_free(&settings);
  } while (rc == -2 && n < 100);
  CHECK_INT(9, n); /* name, server twice, token, three files, at; then none failed */
  return check_done();
}
