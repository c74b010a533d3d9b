/*
** A file service within the process: what file_client.h says, on files in memory. Thread-safe.
*/
#ifndef GSQ_TEST_FAKE_FILES_H
#define GSQ_TEST_FAKE_FILES_H

#include <stdint.h>

enum fake_file_method {
  FILE_ANY,
  FILE_ACQUIRE_LEASE,
  FILE_CLOSE,
  FILE_HEARTBEAT,
  FILE_READ,
  FILE_WRITE,
  FILE_BATCH,
  FILE_SIZE,
  FILE_TRUNCATE,
  FILE_DELETE,
  FILE_METHODS
};

/* Forgets all files, leases, faults and counts. */
void fake_files_reset(int atomic_batch, int point_in_time_reads);

/* The n-th next call of a method answers with this code, once; `done`: after it was done. */
void fake_files_fault(enum fake_file_method method, int n, int code, int done);
/* After n more calls that change something the server is gone for everyone. -1: it stays. */
void fake_files_vanish_after(int n);
/* It is back, and all leases have run out. Returns whether it had vanished. */
int fake_files_come_back(void);

/* Another client's lease: takes it, even away; gives it back. */
void fake_files_take_lease(const char *database);
void fake_files_release_lease(const char *database);

int fake_files_calls(enum fake_file_method method); /* FILE_ANY: all but heartbeats */
void fake_files_reset_calls(void);
int64_t fake_files_size(const char *name);
/* Puts a file there, as another client may have. */
void fake_files_put(const char *name, const void *data, int64_t size);
void fake_files_get(const char *name, void *to, int64_t size);
void fake_files_set_heartbeat_ms(int64_t interval_ms);

#endif
