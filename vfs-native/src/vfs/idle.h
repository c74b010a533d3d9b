/*
** Databases that are open and not in use. What a session has read it keeps from being collected, from the
** last head that it knows on; so an idle connection would keep all that is committed meanwhile. The
** background thread therefore asks for the head of such a database now and then, and the floor
** rises with it (session.c).
*/
#ifndef GSQ_VFS_IDLE_H
#define GSQ_VFS_IDLE_H

#include "vfs/server.h"

/* Asks for some, those first of which nothing was heard for longest; each at most once in a sixth of the
** TTL, and GSQ_MAX_IDLE in one go, so that it costs the same however many are open. Takes half a second, or
** a tenth of the TTL, at most: what keeps the session waits for it. */
#define GSQ_MAX_IDLE 16
void gsq_idle_ask(gsq_server *server);

#endif
