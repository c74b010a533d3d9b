/*
** Where a channel's server is: one address, or those of several servers that are interchangeable, and
** which of them is in use. Channels that share it go to the same one: sessions, and what a server
** tells by itself, are of one server.
**
** Thread-safe, without a lock.
*/
#ifndef GSQ_RPC_ADDRESSES_H
#define GSQ_RPC_ADDRESSES_H

#include <stdint.h>

#include "base/address_list.h"
#include "base/error.h"
#include "rpc/url.h"

typedef struct gsq_addresses gsq_addresses;

/* Parses the list. moved_fd: an eventfd that is written to whenever another address comes into use;
** -1: none. GSQ_BAD_URL, GSQ_NOMEM. */
int gsq_addresses_new(const char *list, int moved_fd, gsq_addresses **out, gsq_error *error);
gsq_addresses *gsq_addresses_share(gsq_addresses *addresses);
/* The last one who shares it frees it. May be NULL. */
void gsq_addresses_free(gsq_addresses *addresses);

int gsq_addresses_count(const gsq_addresses *addresses);
/* Lasts as long as `addresses`. */
const gsq_url *gsq_addresses_url(const gsq_addresses *addresses, int index);
/* The one after it; after the last one, the first. */
int gsq_addresses_after(const gsq_addresses *addresses, int index);

/* The one in use: the last one that was found to work, at first the first. */
int gsq_addresses_current(gsq_addresses *addresses);
/* Says that `to` works, which was tried because `from` did not. Somebody else may have found another
** one meanwhile, which then stays. */
void gsq_addresses_move(gsq_addresses *addresses, int from, int to);
/* How often another one came into use. */
uint64_t gsq_addresses_moves(gsq_addresses *addresses);

#endif
