/*
** The page service (proto/src/main/proto/grpsqlite/v1/page_store.proto), one C function per
** RPC. Encodes, calls, decodes, verifies: nothing that comes back out of here has a length,
** count, page number or checksum that was not checked. Keeps no state but the channel.
**
** All functions are thread-safe, block until deadline_ms (gsq_now_ms()'s clock), and return
** GSQ_OK or the code in *error. A page whose checksum is wrong is GSQ_DATA_LOSS.
*/
#ifndef GSQ_SERVICE_PAGE_CLIENT_H
#define GSQ_SERVICE_PAGE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rpc/channel.h"

#define GSQ_ID_BYTES 16
typedef struct gsq_id {
  uint8_t bytes[GSQ_ID_BYTES];
} gsq_id;

/* Fills an id with random bytes from the system. Returns 0, or -1 if it gives none. */
int gsq_id_random(gsq_id *out);

typedef struct gsq_session_info {
  uint32_t ttl_ms;
  uint32_t max_message_bytes; /* what the server receives; at least 128 KiB */
  uint64_t incarnation;       /* which session of its id it is; 0: the server does not say */
  uint8_t commit_group, watch, time_travel, fork, prefetch, lz4;
  char server_name[128];
} gsq_session_info;

/* A database that was made empty is without pages at version 0; one that was forked has its
** origin's then. */
typedef struct gsq_snapshot {
  uint64_t version;
  uint32_t page_size;  /* bytes: 0, or a power of two from 512 to 65536 */
  uint32_t page_count; /* 0 if page_size is 0 */
  uint64_t mark;       /* tells it from another version of that number; 0: not known */
} gsq_snapshot;

/* The mark of the version that a commit makes. */
static inline uint64_t gsq_mark_of(const gsq_id *commit) {
  uint64_t mark = 0;
  for (int i = 0; i < 8; i++) mark = mark << 8 | commit->bytes[i];
  return mark;
}

/* The version that a client has, and its mark, as in gsq_snapshot. */
typedef struct gsq_have {
  uint64_t version, mark;
} gsq_have;

static inline gsq_have gsq_have_of(const gsq_snapshot *snapshot) {
  return (gsq_have){.version = snapshot->version, .mark = snapshot->mark};
}

/* Whether one is not the other: of another number, or of another history, as far as both marks are
** known. */
static inline int gsq_is_other(gsq_have one, gsq_have other) {
  return one.version != other.version ||
         (one.mark != 0 && other.mark != 0 && one.mark != other.mark);
}

typedef struct gsq_changes {
  int all;           /* forget everything, */
  int other_history; /* of other versions too: the server went on from an older copy of its data */
  uint32_t *pages; /* ascending, no duplicates; gsq_changes_free */
  size_t count;
} gsq_changes;
void gsq_changes_free(gsq_changes *changes);

/* A page on its way out. size 0: a page of zeros. */
typedef struct gsq_page_ref {
  uint32_t number;
  const void *data;
  uint32_t size;
} gsq_page_ref;

/* A page that came: verified, its number among those asked for or, if `asked` is 0, sent ahead.
** version is what last wrote it, never above the one read at; 0: it was inherited from the
** database that this one was forked from, or it is staged. The bytes last until this returns.
** size is the page size asked for, or 0 for zeros. When a call is retried, pages that came before
** come again.
** Nonzero aborts the call, which then returns that value; set *error before. */
typedef int (*gsq_page_fn)(void *arg, uint32_t number, uint64_t version, int asked,
                           const uint8_t *data, uint32_t size, gsq_error *error);

typedef struct gsq_page_client {
  gsq_channel *channel;
  gsq_id session;
} gsq_page_client;

int gsq_open_session(const gsq_page_client *client, const char *client_name,
                     gsq_session_info *out, int64_t deadline_ms, gsq_error *error);

typedef struct gsq_view {
  gsq_id database;
  uint32_t view;
  uint64_t floor_version;
  int closed;
} gsq_view;

typedef struct gsq_kept_alive {
  uint32_t ttl_ms;
  uint64_t incarnation; /* of the session that was renewed; as in gsq_session_info */
} gsq_kept_alive;

