/*
** Turning a write buffer into a commit: what has to be sent, sending it, and saying truthfully
** how it ended.
*/
#ifndef GSQ_VFS_COMMIT_H
#define GSQ_VFS_COMMIT_H

#include "vfs/database.h"
#include "vfs/write_buffer.h"

/*
** A transaction's way to stage pages. A stage lives in one session, under one lease epoch; if
** either changes, what was staged is gone, and nothing may be added to what is left of it.
*/
typedef struct gsq_stager {
  gsq_database *database;
  const gsq_pin *pin;
  int64_t timeout_ms;
  int used;         /* something was staged */
  uint64_t session; /* server->session of the first staging */
  uint64_t epoch;   /* and its lease epoch */
} gsq_stager;

/* Sends pages, of any number, to a stage. */
int gsq_stager_send(gsq_stager *stager, gsq_stage *stage, uint32_t page_size,
                    const gsq_page_ref *pages, size_t count, gsq_error *error);
/* Reads pages back, one behind the other: ascending, at most GSQ_BATCH_PAGES. */
int gsq_stager_read(gsq_stager *stager, const gsq_id *stage, uint32_t page_size,
                    const uint32_t *numbers, size_t count, void *to, gsq_error *error);
/* Drops a stage, without waiting long: it ends with the session anyway. */
void gsq_stager_drop(gsq_stager *stager, const gsq_id *stage);
/* How many pages fit one message. */
size_t gsq_stager_batch(const gsq_stager *stager, uint32_t page_size);

/* What the next version would be. */
typedef struct gsq_commit_plan {
  uint32_t page_size, page_count;
  int nothing;         /* no page differs from the snapshot */
  int every_page;      /* all pages are sent, cut anew from the buffer; `pages` is unused */
  gsq_page_ref *pages; /* to send, by number; their bytes are the buffer's */
  size_t count;
  uint32_t *changed; /* the numbers of those and of the staged ones, ascending */
  size_t changed_count;
} gsq_commit_plan;

/* timeout_ms: of each RPC that it takes. */
int gsq_commit_plan_make(gsq_database *database, const gsq_snapshot *base,
                         gsq_write_buffer *buffer, int64_t timeout_ms, gsq_commit_plan *out,
                         gsq_error *error);
void gsq_commit_plan_free(gsq_commit_plan *plan);

/* The page size and count that page 1, of which `header` has the first 100 bytes, says for a file
** of `size` bytes; `unit_size` if it is no SQLite database. Pure. */
void gsq_commit_shape(const uint8_t *header, uint64_t size, uint32_t unit_size,
                      uint32_t *page_size, uint32_t *page_count);

enum gsq_commit_outcome {
  GSQ_COMMIT_NOTHING = 1, /* nothing differed, nothing was sent */
  GSQ_COMMIT_PREPARED,    /* ready to be sent */
  GSQ_COMMIT_DONE,        /* applied; the pin is at the new version */
  GSQ_COMMIT_REFUSED,     /* not applied, and never will be; *error says why */
  GSQ_COMMIT_UNKNOWN,     /* nobody can tell; *error says why */
};

/* A commit that can be sent. It refers to the buffer, whose writes stay as they are until then. */
typedef struct gsq_prepared {
  gsq_database *database;
  gsq_pin *pin;
  gsq_stager *stager;
  gsq_commit_request request;
  gsq_commit_plan plan;
  gsq_stage own_stage; /* beside the buffer's; request.stage is of one of them */
  gsq_id old_stage;    /* the buffer's, from which pages were cut anew: */
  int has_old_stage;   /* it goes with the commit */
  uint8_t *bytes;      /* pages that were cut anew, malloc'ed: */
  gsq_page_ref *cut;   /* what request.pages is then */
} gsq_prepared;

/* Stages what has to be, and prepares the rest: NOTHING, PREPARED or REFUSED. room: bytes of pages
** that the message has room for. */
enum gsq_commit_outcome gsq_commit_prepare(gsq_database *database, gsq_pin *pin,
                                           gsq_write_buffer *buffer, gsq_stager *stager,
                                           size_t room, gsq_prepared *out, gsq_error *error);
/* How many of them it has. */
size_t gsq_prepared_bytes(const gsq_prepared *prepared);
/* Sends commits to databases of one server, all or none: DONE, REFUSED or UNKNOWN. More than one
** only where the server commits groups; at most GSQ_MAX_GROUP. */
enum gsq_commit_outcome gsq_commit_send(gsq_prepared *const *commits, size_t count,
                                        gsq_error *error);
/* After it was sent, or instead. */
void gsq_prepared_free(gsq_prepared *prepared, enum gsq_commit_outcome outcome);

/* Prepares and sends the commit of one database. */
enum gsq_commit_outcome gsq_commit_buffer(gsq_database *database, gsq_pin *pin,
                                          gsq_write_buffer *buffer, gsq_stager *stager,
                                          gsq_error *error);

#endif
