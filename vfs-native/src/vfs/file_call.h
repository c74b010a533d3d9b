/*
** What the calls about one database of the file service have in common.
*/
#ifndef GSQ_VFS_FILE_CALL_H
#define GSQ_VFS_FILE_CALL_H

#include "vfs/file_database.h"

/* Writes through are combined up to this, and larger ones sent in such pieces: far below any
** server's message limit, large enough for few round trips. */
#define GSQ_FILE_PIECE_BYTES (128 * 1024)

/* What each RPC about a file repeats; the lease is copied, for it may change meanwhile. */
typedef struct gsq_file_call {
  gsq_file_ref file;
  char lease_id[256];
} gsq_file_call;

/* Fills in r, and returns what it has for the client. */
const gsq_file_ref *gsq_file_call_ref(gsq_file_database *db, enum gsq_remote_name name,
                                      gsq_file_call *r);
int64_t gsq_file_deadline(const gsq_file_database *db);

/* Nothing may be done without the lease: SQLITE_OK, or `code`, reported. */
int gsq_file_check(gsq_file_database *db, int code, gsq_report *report);
void gsq_file_lose_lease(gsq_file_database *db);

int gsq_file_no_memory(gsq_report *report);

#endif
