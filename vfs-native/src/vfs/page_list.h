/*
** Reading a list of pages into one piece of memory. Pure.
*/
#ifndef GSQ_VFS_PAGE_LIST_H
#define GSQ_VFS_PAGE_LIST_H

#include "service/page_client.h"

/* Pages that one call for a list of them reads at most. */
#define GSQ_BATCH_PAGES 256

typedef struct gsq_page_list {
  const uint32_t *numbers; /* ascending, each once */
  size_t count;
  uint32_t page_size;
  uint8_t *to; /* room for `count` pages, one behind the other */
} gsq_page_list;

/* The numbers as ranges: room for as many as there are numbers. Returns how many it are. */
size_t gsq_page_ranges(const uint32_t *numbers, size_t count, gsq_page_range *ranges);

/* A gsq_page_fn for a gsq_page_list: puts a page in its place, if it is in the list. */
int gsq_page_list_take(void *list, uint32_t number, uint64_t version, int asked,
                       const uint8_t *data, uint32_t size, gsq_error *error);

#endif
