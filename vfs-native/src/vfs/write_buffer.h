/*
** What a transaction has written and nobody else may see yet: an overlay of bytes on a snapshot.
**
** It is kept in *units*, whose size is that of the first aligned write of a power of two of at
** least 512 bytes (SQLite's page size, then), else the snapshot's page size. Units live in memory
** up to a limit; beyond it they are staged at the server. A copy of what was staged stays in a
** scratch file, for SQLite reads much of it again; what is not there comes back from the server.
**
** Knows no SQLite and no RPC: bytes beneath it, and the staging, come by functions. Functions
** return GSQ_OK or the code in *error. Used by one thread at a time.
*/
#ifndef GSQ_VFS_WRITE_BUFFER_H
#define GSQ_VFS_WRITE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "service/page_client.h"
#include "vfs/page_list.h"

/* Pages at the server, ahead of a commit, and how many calls were made to put some there, whatever
** became of them: each has its number, which no other one has. */
typedef struct gsq_stage {
  gsq_id id;
  uint64_t calls;
} gsq_stage;

typedef struct gsq_buffer_io {
  void *arg;
  /* Reads bytes of the snapshot, all below its size. */
  int (*read_base)(void *arg, uint64_t offset, void *to, uint32_t size, gsq_error *error);
  /* Reads whole units (numbered from 1, as pages are; ascending) back from a stage, one behind
  ** the other. At most GSQ_BATCH_PAGES. */
  int (*read_stage)(void *arg, const gsq_id *stage, uint32_t unit_size, const uint32_t *numbers,
                    size_t count, void *to, gsq_error *error);
  /* Stages units, of any number. */
  int (*stage)(void *arg, gsq_stage *stage, uint32_t unit_size, const gsq_page_ref *units,
               size_t count, gsq_error *error);
  /* How many units one call of stage should be given. */
  size_t (*stage_batch)(void *arg, uint32_t unit_size);
  /* A new scratch file (base/scratch_file.h), closed by the buffer; -1: there is none. */
  int (*scratch)(void *arg);
} gsq_buffer_io;

typedef struct gsq_write_buffer gsq_write_buffer;

/* NULL: out of memory. max_bytes: of units in memory. */
gsq_write_buffer *gsq_write_buffer_new(const gsq_buffer_io *io, size_t max_bytes);
void gsq_write_buffer_free(gsq_write_buffer *buffer);

/* Forgets everything, and begins anew on a snapshot of this size. */
void gsq_write_buffer_reset(gsq_write_buffer *buffer, uint64_t base_size,
                            uint32_t base_page_size);

/* True if nothing was written or truncated since. */
int gsq_write_buffer_is_empty(const gsq_write_buffer *buffer);

/* Bytes, of the file as its writer sees it. */
uint64_t gsq_write_buffer_size(const gsq_write_buffer *buffer);

int gsq_write_buffer_write(gsq_write_buffer *buffer, uint64_t offset, const void *data,
                           uint32_t size, gsq_error *error);
/* Cuts the file; what is cut is zeros if the file grows again. Growing it this way does nothing,
** as SQLite expects of a file that has holes. */
int gsq_write_buffer_truncate(gsq_write_buffer *buffer, uint64_t size, gsq_error *error);
/* Reads merged bytes, all below the size. */
int gsq_write_buffer_read(gsq_write_buffer *buffer, uint64_t offset, void *to, uint32_t size,
                          gsq_error *error);

/* For the commit. */

/* 0: nothing was written yet. */
uint32_t gsq_write_buffer_unit_size(const gsq_write_buffer *buffer);
/* The stage that has units of this buffer; NULL: there is none. */
gsq_stage *gsq_write_buffer_stage(gsq_write_buffer *buffer);
/* Bytes of the snapshot from here on were cut off at some time. */
uint64_t gsq_write_buffer_base_visible(const gsq_write_buffer *buffer);

typedef struct gsq_unit {
  uint32_t number;     /* from 1 */
  const uint8_t *data; /* the buffer's; NULL: it is staged */
} gsq_unit;
/* All units, by number; malloc'ed. */
int gsq_write_buffer_units(const gsq_write_buffer *buffer, gsq_unit **units, size_t *count,
                           gsq_error *error);
/* Reads staged units back, one behind the other: ascending, at most GSQ_BATCH_PAGES. */
int gsq_write_buffer_read_staged(gsq_write_buffer *buffer, const uint32_t *numbers,
                                 size_t count, void *to, gsq_error *error);

#endif
