/* Several servers' addresses in one text: http://a:1,http://b:2. Pure. */
#ifndef GSQ_BASE_ADDRESS_LIST_H
#define GSQ_BASE_ADDRESS_LIST_H

#include <stddef.h>

/* More than anybody has of servers that are interchangeable; bounds what a call may try. */
#define GSQ_MAX_ADDRESSES 16

/* The length of the first address of a list. It ends with the list or before a comma. The path of a
** Unix socket may have commas: only one that an address follows ends it. */
size_t gsq_address_length(const char *list);

/* What follows the first address, which has this length: the next one, or NULL at the end. */
const char *gsq_address_next(const char *list, size_t length);

#endif
