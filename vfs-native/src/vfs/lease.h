/*
** The lease of a database: asking for it, trusting it, and giving it back when someone else wants
** it.
**
** It is a delegation: kept from transaction to transaction, until the server tells through Watch
** that someone waits for it. Then it goes back as soon as nobody here is about to write: no
** connection has RESERVED, none is asking, and none has got the lease on its way to RESERVED a moment
** ago (an *intent*; without it, two processes could hand the lease to and fro, each before it has
** written). From the moment that it is wanted, no others of this process come in between.
**
** That it goes back is decided under server->mutex and database->mutex; from then on it is not
** used. The background thread tells the server. Until that has answered, nobody here asks for the
** lease again: a late ReleaseLease could else free the one that was granted since.
*/
#ifndef GSQ_VFS_LEASE_H
#define GSQ_VFS_LEASE_H

#include "vfs/database.h"

/* Under database->mutex: the head is known without asking. */
int gsq_lease_is_trusted_(const gsq_database *database);

/* Asks for the lease, and waits wait_ms at most for another client to yield it; if `at` is not NULL, only
** as long as that is the head. The caller has RESERVED, or has counted itself in database->asking.
** GSQ_OK with the outcome in *outcome. */
int gsq_lease_acquire(gsq_database *database, const gsq_snapshot *at, uint32_t wait_ms,
                      enum gsq_lease_outcome *outcome, int64_t deadline_ms, gsq_error *error);

/* After a commit of unknown outcome its packet may still be on the way. A lease given back and
** taken again has another epoch, which fences it. */
int gsq_lease_settle_doubt(gsq_database *database, int64_t deadline_ms, gsq_error *error);

/* Gives the lease back if it is wanted and nothing stands against it; takes server->mutex and
** database->mutex, waits for nobody. */
void gsq_lease_yield(gsq_database *database);

/* When closing a database in a session that goes on. The database is in no list any more. If the server did not
** answer the last one, or deadline_ms is 0, the background thread does it. */
void gsq_lease_release_at_close(gsq_database *database, int64_t deadline_ms);

/* The background thread's: what the server says of leases; giving back what is due, which returns
** when there may be more to do. */
void gsq_lease_wanted(gsq_server *server, const gsq_id *id, uint64_t epoch);
void gsq_lease_lost(gsq_server *server, const gsq_id *id, uint64_t epoch);
int64_t gsq_leases_give_back(gsq_server *server);

#endif
