/*
** What the VFS asks the Admin service (proto/src/main/proto/grpsqlite/v1/admin.proto). The same rules
** as in page_client.h.
*/
#ifndef GSQ_SERVICE_ADMIN_CLIENT_H
#define GSQ_SERVICE_ADMIN_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rpc/channel.h"
#include "service/page_client.h"

typedef struct gsq_version_info {
  uint64_t version; /* at most INT64_MAX */
  int64_t committed_at_seconds;
  int32_t committed_at_nanos; /* 0 to 999999999 */
  uint32_t pages_changed;
  uint32_t page_size, page_count; /* as in gsq_snapshot */
} gsq_version_info;

/* With its NUL. */
#define GSQ_PAGE_TOKEN_BYTES 256

/* Some of a database's versions, newest first. */
typedef struct gsq_version_list {
  gsq_version_info *versions; /* gsq_version_list_free */
  size_t count;
  char next[GSQ_PAGE_TOKEN_BYTES]; /* where the next ones begin; "": there are none */
} gsq_version_list;
void gsq_version_list_free(gsq_version_list *list);

/* At most `limit` (from 1) versions from where `token` says, "" for the newest. Each is below the one
** before it, and all are below `below`: so who goes on with the last one's number comes to an end,
** whatever the server says. */
int gsq_list_versions(gsq_channel *channel, const char *name, uint32_t limit, const char *token,
                      uint64_t below, gsq_version_list *out, int64_t deadline_ms,
                      gsq_error *error);

/* Makes a database of another's head. It is done once however often it is sent: `commit` is random,
** and this fork's alone. */
int gsq_fork_database(gsq_channel *channel, const char *name, const char *new_name,
                      const gsq_id *commit, int64_t deadline_ms, gsq_error *error);

/* Of a version, under a lease that the session has and keeps. */
typedef struct gsq_restore_request {
  const char *name;
  uint64_t version;
  gsq_id commit; /* as gsq_fork_database has it */
  gsq_id session;
  uint64_t epoch;
} gsq_restore_request;
/* *version: the one that was made. */
int gsq_restore_database(gsq_channel *channel, const gsq_restore_request *request,
                         uint64_t *version, int64_t deadline_ms, gsq_error *error);

#endif
