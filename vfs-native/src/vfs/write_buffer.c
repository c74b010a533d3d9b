#include "vfs/write_buffer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scratch_file.h"

#define MIN_UNIT 512u
#define MAX_UNIT 65536u
/* For the limit: what malloc and the table take for each unit. */
#define UNIT_OVERHEAD_BYTES 48u
#define FIRST_SLOTS 64u
#define STAGE_BATCH_MAX 4096u

/* A slot of the table: open addressing by unit number, 0 for an empty slot. */
typedef struct slot {
  uint32_t number;
  uint8_t kept;  /* if staged: the scratch file has it too */
  uint8_t *data; /* NULL: staged */
} slot;

struct gsq_write_buffer {
  gsq_buffer_io io;
  size_t max_bytes;

  uint64_t base_size; /* of the snapshot */
  uint64_t
      base_visible; /* the lowest size that the file has had: beyond it the snapshot is gone */
  uint32_t base_page_size; /* 0: an empty snapshot */
  uint64_t size;
  int dirty;

  uint32_t unit_size; /* 0: not known yet */
  slot *slots;
  uint32_t slot_count; /* 0 or a power of two */
  uint32_t used;
  uint32_t in_memory; /* units with data */
  int staged;
  gsq_stage stage;
  int scratch;    /* -1: none */
  int no_scratch; /* of this transaction, any more */
};

static int no_memory(gsq_error *error) {
  return gsq_error_nomem(error);
}

/* The table. */

static uint32_t hash(uint32_t number) {
  return (uint32_t)(number * 2654435761u);
}

static slot *find(const gsq_write_buffer *buffer, uint32_t number) {
  if (buffer->slot_count == 0) return NULL;
  const uint32_t mask = buffer->slot_count - 1;
  for (uint32_t i = hash(number) & mask;; i = (i + 1) & mask) {
    slot *s = &buffer->slots[i];
    if (s->number == number) return s;
    if (s->number == 0) return NULL;
  }
}

static void place(slot *slots, uint32_t slot_count, slot value) {
  const uint32_t mask = slot_count - 1;
  uint32_t i = hash(value.number) & mask;
  while (slots[i].number != 0) i = (i + 1) & mask;
  slots[i] = value;
}

/* Rebuilds the table with room for one more, without the units above `last`. */
static int rebuild(gsq_write_buffer *buffer, uint32_t last, gsq_error *error) {
  uint32_t keep = 0;
  for (uint32_t i = 0; i < buffer->slot_count; i++) {
    const slot *s = &buffer->slots[i];
    if (s->number != 0 && s->number <= last) keep++;
  }
  uint32_t slot_count = FIRST_SLOTS;
  while (slot_count / 2 <= keep) slot_count *= 2;
  slot *slots = calloc(slot_count, sizeof *slots);
  if (!slots) return no_memory(error);
  for (uint32_t i = 0; i < buffer->slot_count; i++) {
    const slot *s = &buffer->slots[i];
    if (s->number == 0) continue;
    if (s->number <= last) {
      place(slots, slot_count, *s);
    } else if (s->data) {
      free(s->data);
      buffer->in_memory--;
    }
  }
  free(buffer->slots);
  buffer->slots = slots;
  buffer->slot_count = slot_count;
  buffer->used = keep;
  return GSQ_OK;
}

static void clear_table(gsq_write_buffer *buffer) {
  for (uint32_t i = 0; i < buffer->slot_count; i++) free(buffer->slots[i].data);
  free(buffer->slots);
  buffer->slots = NULL;
  buffer->slot_count = 0;
  buffer->used = 0;
  buffer->in_memory = 0;
}

/* The scratch file. Whatever fails there, the server has the unit too. */

static void close_scratch(gsq_write_buffer *buffer) {
  if (buffer->scratch >= 0) close(buffer->scratch);
  buffer->scratch = -1;
}

static uint64_t offset_of(const gsq_write_buffer *buffer, uint32_t number) {
  return (uint64_t)(number - 1) * buffer->unit_size;
}

