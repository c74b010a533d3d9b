/* Any text as a URL, and any bytes as the header fields of a status. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/status.h"
#include "rpc/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  memcpy(text, data, size);
  text[size] = 0;
  gsq_url url, again;
  gsq_error error;
  if (gsq_url_parse(text, &url, &error) == GSQ_OK) {
    /* What is shown means the same. */
    if (gsq_url_parse(url.text, &again, &error) != GSQ_OK ||
        strcmp(url.text, again.text) != 0) {
      abort();
    }
  }
  free(text);

  char message[64], reason[40];
  gsq_status_message(data, size, message, sizeof message);
  if (strlen(message) >= sizeof message) abort();
  gsq_status_reason(data, size, reason, sizeof reason);
  for (char *c = reason; *c; c++) {
    if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *c)) abort();
  }
  int code = gsq_status_code(data, size);
  if (code < 0 || code > 16) abort();
  return 0;
}
