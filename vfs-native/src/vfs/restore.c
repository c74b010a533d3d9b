/*
** A restore is a commit that somebody else makes for us. While it is under way this process holds
** RESERVED, so that no transaction of its own is built on the version before; and it holds the lease,
** of which the server is told, so that nobody else's is. Afterwards the lease is as after a commit
** whose outcome is unknown: whatever became of the request, also if it comes late or a second time,
** that epoch is given back before anyone here reads or writes, and the head is asked for.
*/
#include "vfs/restore.h"

#include <errno.h>
#include <stdlib.h>

#include "service/admin_client.h"

/* For another client to give the lease back, each time. */
#define WAIT_MS 1000
#define MAX_ATTEMPTS 5

static int told(gsq_remote_file *file, int rc, char **result) {
  *result = sqlite3_mprintf("%s", file->report.text);
  return rc;
}

static int failed(gsq_remote_file *file, const gsq_error *error, char **result) {
  const char *what =
      gsq_may_be_done(error) ? "it is not known whether this was restored:" : "not restored:";
  return told(file,
              gsq_fail_error(&file->report, error, GSQ_WRITING, what, file->settings.name),
              result);
}

static int refused(gsq_remote_file *file, int rc, const char *why, char **result) {
  return told(file,
              gsq_fail(&file->report, rc, "%s was not restored: %s", file->settings.name, why),
              result);
}

/* With the lease and RESERVED, which the pin has. */
static int restore_reserved(gsq_remote_file *file, const gsq_pin *pin, uint64_t version,
                            char **result) {
  gsq_database *database = file->database;
  gsq_restore_request request = {.name = file->settings.name,
                                 .version = version,
                                 .session = database->server->client.session};
  gsq_error error = {0};
  uint64_t made;
  if (gsq_id_random(&request.commit) != 0) {
    return refused(file, SQLITE_IOERR, "the system gives no randomness", result);
  }
  if (gsq_database_epoch(database, pin, &request.epoch, gsq_remote_deadline(file), &error) !=
      GSQ_OK) {
    return failed(file, &error, result);
  }
  gsq_database_commit_begins(database);
  int code = gsq_restore_database(database->server->channel, &request, &made,
                                  gsq_remote_deadline(file), &error);
  gsq_database_doubt(database);
  gsq_database_commit_ends(database);
  if (code != GSQ_OK) return failed(file, &error, result);
  *result = sqlite3_mprintf("%llu", made);
  return *result ? SQLITE_OK : SQLITE_NOMEM;
}

/* Settles the doubt, and learns the head for those who believe what is known. If that fails, the next
** transaction does it. */
static void catch_up(gsq_remote_file *file) {
  gsq_error ignored = {0};
  gsq_pin pin = {0};
  const gsq_beginning how = {0};
  if (gsq_database_pin(file->database, &pin, &how, gsq_remote_deadline(file), &ignored) ==
      GSQ_OK) {
    gsq_database_unpin(file->database, &pin);
  }
}

static int read_version(const char *text, uint64_t *version) {
  char *end;
  if (!text || text[0] < '0' || text[0] > '9') return 0;
  errno = 0;
  *version = strtoull(text, &end, 10);
  return *end == 0 && errno == 0 && *version <= INT64_MAX;
}

int gsq_remote_restore(gsq_remote_file *file, const char *value, char **result) {
  gsq_database *database = file->database;
  gsq_error error = {0};
  enum gsq_reserve_outcome outcome;
  gsq_pin pin = {0};
  uint64_t version;
  if (file->read_only) {
    return refused(file, SQLITE_READONLY, "this connection is a read-only one", result);
  }
  if (!read_version(value, &version)) {
    return refused(file, SQLITE_ERROR, "PRAGMA grpsqlite_restore=N takes a version's number",
                   result);
  }
  if (file->lock >= SQLITE_LOCK_RESERVED) {
    return refused(
        file, SQLITE_BUSY,
        "this connection is writing; end its transaction, and locking_mode=exclusive, "
        "first",
        result);
  }
  int rc;
  for (int attempt = 1;; attempt++) {
    const gsq_beginning how = {.want_lease = 1, .wait_ms = WAIT_MS};
    if (gsq_database_pin(database, &pin, &how, gsq_remote_deadline(file), &error) != GSQ_OK) {
      return failed(file, &error, result);
    }
    if (gsq_database_reserve(database, &pin, WAIT_MS, &outcome, gsq_remote_deadline(file),
                             &error) != GSQ_OK) {
      rc = failed(file, &error, result);
      break;
    }
    if (outcome == GSQ_RESERVED) {
      rc = restore_reserved(file, &pin, version, result);
      gsq_database_unreserve(database, &pin);
      gsq_database_unpin(database, &pin);
      catch_up(file);
      return rc;
    }
    if (outcome == GSQ_HELD_HERE) {
      rc = refused(file, SQLITE_BUSY, "another connection of this process is writing", result);
      break;
    }
    if (attempt == MAX_ATTEMPTS) {
      rc = refused(file, SQLITE_BUSY,
                   outcome == GSQ_HELD_ELSEWHERE ? "another client has the lease"
                                                 : "somebody has written just now",
                   result);
      break;
    }
    /* What is restored does not depend on what is the head. */
    gsq_database_unpin(database, &pin);
  }
  gsq_database_unpin(database, &pin);
  return rc;
}