/* Of a unit that was staged just now. */
static void keep(gsq_write_buffer *buffer, slot *s) {
  s->kept = 0;
  if (buffer->no_scratch) return;
  if (buffer->scratch < 0) buffer->scratch = buffer->io.scratch(buffer->io.arg);
  if (buffer->scratch < 0 || gsq_scratch_file_write(buffer->scratch, s->data, buffer->unit_size,
                                                    offset_of(buffer, s->number)) != 0) {
    buffer->no_scratch = 1;
    return;
  }
  s->kept = 1;
}

/* Life. */

gsq_write_buffer *gsq_write_buffer_new(const gsq_buffer_io *io, size_t max_bytes) {
  gsq_write_buffer *buffer = calloc(1, sizeof *buffer);
  if (!buffer) return NULL;
  buffer->io = *io;
  buffer->max_bytes = max_bytes;
  buffer->scratch = -1;
  return buffer;
}

void gsq_write_buffer_free(gsq_write_buffer *buffer) {
  if (!buffer) return;
  clear_table(buffer);
  close_scratch(buffer);
  free(buffer);
}

void gsq_write_buffer_reset(gsq_write_buffer *buffer, uint64_t base_size,
                            uint32_t base_page_size) {
  clear_table(buffer);
  buffer->base_size = buffer->base_visible = buffer->size = base_size;
  buffer->base_page_size = base_page_size;
  buffer->unit_size = 0;
  buffer->dirty = 0;
  buffer->staged = 0;
  close_scratch(buffer);
  buffer->no_scratch = 0;
}

int gsq_write_buffer_is_empty(const gsq_write_buffer *buffer) {
  return !buffer->dirty;
}

uint64_t gsq_write_buffer_size(const gsq_write_buffer *buffer) {
  return buffer->size;
}

uint32_t gsq_write_buffer_unit_size(const gsq_write_buffer *buffer) {
  return buffer->unit_size;
}

gsq_stage *gsq_write_buffer_stage(gsq_write_buffer *buffer) {
  return buffer->staged ? &buffer->stage : NULL;
}

uint64_t gsq_write_buffer_base_visible(const gsq_write_buffer *buffer) {
  return buffer->base_visible;
}

/* Bytes. */

/* Bytes of the snapshot as far as it still shows through, zeros beyond. */
static int read_beneath(gsq_write_buffer *buffer, uint64_t offset, uint8_t *to, uint32_t size,
                        gsq_error *error) {
  uint32_t visible = 0;
  if (offset < buffer->base_visible) {
    uint64_t left = buffer->base_visible - offset;
    visible = left < size ? (uint32_t)left : size;
    int code = buffer->io.read_base(buffer->io.arg, offset, to, visible, error);
    if (code != GSQ_OK) return code;
  }
  memset(to + visible, 0, size - visible);
  return GSQ_OK;
}

/* The bytes of a whole unit, in memory from now on. */
static int load(gsq_write_buffer *buffer, uint32_t number, int read, uint8_t **out,
                gsq_error *error) {
  slot *s = find(buffer, number);
  if (s && s->data) {
    *out = s->data;
    return GSQ_OK;
  }
  uint8_t *data = malloc(buffer->unit_size);
  if (!data) return no_memory(error);
  int code = GSQ_OK;
  if (read && s) {
    code = gsq_write_buffer_read_staged(buffer, &number, 1, data, error);
  } else if (read) {
    code = read_beneath(buffer, offset_of(buffer, number), data, buffer->unit_size, error);
  }
  if (code == GSQ_OK && !s && buffer->used + 1 > buffer->slot_count / 2) {
    code = rebuild(buffer, UINT32_MAX, error);
  }
  if (code != GSQ_OK) {
    free(data);
    return code;
  }
  if (s) {
    s->data = data;
  } else {
    place(buffer->slots, buffer->slot_count, (slot){.number = number, .data = data});
    buffer->used++;
  }
  buffer->in_memory++;
  *out = data;
  return GSQ_OK;
}

