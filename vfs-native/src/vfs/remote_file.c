/*
** The methods of a database file in the page service.
**
** A file is at a snapshot while it has a lock. What SQLite reads is that snapshot with what this
** connection has written laid over it; what it writes stays in the write buffer until the SYNC
** file control, which is the commit (gsq_remote_sync). Nothing of it is at the server before, but in
** a stage that only this session can see; and nothing on disk here, but in a nameless file beside that.
**
** LOCKS, as SQLite asks for them, and what each step means here:
**
**              xLock SHARED           xLock RESERVED          xLock EXCLUSIVE
**      NONE ------------------> SHARED ---------------> RESERVED -------------> EXCLUSIVE
**       ^    pins a snapshot      ^     the lease, at       |    nothing: readers   |
**       |                         |     that snapshot       |    keep theirs        |
**       |                         +-------------------------+-----------------------+
**       |                              xUnlock SHARED: what was not committed is dropped
**       +--- xUnlock NONE: and the snapshot is released
**
**   PENDING is a step of other VFSes on the way to EXCLUSIVE; asked for, it is RESERVED here.
**   SHARED to EXCLUSIVE would be the recovery of a hot journal. There is none: it is refused.
**   SQLITE_BUSY: someone else writes. SQLITE_BUSY_SNAPSHOT: someone has written since SHARED; the
**   busy handler is asked for both, and starts again from SHARED, if nothing was read yet.
**
** AFTER A FAILURE SQLite rolls back with the journal that it has here: it writes old pages and
** syncs. There is nothing to undo at the server, so these writes are dropped; which of the syncs
** may succeed is said in remote_file.h. In exclusive mode SQLite plays the journal back a second
** time, if the first did not succeed, before it uses the file again.
**
** SEVERAL DATABASES in one transaction are synced with the name of a super-journal, and committed
** together when that is deleted: see group.h. Where SQLite makes none (synchronous=OFF,
** journal_mode MEMORY or OFF, a main database in memory), each sync is a commit of its own.
**
** STARTING OVER. With journal_mode=off SQLite forgets a transaction that it rolls back without
** writing anything, and in exclusive locking mode without dropping its lock either. The one thing
** that it does before it uses the file again is to read 16 bytes at offset 24 of the header, to
** see whether its cached pages still hold; it does that at the start of a transaction only. So that
** read, with writes pending, says that those are forgotten.
**
** THE SAME READ decides whether SQLite keeps its own page cache, by comparing the change counter.
** That is enough where everyone uses locks of one file, but not here: a writer in exclusive
** locking mode counts up in its first transaction only, readers see each of its commits, and an
** administrator may bring an old version back. So the VFS answers with bytes that no database has
** whenever the snapshot is another than the one that SQLite's cache is of.
*/
#include "vfs/remote_file.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/scratch_file.h"
#include "vfs/fork.h"
#include "vfs/group.h"
#include "vfs/super_journals.h"

#define CLOSE_TIMEOUT_MS 2000
/* Waiting for another client to yield the lease. An idle one does so in a few of its round trips,
** and who has no busy handler asks once. */
#define FIRST_WAIT_MS 300
#define LEAST_WAIT_MS 50
#define MOST_WAIT_MS 1000
/* Without any, the server would not have it come in its turn. */
#define SHORT_WAIT_MS 10
/* After this time it is another attempt, or a transaction that only reads. */
#define RETRY_WITHIN_MS 2000
/* In exclusive mode, others may have written between its look at the head and its lease. */
#define MOST_OVERTAKINGS 3
#define CHANGE_COUNTER_AT 24
#define CHANGE_COUNTER_BYTES 16

/* cached.version, when it is no version: before the first lock, and when the cache must go. */
#define NOTHING_CACHED (UINT64_MAX - 1)
#define CACHE_UNUSABLE UINT64_MAX

int64_t gsq_remote_deadline(const gsq_remote_file *file) {
  return gsq_now_ms() + file->settings.timeout_ms;
}

int gsq_remote_is_inherited(gsq_remote_file *file) {
  if (file->generation == gsq_fork_generation()) return 0;
  gsq_fail(&file->report, SQLITE_IOERR,
           "%s was opened before fork(): open it again in the child process",
           file->settings.name);
  return 1;
}

/* The write buffer's way down. */

