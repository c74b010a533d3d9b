#include "vfs/disk_known.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64u

void gsq_known_free(gsq_known *known) {
  free(known->changed);
  memset(known, 0, sizeof *known);
}

void gsq_known_restart(gsq_known *known, uint64_t version, uint64_t mark) {
  gsq_known_free(known);
  known->since = known->through = version;
  known->mark = mark;
}

/* Makes room for a page. Doubling copies: who shared an entry goes on with its value. */
static int make_room(gsq_known *known, uint32_t page) {
  uint32_t room = known->room ? known->room : FIRST_ROOM;
  while (room < page && room < GSQ_KNOWN_PAGES) room *= 2;
  if (room == known->room) return 1;
  uint64_t *changed = calloc(room, sizeof *changed);
  if (!changed) return 0;
  for (uint32_t i = 0; known->room && i < room; i += known->room) {
    memcpy(changed + i, known->changed, known->room * sizeof *changed);
  }
  free(known->changed);
  known->changed = changed;
  known->room = room;
  return 1;
}

int gsq_known_learn(gsq_known *known, uint64_t from, uint64_t to, uint64_t mark, int all,
                    const uint32_t *pages, size_t count) {
  if (from > known->through || to <= known->through) return 0;
  uint32_t highest = 0;
  for (size_t i = 0; i < count; i++) {
    if (pages[i] > highest) highest = pages[i];
  }
  if (all || (count > 0 && !make_room(known, highest))) {
    gsq_known_restart(known, to, mark);
    return 1;
  }
  for (size_t i = 0; i < count; i++) {
    if (pages[i] > 0) known->changed[(pages[i] - 1) & (known->room - 1)] = to;
  }
  known->through = to;
  known->mark = mark;
  return 1;
}

uint64_t gsq_known_unchanged_since(const gsq_known *known, uint32_t page) {
  const uint64_t changed = known->room > 0 ? known->changed[(page - 1) & (known->room - 1)] : 0;
  return changed > known->since ? changed : known->since;
}

uint64_t gsq_known_until(const gsq_known *known, uint32_t page, uint64_t seen) {
  const int holds = seen < known->through && seen >= gsq_known_unchanged_since(known, page);
  return holds ? known->through : seen;
}
