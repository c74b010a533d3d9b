#include "vfs/file_call.h"

#include <string.h>

#include "base/clock.h"
#include "vfs/file_lease.h"
#include "vfs/fork.h"
#include "vfs/sqlite_api.h"

int gsq_file_database_is_inherited(const gsq_file_database *db) {
  return db->server->generation != gsq_fork_generation();
}

int64_t gsq_file_deadline(const gsq_file_database *db) {
  return gsq_now_ms() + db->timeout_ms;
}

int gsq_file_no_memory(gsq_report *report) {
  return gsq_fail(report, SQLITE_NOMEM, "out of memory");
}

const gsq_file_ref *gsq_file_call_ref(gsq_file_database *db, enum gsq_remote_name name,
                                      gsq_file_call *r) {
  pthread_mutex_lock(&db->mutex);
  memcpy(r->lease_id, db->lease_id, sizeof r->lease_id);
  pthread_mutex_unlock(&db->mutex);
  r->file =
      (gsq_file_ref){db->context->can.context, r->lease_id, db->names[name], db->database};
  return &r->file;
}

void gsq_file_lose_lease(gsq_file_database *db) {
  pthread_mutex_lock(&db->mutex);
  db->leased = 0;
  pthread_mutex_unlock(&db->mutex);
}

int gsq_file_check(gsq_file_database *db, int code, gsq_report *report) {
  if (gsq_file_database_is_inherited(db))
    return gsq_fail(report, code, "%s was opened before fork(); open it again in the child",
                    db->names[GSQ_MAIN]);
  if (db->read_only || gsq_file_database_leased(db)) return SQLITE_OK;
  return gsq_fail(report, code,
                  "the lease of %s is lost, or the outcome of a write under it is unknown; end "
                  "the transaction and begin another",
                  db->names[GSQ_MAIN]);
}