/* Moves all units in memory to the server. */
static int spill(gsq_write_buffer *buffer, gsq_error *error) {
  if (!buffer->staged) {
    buffer->stage.calls = 0;
    if (gsq_id_random(&buffer->stage.id) != 0) {
      return gsq_error_set(error, GSQ_INTERNAL, "the system gives no random bytes");
    }
    buffer->staged = 1;
  }
  size_t batch = buffer->io.stage_batch(buffer->io.arg, buffer->unit_size);
  if (batch > STAGE_BATCH_MAX) batch = STAGE_BATCH_MAX;
  gsq_page_ref *units = malloc(batch * sizeof *units);
  slot **places = malloc(batch * sizeof *places);
  int code = units && places ? GSQ_OK : no_memory(error);
  size_t count = 0;
  for (uint32_t i = 0; code == GSQ_OK && i <= buffer->slot_count; i++) {
    if (count > 0 && (count == batch || i == buffer->slot_count)) {
      code = buffer->io.stage(buffer->io.arg, &buffer->stage, buffer->unit_size, units, count,
                              error);
      if (code != GSQ_OK) break;
      for (size_t k = 0; k < count; k++) {
        keep(buffer, places[k]);
        free(places[k]->data);
        places[k]->data = NULL;
        buffer->in_memory--;
      }
      count = 0;
    }
    if (i == buffer->slot_count) break;
    slot *s = &buffer->slots[i];
    if (s->number == 0 || !s->data) continue;
    units[count] =
        (gsq_page_ref){.number = s->number, .data = s->data, .size = buffer->unit_size};
    places[count++] = s;
  }
  free(places);
  free(units);
  return code;
}

static int is_unit_size(uint64_t size) {
  return size >= MIN_UNIT && size <= MAX_UNIT && (size & (size - 1)) == 0;
}

static void choose_unit(gsq_write_buffer *buffer, uint64_t offset, uint64_t size) {
  if (buffer->unit_size) return;
  if (is_unit_size(size) && offset % size == 0) {
    buffer->unit_size = (uint32_t)size;
  } else {
    buffer->unit_size = buffer->base_page_size ? buffer->base_page_size : 4096;
  }
}

int gsq_write_buffer_write(gsq_write_buffer *buffer, uint64_t offset, const void *data,
                           uint32_t size, gsq_error *error) {
  if (size == 0) return GSQ_OK;
  choose_unit(buffer, offset, size);
  const uint32_t unit_size = buffer->unit_size;
  const uint64_t end = offset + size;
  if (end < offset || (end - 1) / unit_size + 1 > UINT32_MAX - 1) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT,
                         "a write at byte %llu is beyond all pages",
                         (unsigned long long)offset);
  }
  buffer->dirty = 1;
  const uint8_t *from = data;
  while (offset < end) {
    const uint32_t number = (uint32_t)(offset / unit_size + 1);
    const uint32_t at = (uint32_t)(offset % unit_size);
    const uint64_t left = end - offset;
    const uint32_t length = left < unit_size - at ? (uint32_t)left : unit_size - at;
    uint8_t *unit;
    int code = load(buffer, number, length < unit_size, &unit, error);
    if (code != GSQ_OK) return code;
    memcpy(unit + at, from, length);
    from += length;
    offset += length;
    if (offset > buffer->size) buffer->size = offset;
    if ((size_t)buffer->in_memory * (unit_size + UNIT_OVERHEAD_BYTES) > buffer->max_bytes) {
      code = spill(buffer, error);
      if (code != GSQ_OK) return code;
    }
  }
  return GSQ_OK;
}

int gsq_write_buffer_truncate(gsq_write_buffer *buffer, uint64_t size, gsq_error *error) {
  if (size >= buffer->size) return GSQ_OK;
  choose_unit(buffer, 1, 0);
  const uint32_t unit_size = buffer->unit_size;
  const uint32_t tail = (uint32_t)(size % unit_size);
  if (tail) {
    uint8_t *unit;
    int code = load(buffer, (uint32_t)(size / unit_size + 1), 1, &unit, error);
    if (code != GSQ_OK) return code;
    memset(unit + tail, 0, unit_size - tail);
  }
  if (buffer->slot_count) {
    int code = rebuild(buffer, (uint32_t)((size + unit_size - 1) / unit_size), error);
    if (code != GSQ_OK) return code;
  }
  buffer->dirty = 1;
  buffer->size = size;
  if (size < buffer->base_visible) buffer->base_visible = size;
  return GSQ_OK;
}

/* How many of these, from the first on, are all in the scratch file, or all not. */
static size_t alike(const gsq_write_buffer *buffer, const uint32_t *numbers, size_t count,
                    int *kept) {
  *kept = find(buffer, numbers[0])->kept;
  size_t n = 1;
  while (n < count && find(buffer, numbers[n])->kept == *kept) n++;
  return n;
}

