#include "rpc/addresses.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gsq_addresses {
  int moved_fd;
  atomic_int references, current;
  atomic_uint_fast64_t moves;
  int count;
  gsq_url urls[]; /* count */
};

/* Parses the first address of a list. */
static int parse_one(const char *list, size_t length, gsq_url *out, gsq_error *error) {
  if (list[length] == 0) return gsq_url_parse(list, out, error);
  char *text = strndup(list, length);
  if (!text) return gsq_error_nomem(error);
  int code = gsq_url_parse(text, out, error);
  free(text);
  return code;
}

int gsq_addresses_new(const char *list, int moved_fd, gsq_addresses **out, gsq_error *error) {
  if (!list) list = "";
  int count = 0;
  for (const char *at = list; at; at = gsq_address_next(at, gsq_address_length(at))) count++;
  if (count > GSQ_MAX_ADDRESSES) {
    return gsq_error_set(error, GSQ_BAD_URL,
                         "%d addresses of servers, where at most %d are taken", count,
                         GSQ_MAX_ADDRESSES);
  }
  gsq_addresses *addresses = calloc(1, sizeof *addresses + (size_t)count * sizeof(gsq_url));
  if (!addresses) return gsq_error_nomem(error);
  addresses->moved_fd = moved_fd;
  addresses->references = 1;
  addresses->count = count;
  for (int i = 0; i < count; i++) {
    const size_t length = gsq_address_length(list);
    int code = parse_one(list, length, &addresses->urls[i], error);
    if (code != GSQ_OK) {
      free(addresses);
      return code;
    }
    list = gsq_address_next(list, length);
  }
  *out = addresses;
  return GSQ_OK;
}

gsq_addresses *gsq_addresses_share(gsq_addresses *addresses) {
  atomic_fetch_add(&addresses->references, 1);
  return addresses;
}

void gsq_addresses_free(gsq_addresses *addresses) {
  if (addresses && atomic_fetch_sub(&addresses->references, 1) == 1) free(addresses);
}

int gsq_addresses_count(const gsq_addresses *addresses) {
  return addresses->count;
}

const gsq_url *gsq_addresses_url(const gsq_addresses *addresses, int index) {
  return &addresses->urls[index];
}

int gsq_addresses_after(const gsq_addresses *addresses, int index) {
  return index + 1 < addresses->count ? index + 1 : 0;
}

int gsq_addresses_current(gsq_addresses *addresses) {
  return atomic_load(&addresses->current);
}

void gsq_addresses_move(gsq_addresses *addresses, int from, int to) {
  if (from == to || !atomic_compare_exchange_strong(&addresses->current, &from, to)) return;
  atomic_fetch_add(&addresses->moves, 1);
  const uint64_t one = 1;
  while (addresses->moved_fd >= 0 && write(addresses->moved_fd, &one, sizeof one) < 0 &&
         errno == EINTR) {
    continue;
  }
}

uint64_t gsq_addresses_moves(gsq_addresses *addresses) {
  return atomic_load(&addresses->moves);
}
