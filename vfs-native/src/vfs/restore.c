/*
** A restore is a commit that somebody else makes for us. While it is under way this process holds
** RESERVED, so that no transaction of its own is built on the version before; and it holds the lease,
** of which the server is told, so that nobody else's is. Afterwards the lease is as after a commit
** whose outcome is unknown: whatever became of the request, also if it comes late or a second time,
** that epoch is given back before anyone here reads or writes, and the head is asked for.
*/
#include "vfs/restore.h"

#include <stdio.h>
#include <string.h>

#include "vfs/pragma.h"

/* session_id, epoch, database_id */
#define LEASE_BYTES (GSQ_ID_BYTES + 8 + GSQ_ID_BYTES)
#define LEASE_TEXT_BYTES (2 * LEASE_BYTES + 1)

/* For another client to give the lease back, each time. */
#define WAIT_MS 1000
#define MAX_ATTEMPTS 5

/* How the file service names a lease of the page service: see grpc_vfs.proto. */
static void lease_text(const gsq_database *database, uint64_t epoch,
                       char out[LEASE_TEXT_BYTES]) {
  uint8_t bytes[LEASE_BYTES];
  memcpy(bytes, database->server->client.session.bytes, GSQ_ID_BYTES);
  for (int i = 0; i < 8; i++) bytes[GSQ_ID_BYTES + i] = (uint8_t)(epoch >> (56 - 8 * i));
  memcpy(bytes + GSQ_ID_BYTES + 8, database->id.bytes, GSQ_ID_BYTES);
  for (int i = 0; i < LEASE_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int told(gsq_remote_file *file, int rc, char **result) {
  *result = sqlite3_mprintf("%s", file->report.text);
  return rc;
}

static int failed(gsq_remote_file *file, const gsq_error *error, char **result) {
  return told(
      file,
      gsq_fail_error(&file->report, error, GSQ_WRITING, "not restored:", file->settings.name),
      result);
}

static int refused(gsq_remote_file *file, int rc, const char *why, char **result) {
  return told(file,
              gsq_fail(&file->report, rc, "%s was not restored: %s", file->settings.name, why),
              result);
}

/* With the lease and RESERVED, which the pin has. */
static int restore_reserved(gsq_remote_file *file, const gsq_pin *pin, const char *value,
                            char **result) {
  gsq_error error = {0};
  char lease[LEASE_TEXT_BYTES];
  uint64_t epoch;
  if (gsq_database_epoch(file->database, pin, &epoch, gsq_remote_deadline(file), &error) !=
      GSQ_OK) {
    return failed(file, &error, result);
  }
  lease_text(file->database, epoch, lease);
  gsq_database_commit_begins(file->database);
  int rc = gsq_remote_ask_server(file, lease, "grpsqlite_restore", value, result);
  gsq_database_doubt(file->database);
  gsq_database_commit_ends(file->database);
  return rc == SQLITE_NOTFOUND
             ? refused(file, SQLITE_ERROR, "its server has no PRAGMA grpsqlite_restore", result)
             : rc;
}

/* Settles the doubt, and learns the head for those who believe what is known. If that fails, the next
** transaction does it. The server may have made our session for the request, if it had just
** restarted; then it does not know what we read. */
static void catch_up(gsq_remote_file *file) {
  gsq_error ignored = {0};
  gsq_pin pin = {0};
  const gsq_beginning how = {0};
  if (gsq_database_pin(file->database, &pin, &how, gsq_remote_deadline(file), &ignored) ==
      GSQ_OK) {
    gsq_database_unpin(file->database, &pin);
  }
  gsq_server_tell_views(file->server, gsq_remote_deadline(file), &ignored);
}

int gsq_remote_restore(gsq_remote_file *file, const char *value, char **result) {
  gsq_database *database = file->database;
  gsq_error error = {0};
  enum gsq_reserve_outcome outcome;
  gsq_pin pin = {0};
  if (file->read_only) {
    return refused(file, SQLITE_READONLY, "this connection is a read-only one", result);
  }
  if (!value || !*value) {
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
      rc = restore_reserved(file, &pin, value, result);
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
    gsq_database_unpin(database, &pin); /* what is restored does not depend on what is the head */
  }
  gsq_database_unpin(database, &pin);
  return rc;
}
