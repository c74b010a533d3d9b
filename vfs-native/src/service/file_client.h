/*
** The file service (proto/src/main/proto/grpc_vfs.proto), one C function per RPC. The same
** rules as in page_client.h.
*/
#ifndef GSQ_SERVICE_FILE_CLIENT_H
#define GSQ_SERVICE_FILE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rpc/channel.h"

typedef struct gsq_file_capabilities {
  char context[256]; /* longer ones are GSQ_BAD_ANSWER */
  int atomic_batch, point_in_time_reads;
  int32_t sector_size;
  int64_t heartbeat_interval_ms; /* the default filled in */
} gsq_file_capabilities;

/* What each request about a file repeats. */
typedef struct gsq_file_ref {
  const char *context, *lease_id, *file_name, *database;
} gsq_file_ref;

int gsq_file_get_capabilities(gsq_channel *channel, const char *token,
                              gsq_file_capabilities *out, int64_t deadline_ms,
                              gsq_error *error);
/* lease_id: room for 256 bytes; longer ones are GSQ_BAD_ANSWER. */
int gsq_file_acquire_lease(gsq_channel *channel, const char *context, const char *database,
                           char *lease_id, int64_t deadline_ms, gsq_error *error);
int gsq_file_close(gsq_channel *channel, const gsq_file_ref *file, int64_t deadline_ms,
                   gsq_error *error);
int gsq_file_heartbeat(gsq_channel *channel, const char *context, const char *lease_id,
                       int64_t deadline_ms, gsq_error *error);

/* Reads into buffer. *got: how many bytes came, at most length; or, if the answer says that the
** caller's copy (of checksum `have_checksum`, 0 for none) is right, *unchanged is 1. */
int gsq_file_read(gsq_channel *channel, const gsq_file_ref *file, int64_t offset,
                  uint32_t length, int64_t time_millis, uint64_t have_checksum, void *buffer,
                  uint32_t *got, int *unchanged, int64_t *at_time_millis, int64_t deadline_ms,
                  gsq_error *error);
int gsq_file_write(gsq_channel *channel, const gsq_file_ref *file, int64_t offset,
                   const void *data, uint32_t size, int64_t deadline_ms, gsq_error *error);

typedef struct gsq_file_write_ref {
  int64_t offset;
  const void *data;
  uint32_t size;
} gsq_file_write_ref;
int gsq_file_write_batch(gsq_channel *channel, const gsq_file_ref *file,
                         const gsq_file_write_ref *writes, size_t count, int64_t deadline_ms,
                         gsq_error *error);
int gsq_file_size(gsq_channel *channel, const gsq_file_ref *file, int64_t *size,
                  int64_t deadline_ms, gsq_error *error);
int gsq_file_truncate(gsq_channel *channel, const gsq_file_ref *file, int64_t size,
                      int64_t deadline_ms, gsq_error *error);
int gsq_file_delete(gsq_channel *channel, const gsq_file_ref *file, int64_t deadline_ms,
                    gsq_error *error);
/* *response: malloc'ed, NUL-terminated, NULL if the pragma had nothing to say. GSQ_NOT_FOUND:
** not a pragma of this server. value may be NULL. */
int gsq_file_pragma(gsq_channel *channel, const gsq_file_ref *file, const char *name,
                    const char *value, char **response, int64_t deadline_ms, gsq_error *error);

#endif