static int read_kept(const gsq_write_buffer *buffer, const uint32_t *numbers, size_t count,
                     uint8_t *to) {
  for (size_t i = 0; i < count;) {
    size_t run = 1;
    while (i + run < count && numbers[i + run] == numbers[i] + run) run++;
    if (gsq_scratch_file_read(buffer->scratch, to + i * buffer->unit_size,
                              run * buffer->unit_size, offset_of(buffer, numbers[i])) != 0) {
      return -1;
    }
    i += run;
  }
  return 0;
}

int gsq_write_buffer_read_staged(gsq_write_buffer *buffer, const uint32_t *numbers,
                                 size_t count, void *to, gsq_error *error) {
  uint8_t *out = to;
  for (size_t done = 0; done < count;) {
    int kept;
    const size_t n = alike(buffer, numbers + done, count - done, &kept);
    if (!kept || read_kept(buffer, numbers + done, n, out) != 0) {
      int code = buffer->io.read_stage(buffer->io.arg, &buffer->stage.id, buffer->unit_size,
                                       numbers + done, n, out, error);
      if (code != GSQ_OK) return code;
    }
    done += n;
    out += n * buffer->unit_size;
  }
  return GSQ_OK;
}

/* Reads the staged units from `number` on that follow each other, up to `most`. Returns in
** *count how many there were. */
static int read_staged_run(gsq_write_buffer *buffer, uint32_t number, uint32_t most, void *to,
                           uint32_t *count, gsq_error *error) {
  uint32_t numbers[GSQ_BATCH_PAGES];
  uint32_t n = 0;
  for (; n < most && n < GSQ_BATCH_PAGES; n++) {
    const slot *s = find(buffer, number + n);
    if (!s || s->data) break;
    numbers[n] = number + n;
  }
  *count = n;
  return gsq_write_buffer_read_staged(buffer, numbers, n, to, error);
}

int gsq_write_buffer_read(gsq_write_buffer *buffer, uint64_t offset, void *to, uint32_t size,
                          gsq_error *error) {
  uint8_t *out = to;
  const uint32_t unit_size = buffer->unit_size;
  if (buffer->used == 0) return read_beneath(buffer, offset, out, size, error);
  while (size > 0) {
    const uint32_t number = (uint32_t)(offset / unit_size + 1);
    const uint32_t at = (uint32_t)(offset % unit_size);
    uint32_t length = size < unit_size - at ? size : unit_size - at;
    const slot *s = find(buffer, number);
    int code = GSQ_OK;
    if (!s) {
      for (uint32_t next = number + 1; length < size && !find(buffer, next); next++) {
        length = size - length < unit_size ? size : length + unit_size;
      }
      code = read_beneath(buffer, offset, out, length, error);
    } else if (s->data) {
      memcpy(out, s->data + at, length);
    } else if (length == unit_size) {
      uint32_t count;
      code = read_staged_run(buffer, number, size / unit_size, out, &count, error);
      length = count * unit_size;
    } else {
      uint8_t *unit = malloc(unit_size);
      if (!unit) return no_memory(error);
      code = gsq_write_buffer_read_staged(buffer, &number, 1, unit, error);
      if (code == GSQ_OK) memcpy(out, unit + at, length);
      free(unit);
    }
    if (code != GSQ_OK) return code;
    out += length;
    offset += length;
    size -= length;
  }
  return GSQ_OK;
}

static int by_number(const void *a, const void *b) {
  const gsq_unit *x = a, *y = b;
  return x->number < y->number ? -1 : x->number > y->number;
}

int gsq_write_buffer_units(const gsq_write_buffer *buffer, gsq_unit **units, size_t *count,
                           gsq_error *error) {
  gsq_unit *all = malloc((buffer->used + 1) * sizeof *all);
  if (!all) return no_memory(error);
  size_t n = 0;
  for (uint32_t i = 0; i < buffer->slot_count; i++) {
    if (buffer->slots[i].number == 0) continue;
    all[n++] = (gsq_unit){.number = buffer->slots[i].number, .data = buffer->slots[i].data};
  }
  qsort(all, n, sizeof *all, by_number);
  *units = all;
  *count = n;
  return GSQ_OK;
}
