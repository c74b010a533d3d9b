/*
** One server as this process sees it: a channel, a session, one background thread. Shared by all
** databases that were opened with the same URL, token and TLS files. Made by the first open,
** closed by the last close: without an open database there is no thread and no connection.
**
** It may be several servers that have one store. At any time one is in use, by all threads; the
** session goes along when another one comes into use, which is told by whoever has to do with it first,
** if it does not know the session. Lists that differ in their order alone are the same servers: the
** order of the one that was there first counts.
**
** LOCK ORDER, outermost first:
**
**   server->open_gate      opening and closing databases              held across RPCs
**   server->session_gate   opening the session again                  held across RPCs
**   registry mutex         the servers of the process (server.c)      short
**   server->mutex          what the session is, the databases' list   short
**   database->mutex        locks, snapshots, lease                    short
**   the page cache's, the channel's and report.c's own, the cache's on disk and, within that, its
**   folder's                                                          short
**
** No RPC is made while a short one is held. Who waits for one that is held across RPCs waits until its own
** deadline; a close leaves the rest to the background thread then. A thread that waits for another's Refresh waits on a
** condition of database->mutex.
*/
#ifndef GSQ_VFS_SERVER_H
#define GSQ_VFS_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "base/gate.h"
#include "rpc/channel.h"
#include "service/page_client.h"
#include "vfs/settings.h"

typedef struct gsq_database gsq_database;

/* Closed views in one KeepAlive. After as many more the close itself tells the server. */
#define GSQ_MAX_CLOSED_VIEWS 256

/* Leases that are being given back at the same time; more wait. */
#define GSQ_MAX_RELEASES 64

typedef struct gsq_release {
  gsq_id database;
  uint64_t epoch;
} gsq_release;

typedef struct gsq_server {
  /* Set before anyone else sees the object; never changed. */
  char *url; /* perhaps several: settings.server */
  char *token, *ca_file, *cert_file, *key_file;
  char service;            /* settings.service */
  char compression;        /* settings.compression */
  unsigned generation;     /* gsq_fork_generation() */
  gsq_channel *channel;    /* calls of SQLite's threads */
  gsq_channel *background; /* the background thread's own */
  gsq_page_client client, background_client;
  int wake_fd; /* an eventfd, readable when the background thread has something to do */

  /* Protected by the registry mutex. */
  int references;
  struct gsq_server *next;

  gsq_gate open_gate;
  uint32_t last_view; /* the newest number of a view; protected by open_gate */

  gsq_gate session_gate;

  pthread_mutex_t mutex;
  pthread_cond_t released; /* one of `releases` is gone */

  /* Protected by mutex. */
  int probed;            /* info and kind are known */
  int has_page_service;  /* 0: the file service alone */
  gsq_session_info info; /* immutable once probed */
  uint64_t incarnation;  /* of the session that was opened last; see the proto */
  int thread_running;
  pthread_t thread;
  gsq_database *databases;
  gsq_view *closed_views; /* of which the server has not been told; see views.h */
  size_t closed_view_count, closed_view_room;
  gsq_release releases[GSQ_MAX_RELEASES]; /* the server is to be told; in order */
  size_t release_count;

  /* How often the session was opened; 0: not yet. What was granted in an earlier one must be
  ** asked for again. Written under mutex, before trusted_until_ms. */
  _Atomic uint64_t session;
  /* Leases of the current session are ours until then, on gsq_now_ms()'s clock: the last
  ** KeepAlive *sent* that was answered, plus the TTL, less a margin. */
  _Atomic int64_t trusted_until_ms;
  /* The session was opened again, and the server has not been told yet what we read. Written under
  ** session_gate. */
  atomic_int views_untold;

  /* For the background thread, with gsq_server_wake. */
  _Atomic int stopping;
  _Atomic int watch_needed;   /* once there was need for a stream, there is one */
  _Atomic uint64_t watch_set; /* how often the set of watched databases has changed */
  _Atomic int look_at_leases; /* one is wanted, and may be free */
  _Atomic int closed_late;    /* a database has closed_late */

  /* What had been heard of the server when it did not answer at a close, and 1; 0: it always has. */
  _Atomic uint64_t unanswered_at;

  atomic_int slow; /* lately, large answers came slowly: for gsq_server_accepts_lz4 */

  _Atomic uint64_t commits, pages_committed, pages_staged;
  _Atomic uint64_t watch_events, unasked, delegated, yields;
} gsq_server;

/* Finds or makes the server that the settings name, and opens its session. *out is the caller's
** to release. Thread-safe. */
int gsq_server_acquire(const gsq_settings *settings, int64_t deadline_ms, gsq_server **out,
                       gsq_error *error);
void gsq_server_release(gsq_server *server);

/*
** Repeating a call that the server answered with NO_SUCH_SESSION:
**
**   gsq_attempts attempts = gsq_server_attempts(server);
**   do {
**     gsq_refresh(..., error);
**   } while (gsq_server_again(server, &attempts, deadline_ms, error));
*/
typedef struct gsq_attempts {
  uint64_t session; /* in which the call is made */
  int count;
} gsq_attempts;
gsq_attempts gsq_server_attempts(gsq_server *server);
/* True if the call is to be made again. *error is what the call said; replaced if the session
** could not be opened again. */
int gsq_server_again(gsq_server *server, gsq_attempts *attempts, int64_t deadline_ms,
                     gsq_error *error);

/* Takes one of the two gates, or says that another connection had it until the deadline. */
int gsq_server_enter(gsq_server *server, gsq_gate *gate, int64_t deadline_ms, gsq_error *error);
/* Leaves open_gate. */
void gsq_server_leave_open(gsq_server *server);

/* Who closes several databases waits once for a server that hangs: it was not answered; whether
** anything has been heard since. */
void gsq_server_did_not_answer(gsq_server *server);
int gsq_server_is_heard(gsq_server *server);

/* Whether pages that are asked for now may come compressed. */
int gsq_server_accepts_lz4(gsq_server *server);

/* Wakes the background thread. */
void gsq_server_wake(gsq_server *server);
/* A Watch stream is needed from now on, if the server can. */
void gsq_server_need_watch(gsq_server *server);
/* session.c: tells the server all views, as after the session was opened again. */
int gsq_server_tell_views(gsq_server *server, int64_t deadline_ms, gsq_error *error);

/* What this process did with all servers since it began; those that are closed count up to their
** last database's close. */
typedef struct gsq_totals {
  uint64_t servers; /* that have an open database */
  uint64_t rpcs, retries, connects, bytes_sent, bytes_received;
  uint64_t commits, pages_committed, pages_staged, watch_events, unasked, yields, delegated;
} gsq_totals;
void gsq_servers_totals(gsq_totals *out);

/* For fork.c. */
void gsq_servers_before_fork(void);
void gsq_servers_after_fork(int in_child);

/* session.c, for server.c: opens the session for the first time and starts the thread; stops it
** and closes the session. */
int gsq_session_start(gsq_server *server, int64_t deadline_ms, gsq_error *error);
void gsq_session_stop(gsq_server *server);

/* session.c: opens the session again unless someone did since it was opened the `seen`th time, and
** tells the server what is still read. Leases are asked for again when they are needed. */
int gsq_session_reopen(gsq_server *server, const gsq_page_client *client, uint64_t seen,
                       int64_t deadline_ms, gsq_error *error);

#endif
