#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/commit.h"

#define HEADER_BYTES 100
/* What is fetched at a time for comparing it. */
#define BATCH_BYTES (1u << 20)

static uint32_t be32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void gsq_commit_shape(const uint8_t *header, uint64_t size, uint32_t unit_size,
                      uint32_t *page_size, uint32_t *page_count) {
  uint32_t bytes = (uint32_t)header[16] << 8 | header[17];
  if (bytes == 1) bytes = 65536;
  const int is_database =
      memcmp(header, "SQLite format 3", 16) == 0 && bytes >= 512 && (bytes & (bytes - 1)) == 0;
  if (!is_database) bytes = unit_size;
  const uint64_t by_size = (size + bytes - 1) / bytes;
  uint64_t pages = by_size;
  if (is_database && be32(header + 24) == be32(header + 92)) {
    /* SQLite shrinks the file after it has committed, and never writes the page of its lock byte,
    ** so that the file may lack that one at the end. More than that is no count of this file.
   */
    const uint32_t by_header = be32(header + 28);
    if (by_header != 0 && by_header <= by_size + 1) pages = by_header;
  }
  *page_size = bytes;
  *page_count = pages > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)pages;
}

void gsq_commit_plan_free(gsq_commit_plan *plan) {
  free(plan->pages);
  free(plan->changed);
  memset(plan, 0, sizeof *plan);
}

static int no_memory(gsq_error *error) {
  return gsq_error_nomem(error);
}

/* As SQLite sees page 1: a database that was in WAL mode is shown in rollback mode, and what it
** writes back for that is no change. */
static void mask_wal(uint32_t number, uint8_t *page) {
  if (number != 1) return;
  if (page[18] == 2) page[18] = 1;
  if (page[19] == 2) page[19] = 1;
}

typedef struct comparison {
  gsq_database *database;
  const gsq_snapshot *base;
  gsq_write_buffer *buffer;
  int64_t timeout_ms;
  const gsq_unit *units;
  size_t count;         /* of units that the commit would have */
  uint32_t base_pages;  /* of the snapshot, still to be seen */
  int leaves_out;       /* what is equal */
  unsigned char *equal; /* per unit: surely the same as in the snapshot, and left out */
} comparison;

/* Compares what needs no RPC. Returns 1 if a page surely differs. */
static int differs_at_hand(comparison *c, uint8_t *page) {
  int differs = 0;
  for (size_t i = 0; i < c->count; i++) {
    const gsq_unit *unit = &c->units[i];
    if (unit->number > c->base_pages) {
      differs = 1;
    } else if (unit->data && gsq_database_cached(c->database, c->base, unit->number, page)) {
      mask_wal(unit->number, page);
      if (memcmp(page, unit->data, c->base->page_size) == 0) {
        c->equal[i] = (unsigned char)c->leaves_out;
      } else {
        differs = 1;
      }
    }
  }
  return differs;
}

/* How many pages the next batch compares. The first is one: of a commit, the first page that was
** written differs, for SQLite does not write a page that it did not change. */
static size_t grown(size_t pages, uint32_t page_size) {
  const size_t fit = BATCH_BYTES / page_size;
  const size_t most = fit < GSQ_BATCH_PAGES ? fit : GSQ_BATCH_PAGES;
  return pages * 8 < most ? pages * 8 : most;
}

/* Compares one batch of those that are not known to be equal, from the unit *next on. */
static int compare_batch(comparison *c, size_t *next, size_t most, uint8_t *theirs,
                         uint8_t *staged, int *differs, gsq_error *error) {
  const uint32_t page_size = c->base->page_size;
  const gsq_unit *units[GSQ_BATCH_PAGES];
  uint32_t numbers[GSQ_BATCH_PAGES], staged_numbers[GSQ_BATCH_PAGES];
  size_t count = 0, staged_count = 0;
  for (; *next < c->count && count < most; (*next)++) {
    if (c->equal[*next]) continue;
    const gsq_unit *unit = &c->units[*next];
    units[count] = unit;
    numbers[count++] = unit->number;
    if (!unit->data) staged_numbers[staged_count++] = unit->number;
  }
  if (count == 0) return GSQ_OK;
  int code = gsq_database_read_pages(c->database, c->base, numbers, count, theirs,
                                     gsq_now_ms() + c->timeout_ms, error);
  if (code == GSQ_OK && staged_count > 0) {
    code = gsq_write_buffer_read_staged(c->buffer, staged_numbers, staged_count, staged, error);
  }
  if (code != GSQ_OK) return code;
  for (size_t i = 0; i < count && !*differs; i++) {
    const uint8_t *ours = units[i]->data;
    if (!ours) {
      ours = staged;
      staged += page_size;
    }
    mask_wal(numbers[i], theirs);
    *differs = memcmp(theirs, ours, page_size) != 0;
    theirs += page_size;
  }
  return GSQ_OK;
}

/* Compares all others, up to the first that differs. Seldom has to: so its buffers are its own. */
static int differs_at_all(comparison *c, int *differs, gsq_error *error) {
  int code = GSQ_OK;
  uint8_t *theirs = malloc(BATCH_BYTES), *staged = malloc(BATCH_BYTES);
  if (!theirs || !staged) code = no_memory(error);
  size_t next = 0, most = 1;
  *differs = 0;
  while (code == GSQ_OK && next < c->count && !*differs) {
    code = compare_batch(c, &next, most, theirs, staged, differs, error);
    most = grown(most, c->base->page_size);
  }
  free(staged);
  free(theirs);
  return code;
}