static int read_base(void *arg, uint64_t offset, void *to, uint32_t size, gsq_error *error) {
  gsq_remote_file *file = arg;
  const gsq_snapshot *at = &file->pin.snapshot;
  if (gsq_database_try(file->database, at, offset, to, size)) return GSQ_OK;
  return gsq_database_read(file->database, at, offset, to, size, &file->prefetch,
                           gsq_remote_deadline(file), error);
}

static int read_stage(void *arg, const gsq_id *stage, uint32_t unit_size,
                      const uint32_t *numbers, size_t count, void *to, gsq_error *error) {
  gsq_remote_file *file = arg;
  return gsq_stager_read(&file->stager, stage, unit_size, numbers, count, to, error);
}

static int stage_units(void *arg, gsq_stage *stage, uint32_t unit_size,
                       const gsq_page_ref *units, size_t count, gsq_error *error) {
  gsq_remote_file *file = arg;
  return gsq_stager_send(&file->stager, stage, unit_size, units, count, error);
}

static size_t stage_batch(void *arg, uint32_t unit_size) {
  gsq_remote_file *file = arg;
  return gsq_stager_batch(&file->stager, unit_size);
}

static int scratch(void *arg) {
  (void)arg;
  return gsq_scratch_file_open();
}

static uint64_t snapshot_bytes(const gsq_snapshot *snapshot) {
  return (uint64_t)snapshot->page_size * snapshot->page_count;
}

static void reset_buffer(gsq_remote_file *file) {
  gsq_write_buffer_reset(file->buffer, snapshot_bytes(&file->pin.snapshot),
                         file->pin.snapshot.page_size);
  file->stager.used = 0;
  file->batch = 0;
}

void gsq_remote_drop_writes(gsq_remote_file *file) {
  if (file->state == GSQ_REMOTE_PREPARED) {
    gsq_group_leave(file);
    file->state = GSQ_REMOTE_GOOD;
  }
  const gsq_stage *stage = gsq_write_buffer_stage(file->buffer);
  if (stage) gsq_stager_drop(&file->stager, &stage->id);
  reset_buffer(file);
}

/* Locks. */

static int can_wait(const gsq_remote_file *file) {
  return file->server->info.watch;
}

static int pin(gsq_remote_file *file, int want_lease, uint32_t wait_ms) {
  gsq_error error = {0};
  const gsq_beginning how = {.want_lease = want_lease,
                             .wait_ms = wait_ms,
                             .max_staleness_ms = file->settings.max_staleness_ms};
  if (gsq_database_pin(file->database, &file->pin, &how, gsq_remote_deadline(file), &error) !=
      GSQ_OK) {
    return gsq_fail_error(&file->report, &error, GSQ_LOCKING, "beginning to read",
                          file->settings.name);
  }
  reset_buffer(file);
  if (file->cached.version == NOTHING_CACHED) file->cached = file->pin.snapshot;
  return SQLITE_OK;
}

/* xLock SHARED. One that was refused RESERVED is back, it seems, because SQLite's busy handler had it
** wait, and asks for the lease at once: as long as it takes another client to yield it, but about as
** long as the handler waited itself, so that the whole is not much longer than its user wants. */
static int begin_to_read(gsq_remote_file *file) {
  const int64_t slept_ms = gsq_now_ms() - file->refused_ms;
  file->asked = file->wants_lease && slept_ms < RETRY_WITHIN_MS;
  file->wants_lease = 0;
  if (!file->asked) return pin(file, 0, 0);
  int64_t wait_ms = slept_ms < LEAST_WAIT_MS ? LEAST_WAIT_MS : slept_ms;
  if (wait_ms > MOST_WAIT_MS) wait_ms = MOST_WAIT_MS;
  return pin(file, 1, can_wait(file) ? (uint32_t)wait_ms : 0);
}

