/*
** Stages the pages of a database file at a server that has the page service, in bulk: each byte goes
** from the file's pages in memory to a buffer, and from there to the socket. Who calls it has the
** session and the lease, keeps them alive, and commits afterwards.
*/
#ifndef GSQ_RELAY_UPLOAD_H
#define GSQ_RELAY_UPLOAD_H

#include <stdint.h>

#include "base/error.h"
#include "service/page_client.h"

typedef struct gsq_upload {
  gsq_page_client client;
  gsq_id database, stage;
  uint64_t epoch;
  uint32_t page_size, page_count, max_message_bytes;
  int64_t timeout_ms; /* of each message */
  int fd;             /* the file; read by position */

  /* `bytes` more have been taken by the server. Of one thread at a time. */
  void (*on_sent)(void *arg, uint64_t bytes);
  void *arg;
} gsq_upload;

/* Returns when the server has all pages, or with the code in *error when one of its threads failed. */
int gsq_upload_run(const gsq_upload *upload, gsq_error *error);

#endif