/* The buffer's units are the pages: those that differ, and those that nobody wrote. */
static int plan_units(gsq_database *database, const gsq_snapshot *base,
                      gsq_write_buffer *buffer, int64_t timeout_ms, gsq_commit_plan *plan,
                      gsq_error *error) {
  const uint32_t page_size = plan->page_size;
  gsq_unit *units = NULL;
  size_t count = 0;
  unsigned char *equal = NULL;
  uint8_t *theirs = NULL;
  int code = gsq_write_buffer_units(buffer, &units, &count, error);
  if (code != GSQ_OK) return code;
  while (count > 0 && units[count - 1].number > plan->page_count) count--;

  uint64_t shown = gsq_write_buffer_base_visible(buffer) / page_size;
  const uint32_t base_pages = shown < base->page_count ? (uint32_t)shown : base->page_count;
  comparison c = {.database = database,
                  .base = base,
                  .buffer = buffer,
                  .timeout_ms = timeout_ms,
                  .units = units,
                  .count = count,
                  .base_pages = base_pages,
                  /* A stage may have an image of it that was overtaken since, and the commit has
                  ** all of the stage but what it has itself. */
                  .leaves_out = gsq_write_buffer_stage(buffer) == NULL};
  /* Pages to send that nobody wrote: above what is left of the snapshot. */
  const size_t above = plan->page_count > base_pages ? plan->page_count - base_pages : 0;
  c.equal = equal = calloc(count + 1, 1);
  if (!equal) {
    code = no_memory(error);
    goto out;
  }
  int differs = plan->page_count != base->page_count || above > 0;
  if (base->page_count > 0) {
    theirs = malloc(base->page_size);
    if (!theirs) {
      code = no_memory(error);
      goto out;
    }
    differs |= differs_at_hand(&c, theirs);
  }
  if (!differs) {
    code = differs_at_all(&c, &differs, error);
    if (code != GSQ_OK) goto out;
  }
  if (!differs) {
    plan->nothing = 1;
    goto out;
  }

  plan->pages = malloc((count + above + 1) * sizeof *plan->pages);
  plan->changed = malloc((count + above + 1) * sizeof *plan->changed);
  if (!plan->pages || !plan->changed) {
    code = no_memory(error);
    goto out;
  }
  uint32_t unwritten = base_pages + 1; /* the next page that must be named */
  for (size_t i = 0; i <= count; i++) {
    const uint64_t until = i < count ? units[i].number : (uint64_t)plan->page_count + 1;
    for (; unwritten < until; unwritten++) {
      plan->pages[plan->count++] = (gsq_page_ref){.number = unwritten};
      plan->changed[plan->changed_count++] = unwritten;
    }
    if (i == count) break;
    if (unwritten == units[i].number) unwritten++;
    if (equal[i]) continue;
    plan->changed[plan->changed_count++] = units[i].number;
    if (units[i].data) {
      plan->pages[plan->count++] =
          (gsq_page_ref){.number = units[i].number, .data = units[i].data, .size = page_size};
    }
  }
out:
  free(theirs);
  free(equal);
  free(units);
  return code;
}

/* The pages have to be cut anew. Unless that gives the snapshot again, all are sent. */
static int plan_every_page(gsq_database *database, const gsq_snapshot *base,
                           gsq_write_buffer *buffer, int64_t timeout_ms, gsq_commit_plan *plan,
                           gsq_error *error) {
  plan->every_page = 1;
  if (base->page_size != plan->page_size || base->page_count != plan->page_count) return GSQ_OK;
  const uint32_t page_size = base->page_size;
  int code = GSQ_OK;
  uint8_t *theirs = malloc(BATCH_BYTES), *ours = malloc(BATCH_BYTES);
  if (!theirs || !ours) code = no_memory(error);
  plan->nothing = 1;
  size_t most = 1;
  for (uint32_t done = 0; code == GSQ_OK && plan->nothing && done < base->page_count;) {
    const uint32_t left = base->page_count - done;
    const uint32_t count = left < most ? left : (uint32_t)most;
    const uint64_t offset = (uint64_t)done * page_size;
    code = gsq_database_read(database, base, offset, theirs, count * page_size, NULL,
                             gsq_now_ms() + timeout_ms, error);
    if (code == GSQ_OK) {
      code = gsq_write_buffer_read(buffer, offset, ours, count * page_size, error);
    }
    if (code != GSQ_OK) break;
    mask_wal(done + 1, theirs);
    if (memcmp(theirs, ours, (size_t)count * page_size) != 0) plan->nothing = 0;
    done += count;
    most = grown(most, page_size);
  }
  free(ours);
  free(theirs);
  return code;
}

int gsq_commit_plan_make(gsq_database *database, const gsq_snapshot *base,
                         gsq_write_buffer *buffer, int64_t timeout_ms, gsq_commit_plan *out,
                         gsq_error *error) {
  memset(out, 0, sizeof *out);
  const uint64_t size = gsq_write_buffer_size(buffer);
  const uint32_t unit_size = gsq_write_buffer_unit_size(buffer);
  uint8_t header[HEADER_BYTES] = {0};
  if (size >= HEADER_BYTES) {
    int code = gsq_write_buffer_read(buffer, 0, header, HEADER_BYTES, error);
    if (code != GSQ_OK) return code;
  }
  gsq_commit_shape(header, size, unit_size, &out->page_size, &out->page_count);
  const int same_size = out->page_size == base->page_size || base->page_count == 0;
  int code = same_size && out->page_size == unit_size
                 ? plan_units(database, base, buffer, timeout_ms, out, error)
                 : plan_every_page(database, base, buffer, timeout_ms, out, error);
  if (code != GSQ_OK) gsq_commit_plan_free(out);
  return code;
}