static int reserve(gsq_remote_file *file) {
  gsq_error error = {0};
  enum gsq_reserve_outcome outcome;
  /* Having waited at SHARED, it does not wait long again. */
  const uint32_t wait_ms = !can_wait(file) ? 0 : file->asked ? SHORT_WAIT_MS : FIRST_WAIT_MS;
  file->asked = 0;
  if (gsq_database_reserve(file->database, &file->pin, wait_ms, &outcome,
                           gsq_remote_deadline(file), &error) != GSQ_OK) {
    return gsq_fail_error(&file->report, &error, GSQ_WRITING, "asking for the lease of",
                          file->settings.name);
  }
  if (outcome == GSQ_RESERVED) {
    file->wants_lease = 0;
    return SQLITE_OK;
  }
  file->wants_lease = 1;
  file->refused_ms = gsq_now_ms();
  switch (outcome) {
    case GSQ_HELD_HERE:
      return gsq_fail(&file->report, SQLITE_BUSY,
                      "%s: another connection of this process writes", file->settings.name);
    case GSQ_HELD_ELSEWHERE:
      return gsq_fail(&file->report, SQLITE_BUSY, "%s: another client has the lease",
                      file->settings.name);
    default:
      return gsq_fail(&file->report, SQLITE_BUSY_SNAPSHOT,
                      "%s: another client has written since this transaction began to read",
                      file->settings.name);
  }
}

/* In exclusive mode SQLite does not drop SHARED between transactions: it would read one version for
** ever, and as soon as another client has written, it could not any more. On a local file that lock
** keeps writers out; here the lease does. An attached database of which the mode was set with that
** of `main`, nobody tells; nor can one that only reads have the lease. */
static int keep_others_out(gsq_remote_file *file) {
  int rc = reserve(file);
  for (int i = 0; rc == SQLITE_BUSY_SNAPSHOT && i < MOST_OVERTAKINGS; i++) {
    gsq_database_unpin(file->database, &file->pin);
    rc = pin(file, 1, can_wait(file) ? FIRST_WAIT_MS : 0);
    if (rc == SQLITE_OK) rc = reserve(file);
  }
  file->keeps_out = rc == SQLITE_OK;
  return rc == SQLITE_BUSY_SNAPSHOT ? SQLITE_BUSY : rc;
}

static int begin(gsq_remote_file *file) {
  int rc = begin_to_read(file);
  if (rc != SQLITE_OK || !file->exclusive || file->read_only) return rc;
  rc = keep_others_out(file);
  if (rc != SQLITE_OK) gsq_database_unpin(file->database, &file->pin);
  return rc;
}

int gsq_remote_locking_mode(gsq_remote_file *file, const char *mode) {
  if (!mode || file->frozen) return SQLITE_NOTFOUND;
  if (strcasecmp(mode, "normal") == 0) file->exclusive = 0;
  if (strcasecmp(mode, "exclusive") != 0) return SQLITE_NOTFOUND;
  if (file->lock == SQLITE_LOCK_SHARED && !file->keeps_out && !file->read_only) {
    if (gsq_remote_is_inherited(file)) return SQLITE_IOERR;
    int rc = reserve(file); /* at the version that this transaction reads */
    if (rc != SQLITE_OK) return rc;
    file->keeps_out = 1;
  }
  file->exclusive = 1;
  return SQLITE_NOTFOUND;
}

static int remote_lock(sqlite3_file *base, int level) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  if (gsq_remote_is_inherited(file)) return SQLITE_IOERR_LOCK;
  if (level <= file->lock) return SQLITE_OK;
  int rc = SQLITE_OK;
  if (level == SQLITE_LOCK_SHARED) {
    if (!file->frozen) rc = begin(file);
  } else if (file->lock == SQLITE_LOCK_NONE) {
    return SQLITE_MISUSE;
  } else if (level == SQLITE_LOCK_RESERVED) {
    gsq_prefetch_finish(&file->prefetch, file->database);
    rc = reserve(file);
  } else if (file->lock == SQLITE_LOCK_SHARED) {
    return gsq_fail(&file->report, SQLITE_IOERR_LOCK,
                    "%s: a journal was to be played back, but there can be none",
                    file->settings.name);
  } else if (level == SQLITE_LOCK_PENDING) {
    level = SQLITE_LOCK_RESERVED;
  }
  if (rc == SQLITE_OK) file->lock = level;
  return rc;
}

