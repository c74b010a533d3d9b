/*
** The leases of a server's databases in the file service, and the thread that keeps them.
*/
#ifndef GSQ_VFS_FILE_LEASE_H
#define GSQ_VFS_FILE_LEASE_H

#include "vfs/file_database.h"

/* Giving a lease back is a courtesy. */
#define GSQ_FILE_CLOSE_TIMEOUT_MS 2000

/* What all databases of one server share: the capabilities, and the thread that keeps the leases. */
struct gsq_file_context {
  gsq_server *server;
  gsq_file_capabilities can;
  pthread_mutex_t mutex;
  pthread_cond_t wake; /* stopping, or a heartbeat ended; CLOCK_MONOTONIC */
  /* Protected by mutex. */
  gsq_file_database *databases;
  int stopping, thread_running;
  pthread_t thread;
  /* Protected by registry_mutex. */
  int references;
  struct gsq_file_context *next;
};

/* Finds or makes it; asks for the capabilities. Returns GSQ_OK or the code in *error. */
int gsq_file_context_acquire(gsq_server *server, int64_t deadline_ms, gsq_file_context **out,
                             gsq_error *error);
void gsq_file_context_release(gsq_file_context *context);
/* Starts the thread. 0, or -1 if there is none to be had. Under the context's mutex. */
int gsq_file_context_start(gsq_file_context *context);

/* One heartbeat. The lease is lost if the server says so. Returns GSQ_OK or the code in *error. */
int gsq_file_lease_renew(gsq_file_database *db, gsq_channel *channel, int64_t deadline_ms,
                         gsq_error *error);
/* Takes the lease if this process has none, and looks what is there. No connection has a lock.
** Returns an SQLite result code. */
int gsq_file_lease_take(gsq_file_database *db, gsq_report *report);
/* Gives back a lease that we do not trust any more, or do not need; that it fails does not matter,
** for it runs out by itself. */
void gsq_file_lease_give_back(gsq_file_database *db, int64_t deadline_ms);

#endif