/* lost: room for max_lost ids; *lost_count of them are set. */
int gsq_keep_alive(const gsq_page_client *client, const gsq_view *views, size_t view_count,
                   gsq_kept_alive *out, gsq_id *lost, size_t max_lost, size_t *lost_count,
                   int64_t deadline_ms, gsq_error *error);

int gsq_close_session(const gsq_page_client *client, int64_t deadline_ms, gsq_error *error);

typedef struct gsq_open_request {
  const char *name;
  int create, read_only;
  uint32_t view;
  int at_version_given;
  uint64_t at_version;
  int at_time_given;
  int64_t at_time_seconds;
  int32_t at_time_nanos;
  uint32_t prefetch_credit_bytes;
  int accept_lz4;              /* pages may come compressed */
  uint32_t read_delegation_ms; /* for how long one is wanted; 0: not at all */
} gsq_open_request;

typedef struct gsq_open_answer {
  gsq_id database;
  gsq_snapshot snapshot;
  uint64_t oldest_version, head_version;
  uint32_t
      read_delegation_ms; /* since the request was sent, the head stays; at most as wanted */
} gsq_open_answer;

/* on_page is called after *out is set, for page 1 if there is one, and what else came. */
int gsq_open_database(const gsq_page_client *client, const gsq_open_request *request,
                      gsq_open_answer *out, gsq_page_fn on_page, void *arg, int64_t deadline_ms,
                      gsq_error *error);

typedef struct gsq_refresh_request {
  gsq_id database;
  gsq_have have;
  uint64_t floor_version;
  uint32_t read_delegation_ms; /* as in gsq_open_request */
} gsq_refresh_request;

typedef struct gsq_refresh_answer {
  gsq_snapshot head;
  gsq_changes changes;         /* gsq_changes_free */
  uint32_t read_delegation_ms; /* as in gsq_open_answer */
} gsq_refresh_answer;

int gsq_refresh(const gsq_page_client *client, const gsq_refresh_request *request,
                gsq_refresh_answer *out, int64_t deadline_ms, gsq_error *error);

typedef struct gsq_page_range {
  uint32_t first, count;
} gsq_page_range;

typedef struct gsq_read_request {
  gsq_id database;
  uint64_t version, mark; /* as in gsq_snapshot */
  uint32_t page_size;     /* pages of another size are GSQ_BAD_ANSWER */
  const gsq_page_range *ranges;
  size_t range_count;
  const gsq_id *stage; /* NULL for none */
  uint32_t prefetch_credit_bytes;
  int accept_lz4; /* pages may come compressed */
} gsq_read_request;

/* Pages that nobody asked for, on their way. For one thread at a time. */
typedef struct gsq_page_rest gsq_page_rest;

/* Every page that was asked for is delivered at least once, or it fails. What comes beyond is waited
** for only if rest is NULL; else *rest is what is yet to come, NULL if nothing is. */
int gsq_read_pages(const gsq_page_client *client, const gsq_read_request *request,
                   gsq_page_fn on_page, void *arg, gsq_page_rest **rest, int64_t deadline_ms,
                   gsq_error *error);

/* Delivers some more of them: one message, and those that came with it. Returns 1 if more are yet to
** come. Else it is freed: those were all, or something went wrong, which matters to nobody. */
int gsq_page_rest_take(gsq_page_rest *rest, gsq_page_fn on_page, void *arg);

/* Wants no more of them. NULL: nothing. */
void gsq_page_rest_abandon(gsq_page_rest *rest);

enum gsq_lease_outcome { GSQ_LEASE_GRANTED = 1, GSQ_LEASE_HELD = 2, GSQ_LEASE_HEAD_MOVED = 3 };

typedef struct gsq_lease_answer {
  enum gsq_lease_outcome outcome;
  uint64_t epoch;
  gsq_snapshot head;
  gsq_changes changes; /* gsq_changes_free */
} gsq_lease_answer;

int gsq_acquire_lease(const gsq_page_client *client, const gsq_id *database,
                      const gsq_have *have, int at_any_version, uint32_t wait_ms,
                      uint64_t floor_version, gsq_lease_answer *out, int64_t deadline_ms,
                      gsq_error *error);

int gsq_release_lease(const gsq_page_client *client, const gsq_id *database, uint64_t epoch,
                      int64_t deadline_ms, gsq_error *error);