static int remote_unlock(sqlite3_file *base, int level) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  if (file->generation != gsq_fork_generation()) return SQLITE_OK;
  if (level >= file->lock) return SQLITE_OK;
  gsq_prefetch_finish(&file->prefetch, file->database);
  const int may_write = file->lock > SQLITE_LOCK_SHARED || file->keeps_out;
  if (file->lock > SQLITE_LOCK_SHARED) {
    if (file->state == GSQ_REMOTE_ABORTED || file->state == GSQ_REMOTE_BROKEN) {
      file->state = GSQ_REMOTE_GOOD;
    }
    gsq_remote_drop_writes(file);
  }
  file->keeps_out = may_write && file->exclusive && level == SQLITE_LOCK_SHARED;
  if (may_write && !file->keeps_out) gsq_database_unreserve(file->database, &file->pin);
  if (level == SQLITE_LOCK_NONE) {
    file->state = GSQ_REMOTE_GOOD;
    if (!file->frozen) gsq_database_unpin(file->database, &file->pin);
  }
  file->lock = level;
  return SQLITE_OK;
}

static int remote_check_reserved_lock(sqlite3_file *base, int *reserved) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  *reserved = 0;
  if (gsq_remote_is_inherited(file)) return SQLITE_IOERR_CHECKRESERVEDLOCK;
  *reserved = gsq_database_is_reserved(file->database);
  return SQLITE_OK;
}

/* Reading. */

/* SQLite begins again and has forgotten what it wrote: see the top. */
static int start_over(gsq_remote_file *file) {
  const int poisoned = file->state == GSQ_REMOTE_POISONED;
  gsq_remote_drop_writes(file);
  file->state = GSQ_REMOTE_GOOD;
  if (!poisoned) return SQLITE_OK;
  gsq_prefetch_finish(&file->prefetch, file->database);
  gsq_database_unpin(file->database, &file->pin);
  int rc = pin(file, 0, 0);
  /* It believes that it has its lock: it must not read without a snapshot. */
  if (rc != SQLITE_OK) {
    gsq_database_pin_known(file->database, &file->pin);
    file->state = GSQ_REMOTE_POISONED; /* sync_failed as it was */
  }
  return rc;
}

/* A database whose header says WAL is one in rollback mode here. */
static void mask_wal(uint8_t *to, int size, sqlite3_int64 offset) {
  for (sqlite3_int64 at = 18; at <= 19; at++) {
    if (at >= offset && at < offset + size && to[at - offset] == 2) to[at - offset] = 1;
  }
}

/* The answer about the change counter, if SQLite's cache is not of this snapshot. Bytes 28 to 31
** are a page count, and no database has 2^32-1 pages; SQLite itself marks "unknown" with 16 such
** bytes, so not all of them may be. */
static void deny_cache(gsq_remote_file *file, uint8_t *to) {
  if (gsq_is_other(gsq_have_of(&file->cached), gsq_have_of(&file->pin.snapshot))) {
    memset(to, 0, CHANGE_COUNTER_BYTES);
    memset(to + 4, 0xff, 4);
  }
  file->cached = file->pin.snapshot;
}

static int remote_read(sqlite3_file *base, void *to, int size, sqlite3_int64 offset) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  gsq_error error = {0};
  memset(to, 0, (size_t)size);
  if (gsq_remote_is_inherited(file)) return SQLITE_IOERR_READ;
  const int counter = offset == CHANGE_COUNTER_AT && size == CHANGE_COUNTER_BYTES;
  if (counter && file->lock >= SQLITE_LOCK_SHARED &&
      (file->state != GSQ_REMOTE_GOOD || !gsq_write_buffer_is_empty(file->buffer))) {
    int rc = start_over(file);
    if (rc != SQLITE_OK) return rc;
  }
  if (file->state == GSQ_REMOTE_POISONED || file->state == GSQ_REMOTE_BROKEN) {
    return gsq_fail(&file->report, SQLITE_IOERR_READ,
                    "%s: the transaction failed; end it and begin another",
                    file->settings.name);
  }
  if (file->pin.pinned && gsq_database_is_past(file->database, &file->pin)) {
    return gsq_fail(&file->report, SQLITE_IOERR_READ,
                    "%s: the server's data were replaced by an older copy since this %s",
                    file->settings.name,
                    file->fixed ? "version was opened; open it again"
                                : "transaction began; begin it again");
  }
  /* Before the first lock SQLite has a look at the header. */
  const int unlocked = !file->pin.pinned;
  if (unlocked) {
    gsq_database_pin_known(file->database, &file->pin);
    reset_buffer(file);
  }
  const uint64_t end = gsq_write_buffer_size(file->buffer);
  uint32_t there = 0;
  if ((uint64_t)offset < end) {
    there = end - (uint64_t)offset < (uint64_t)size ? (uint32_t)(end - (uint64_t)offset)
                                                    : (uint32_t)size;
  }
  int code = gsq_write_buffer_read(file->buffer, (uint64_t)offset, to, there, &error);
  if (unlocked) {
    gsq_prefetch_finish(&file->prefetch, file->database);
    gsq_database_unpin(file->database, &file->pin);
  }
  if (code != GSQ_OK) {
    memset(to, 0, (size_t)size);
    return gsq_fail_error(&file->report, &error, GSQ_READING, "reading", file->settings.name);
  }
  memset((uint8_t *)to + there, 0, (size_t)size - there);
  mask_wal(to, (int)there, offset);
  if (counter && !unlocked) deny_cache(file, to);
  return (int)there == size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int remote_file_size(sqlite3_file *base, sqlite3_int64 *size) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  *size = 0;
  if (gsq_remote_is_inherited(file)) return SQLITE_IOERR_FSTAT;
  if (file->pin.pinned) {
    *size = (sqlite3_int64)gsq_write_buffer_size(file->buffer);
  } else {
    gsq_database_pin_known(file->database, &file->pin);
    *size = (sqlite3_int64)snapshot_bytes(&file->pin.snapshot);
    gsq_database_unpin(file->database, &file->pin);
  }
  return SQLITE_OK;
}

