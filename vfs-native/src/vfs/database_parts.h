/*
** What database.c, lease.c and watch.c share of a database. All want database->mutex held.
*/
#ifndef GSQ_VFS_DATABASE_PARTS_H
#define GSQ_VFS_DATABASE_PARTS_H

#include "vfs/database.h"

/* Under server->mutex alone: the one that is open and has that id, or NULL. */
gsq_database *gsq_database_by_id_(const gsq_server *server, const gsq_id *id);

/* The lowest version that anyone here may still read. */
uint64_t gsq_database_floor_(const gsq_database *database);

/* What is here is known up to this version: what changed since is of interest. */
gsq_have gsq_database_have_(const gsq_database *database);

/* Learns of a version, which was the head at known_ms or later (0: unknown), and what changed
** between `from` and it. Answers may come in any order: an older one has nothing to say. Returns 0 if nothing
** was learnt, but that another history began for what is on disk, or for what was here before: to be asked
** again, with what is here then. */
int gsq_database_learn_(gsq_database *database, const gsq_have *from, const gsq_snapshot *head,
                        const gsq_changes *changes, int64_t known_ms);

/* What was acknowledged before known_ms is known here. */
void gsq_database_confirm_(gsq_database *database, int64_t known_ms);

/* lease.c: the pin's connection has got the lease on its way to RESERVED. If it was granted to just
** this one, that has a turn although others may want it already; else it would never come to write
** where many do. */
void gsq_lease_intend_(gsq_database *database, gsq_pin *pin, int newly_granted);

#endif
