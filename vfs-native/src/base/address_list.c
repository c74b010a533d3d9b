#include "base/address_list.h"

#include <string.h>
#include <strings.h>

/* After the comma at `comma` and the spaces that may follow it. */
static const char *after(const char *comma) {
  return comma + 1 + strspn(comma + 1, " ");
}

static int is_address(const char *text) {
  return !strncasecmp(text, "http://", 7) || !strncasecmp(text, "https://", 8) ||
         !strncasecmp(text, "unix:", 5);
}

size_t gsq_address_length(const char *list) {
  size_t length = strcspn(list, ",");
  if (strncasecmp(list, "unix:", 5)) return length;
  while (list[length] && !is_address(after(list + length))) {
    length += 1 + strcspn(list + length + 1, ",");
  }
  return length;
}

const char *gsq_address_next(const char *list, size_t length) {
  return list[length] ? after(list + length) : NULL;
}