/* Writing. */

/* SQLITE_OK if a write may go on, with *drop set if it is to be forgotten. */
static int may_write(gsq_remote_file *file, int *drop) {
  *drop = 0;
  if (gsq_remote_is_inherited(file)) return SQLITE_IOERR_WRITE;
  if (file->lock < SQLITE_LOCK_RESERVED) {
    return gsq_fail(&file->report, SQLITE_IOERR_WRITE, "%s: a write without a lock",
                    file->settings.name);
  }
  *drop = file->state != GSQ_REMOTE_GOOD;
  return SQLITE_OK;
}

/* After SQLITE_IOERR or one of its kind SQLite ends the transaction, whatever it was doing. After
** any other code it may undo one statement and go on. A full database has to be called that; what
** else there is, is made an I/O error. */
static int write_failed(gsq_remote_file *file, const gsq_error *error) {
  int rc = gsq_result_code(error, GSQ_WRITING);
  gsq_fail_error(&file->report, error, GSQ_WRITING, "writing", file->settings.name);
  gsq_remote_drop_writes(file);
  if (rc == SQLITE_FULL) {
    file->state = GSQ_REMOTE_BROKEN;
    return rc;
  }
  file->state = GSQ_REMOTE_ABORTED;
  return rc == SQLITE_NOMEM ? SQLITE_IOERR_NOMEM : SQLITE_IOERR_WRITE;
}

static int remote_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  gsq_error error = {0};
  int drop;
  int rc = may_write(file, &drop);
  if (rc != SQLITE_OK || drop) return rc;
  if (gsq_write_buffer_write(file->buffer, (uint64_t)offset, data, (uint32_t)size, &error) !=
      GSQ_OK) {
    return write_failed(file, &error);
  }
  return SQLITE_OK;
}

static int remote_truncate(sqlite3_file *base, sqlite3_int64 size) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  gsq_error error = {0};
  int drop;
  int rc = may_write(file, &drop);
  if (rc != SQLITE_OK || drop) return rc;
  if (gsq_write_buffer_truncate(file->buffer, (uint64_t)size, &error) != GSQ_OK) {
    return write_failed(file, &error);
  }
  return SQLITE_OK;
}

/* A sync while the transaction is not GOOD. */
static int sync_after_failure(gsq_remote_file *file) {
  switch (file->state) {
    case GSQ_REMOTE_PREPARED: /* another database of the transaction failed */
      gsq_remote_drop_writes(file);
      return SQLITE_OK;
    case GSQ_REMOTE_BROKEN:
      file->state = GSQ_REMOTE_ABORTED;
      return gsq_fail(&file->report, SQLITE_FULL,
                      "%s: a write of this transaction failed before", file->settings.name);
    case GSQ_REMOTE_POISONED:
      /* The roll-back after the failed COMMIT must fail too: SQLite would else believe the
      ** pages in its cache. In exclusive mode it then plays its journal back again, as if it had just
      ** opened the file; that may succeed, for it ends in starting over. */
      if (file->sync_failed) return SQLITE_OK;
      file->sync_failed = 1;
      return SQLITE_IOERR_FSYNC;
    default:
      file->state = GSQ_REMOTE_GOOD;
      return SQLITE_OK;
  }
}