/* The pages of one message; the caller keeps it within max_message_bytes, for which
** gsq_pages_wire_size tells how much pages need. */
int gsq_stage_pages(const gsq_page_client *client, const gsq_id *database, uint64_t epoch,
                    const gsq_id *stage, uint64_t call, uint32_t page_size,
                    const gsq_page_ref *pages, size_t count, int64_t deadline_ms,
                    gsq_error *error);

/* As gsq_stage_pages, of a stage that is written in bulk and by several threads at once: no page comes
** twice, and calls are not counted. */
int gsq_stage_in_bulk(const gsq_page_client *client, const gsq_id *database, uint64_t epoch,
                      const gsq_id *stage, uint32_t page_size, const gsq_page_ref *pages,
                      size_t count, int64_t deadline_ms, gsq_error *error);

int gsq_drop_stage(const gsq_page_client *client, const gsq_id *database, const gsq_id *stage,
                   int64_t deadline_ms, gsq_error *error);

typedef struct gsq_commit_request {
  gsq_id database;
  uint64_t epoch;
  gsq_id commit;
  uint64_t base_version;
  uint32_t page_size, page_count;
  const gsq_id *stage; /* NULL for none */
  const gsq_page_ref *pages;
  size_t count;
  uint64_t floor_version;
} gsq_commit_request;

/* *version is set on GSQ_OK, and is base_version + 1. */
int gsq_commit(const gsq_page_client *client, const gsq_commit_request *request,
               uint64_t *version, int64_t deadline_ms, gsq_error *error);

/* Databases in one CommitGroup, at most; more than a SQLite connection can have. */
#define GSQ_MAX_GROUP 128
/* Commits to several databases, all or none, in one message: the caller keeps it within
** max_message_bytes, with GSQ_MESSAGE_OVERHEAD_BYTES for each commit. versions[i] is set on GSQ_OK,
** and is base_version + 1 of requests[i]. */
int gsq_commit_group(const gsq_page_client *client, const gsq_commit_request *const *requests,
                     size_t count, uint64_t *versions, int64_t deadline_ms, gsq_error *error);
enum gsq_watch_kind {
  GSQ_WATCH_OTHER, /* what this client does not know */
  GSQ_WATCH_HEAD_MOVED,
  GSQ_WATCH_LEASE_WANTED,
  GSQ_WATCH_LEASE_LOST,
  GSQ_WATCH_CONFIRMED,
  GSQ_WATCH_DROPPED,
};

typedef struct gsq_watch_event {
  enum gsq_watch_kind kind;
  gsq_id database;       /* but for CONFIRMED */
  uint64_t epoch;        /* LEASE_WANTED, LEASE_LOST */
  gsq_snapshot head;     /* HEAD_MOVED: this, */
  uint64_t from_version; /* at most head.version, unless it is of another history, */
  gsq_changes changes;   /* and what changed between them */
  uint64_t elapsed_ms;   /* CONFIRMED */
} gsq_watch_event;

typedef struct gsq_watched {
  gsq_id database;
  gsq_have have;
} gsq_watched;

typedef struct gsq_watch_request {
  const gsq_watched *databases;
  size_t count;
  uint32_t confirm_every_ms;
  int64_t connect_timeout_ms;
  /* What the event owns lasts until this returns. Nonzero ends the call as in gsq_message_fn. */
  int (*on_event)(void *arg, const gsq_watch_event *event, gsq_error *error);
  /* As gsq_call has them. */
  int (*on_turn)(void *arg, int64_t *until_ms, gsq_error *error);
  int wake_fd;
  void *arg;
} gsq_watch_request;

/* Returns when the stream ends, which it does by itself for no good reason; tries once. */
int gsq_watch(const gsq_page_client *client, const gsq_watch_request *request,
              int64_t deadline_ms, gsq_error *error);

/* What a WatchRequest takes for each database, at most. */
#define GSQ_WATCHED_BYTES 48

/* Upper bound of the bytes that `count` pages of `page_size` take in a message. */
size_t gsq_pages_wire_size(uint32_t page_size, size_t count);
/* What a message needs beside its pages, at most. */
#define GSQ_MESSAGE_OVERHEAD_BYTES 512

#endif
