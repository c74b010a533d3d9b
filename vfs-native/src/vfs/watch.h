/*
** The Watch stream of a server: what it tells of heads and of leases. All of it runs in the
** background thread, which sees to KeepAlive and to leases that go back between two events (`tend`).
** That is why there is no second thread: a stream is a call that returns to its caller, whenever
** that has something to do, and goes on; see gsq_call's on_turn.
**
** A stream is begun anew when the set of databases has changed, for it names them; when the session
** was opened again; when nothing has come for too long; and, so that clocks that tick differently do
** not matter, from time to time.
*/
#ifndef GSQ_VFS_WATCH_H
#define GSQ_VFS_WATCH_H

#include "vfs/server.h"

typedef struct gsq_watcher {
  gsq_server *server;
  int64_t (*tend)(void *arg); /* does what is due, and says when there is more */
  void *tend_arg;

  /* Of the stream that there is, or was last. Times are gsq_now_ms()'s. */
  uint64_t number;
  uint64_t set, session;  /* of server->watch_set, server->session */
  int64_t sent_ms;        /* just before its request was sent; 0: not yet */
  int64_t heard_ms;       /* something came */
  int64_t silent_ms;      /* so long without anything ends it */
  int64_t renew_at_ms;    /* it has gone on for long enough */
  int64_t change_seen_ms; /* the set is another since; 0: it is not */

  int ended_here; /* and not by the server, or for want of one */

  int64_t begin_at_ms; /* the next one; 0: not known yet */
  unsigned failures;   /* in a row */
  int refused;         /* this server does not do it */
} gsq_watcher;

/* When a stream is to be begun; INT64_MAX: not. */
int64_t gsq_watch_due(gsq_watcher *watcher);
/* Begins one, and returns when it has ended. */
void gsq_watch_run(gsq_watcher *watcher);

#endif