static int poison(gsq_remote_file *file) {
  reset_buffer(file);
  file->state = GSQ_REMOTE_POISONED;
  file->sync_failed = 0;
  file->cached.version = CACHE_UNUSABLE;
  return SQLITE_IOERR;
}

int gsq_remote_ended(gsq_remote_file *file, enum gsq_commit_outcome outcome,
                     const gsq_error *error) {
  switch (outcome) {
    case GSQ_COMMIT_DONE:
      reset_buffer(file);
      file->state = GSQ_REMOTE_GOOD;
      file->cached = file->pin.snapshot;
      return SQLITE_OK;
    case GSQ_COMMIT_REFUSED:
      gsq_remote_not_sent(file);
      return gsq_fail_error(&file->report, error, GSQ_COMMITTING,
                            "not committed:", file->settings.name);
    case GSQ_COMMIT_UNKNOWN:
      gsq_fail_error(&file->report, error, GSQ_COMMITTING,
                     "nobody knows whether this was committed:", file->settings.name);
      return poison(file);
    default:
      gsq_remote_drop_writes(file);
      return SQLITE_OK;
  }
}

void gsq_remote_not_sent(gsq_remote_file *file) {
  file->state = GSQ_REMOTE_ABORTED;
  gsq_remote_drop_writes(file);
}

void gsq_remote_applied_alone(gsq_remote_file *file) {
  gsq_fail(&file->report, SQLITE_IOERR,
           "%s was committed, but other databases of the same transaction were not",
           file->settings.name);
  poison(file);
}

/* Enters the file's part of a commit over several databases. */
static int prepare(gsq_remote_file *file, const char *super_journal) {
  gsq_error error = {0};
  enum gsq_commit_outcome outcome =
      gsq_commit_prepare(file->database, &file->pin, file->buffer, &file->stager,
                         gsq_group_room(super_journal, file), &file->prepared, &error);
  if (outcome == GSQ_COMMIT_PREPARED && gsq_group_join(super_journal, file) != SQLITE_OK) {
    gsq_prepared_free(&file->prepared, GSQ_COMMIT_REFUSED);
    gsq_error_nomem(&error);
    outcome = GSQ_COMMIT_REFUSED;
  }
  if (outcome != GSQ_COMMIT_PREPARED) return gsq_remote_ended(file, outcome, &error);
  file->state = GSQ_REMOTE_PREPARED;
  return SQLITE_OK;
}

int gsq_remote_sync(gsq_remote_file *file, const char *super_journal) {
  gsq_error error = {0};
  if (gsq_remote_is_inherited(file)) return SQLITE_IOERR_FSYNC;
  if (file->state != GSQ_REMOTE_GOOD) return sync_after_failure(file);
  if (gsq_write_buffer_is_empty(file->buffer)) return SQLITE_OK;
  /* Beside local files alone there is nothing to wait for. This way round they are rolled back if
  ** the commit fails; their VFS would not find our super-journal, and keep what they have. */
  if (super_journal && gsq_super_journal_remotes(super_journal) > 1) {
    return prepare(file, super_journal);
  }
  gsq_prefetch_finish(&file->prefetch, file->database);
  const enum gsq_commit_outcome outcome =
      gsq_commit_buffer(file->database, &file->pin, file->buffer, &file->stager, &error);
  return gsq_remote_ended(file, outcome, &error);
}

static int remote_sync(sqlite3_file *base, int flags) {
  (void)base;
  (void)flags;
  return SQLITE_OK; /* the file control SYNC, before it, has done it */
}

/* What this storage is like. A commit is whole whatever its size, and a journal is never needed
** to recover. Not UNDELETABLE_WHEN_OPEN: SQLite would then keep a journal open over a failed
** transaction and take it for one to recover from. */
static int remote_device_characteristics(sqlite3_file *base) {
  const gsq_remote_file *file = (gsq_remote_file *)base;
  return SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_BATCH_ATOMIC |
         (file->powersafe_overwrite ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0);
}

static int remote_sector_size(sqlite3_file *base) {
  (void)base;
  return 512;
}

