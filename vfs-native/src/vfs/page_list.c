#include "vfs/page_list.h"

#include <string.h>

size_t gsq_page_ranges(const uint32_t *numbers, size_t count, gsq_page_range *ranges) {
  size_t range_count = 0;
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && numbers[i] == numbers[i - 1] + 1) {
      ranges[range_count - 1].count++;
    } else {
      ranges[range_count++] = (gsq_page_range){.first = numbers[i], .count = 1};
    }
  }
  return range_count;
}

int gsq_page_list_take(void *arg, uint32_t number, uint64_t version, int asked,
                       const uint8_t *data, uint32_t size, gsq_error *error) {
  const gsq_page_list *list = arg;
  (void)version;
  (void)asked;
  (void)error;
  size_t from = 0, until = list->count;
  while (from < until) {
    const size_t middle = from + (until - from) / 2;
    if (list->numbers[middle] < number) {
      from = middle + 1;
    } else {
      until = middle;
    }
  }
  if (from == list->count || list->numbers[from] != number) return 0;
  uint8_t *to = list->to + from * list->page_size;
  if (size) {
    memcpy(to, data, list->page_size);
  } else {
    memset(to, 0, list->page_size);
  }
  return 0;
}