/* Life. */

static int remote_close(sqlite3_file *base) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  if (file->generation == gsq_fork_generation()) {
    const int64_t deadline_ms = gsq_now_ms() + CLOSE_TIMEOUT_MS;
    remote_unlock(base, SQLITE_LOCK_NONE);
    gsq_prefetch_finish(&file->prefetch, file->database); /* immutable=1 has no locks */
    if (file->settings.max_staleness_ms > 0 && !file->fixed) {
      gsq_database_unwatch(file->database);
    }
    if (file->fixed) {
      gsq_fixed_close(file->database, &file->view, deadline_ms);
    } else {
      gsq_database_unpin(file->database, &file->pin);
      gsq_database_close(file->database, deadline_ms);
    }
    gsq_server_release(file->server);
  }
  gsq_write_buffer_free(file->buffer);
  gsq_settings_free(&file->settings);
  file->base.pMethods = NULL;
  return SQLITE_OK;
}

static const sqlite3_io_methods remote_methods = {
    .iVersion = 1, /* no shared memory: SQLite cannot use a WAL */
    .xClose = remote_close,
    .xRead = remote_read,
    .xWrite = remote_write,
    .xTruncate = remote_truncate,
    .xSync = remote_sync,
    .xFileSize = remote_file_size,
    .xLock = remote_lock,
    .xUnlock = remote_unlock,
    .xCheckReservedLock = remote_check_reserved_lock,
    .xFileControl = gsq_remote_file_control,
    .xSectorSize = remote_sector_size,
    .xDeviceCharacteristics = remote_device_characteristics,
};

int gsq_is_remote_file(sqlite3_file *file) {
  return file && file->pMethods == &remote_methods;
}

static int open_there(gsq_remote_file *file, gsq_server *server, const gsq_settings *settings,
                      int create, int read_only, int64_t deadline_ms, gsq_error *error) {
  file->fixed = settings->at || settings->version_given;
  if (!file->fixed) {
    return gsq_database_open(server, settings, create, read_only, deadline_ms, &file->database,
                             error);
  }
  const gsq_moment moment = {
      .is_time = settings->at != NULL, .version = settings->version, .time = settings->at_time};
  return gsq_fixed_open(server, settings, &moment, deadline_ms, &file->view, &file->database,
                        error);
}

int gsq_remote_open(gsq_remote_file *file, gsq_server *server, gsq_settings *settings,
                    int create, int read_only, int frozen, int64_t deadline_ms,
                    gsq_report *report) {
  gsq_error error = {0};
  memset(file, 0, sizeof *file);
  const gsq_buffer_io io = {.arg = file,
                            .read_base = read_base,
                            .read_stage = read_stage,
                            .stage = stage_units,
                            .stage_batch = stage_batch,
                            .scratch = scratch};
  file->buffer = gsq_write_buffer_new(&io, (size_t)settings->buffer_bytes);
  if (!file->buffer) return gsq_fail(report, SQLITE_NOMEM, "out of memory");
  if (open_there(file, server, settings, create, read_only, deadline_ms, &error) != GSQ_OK) {
    gsq_write_buffer_free(file->buffer);
    return gsq_fail_error(report, &error, GSQ_OPENING, "opening", settings->name);
  }
  file->generation = gsq_fork_generation();
  file->server = server;
  file->stager = (gsq_stager){
      .database = file->database, .pin = &file->pin, .timeout_ms = settings->timeout_ms};
  file->read_only = read_only;
  file->powersafe_overwrite = 1;
  file->cached.version = NOTHING_CACHED;
  file->prefetch.most_bytes = settings->prefetch_bytes;
  file->settings = *settings;
  memset(settings, 0, sizeof *settings);
  if (file->settings.max_staleness_ms > 0 && !file->fixed) {
    gsq_database_watch(file->database, file->settings.max_staleness_ms);
  }
  if (file->fixed) {
    file->pin =
        (gsq_pin){.snapshot = file->view.snapshot, .history = file->view.history, .pinned = 1};
  } else if (frozen) {
    gsq_database_pin_known(file->database, &file->pin);
  }
  if (file->fixed || frozen) {
    file->frozen = 1;
    file->cached = file->pin.snapshot;
    reset_buffer(file);
  }
  file->base.pMethods = &remote_methods;
  return SQLITE_OK;
}
