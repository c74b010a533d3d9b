/*
** The views that this process has at a server (see View in page_store.proto): their numbers, and
** telling the server which of them ended. Those who open and close hold server->open_gate.
*/
#ifndef GSQ_VFS_VIEWS_H
#define GSQ_VFS_VIEWS_H

#include "vfs/server.h"

/* Of a database that is open as it is now. */
#define GSQ_LIVE_VIEW 0

/* A number for a view at a fixed version, which no other has. */
uint32_t gsq_views_next(gsq_server *server);

/* A view has ended: a KeepAlive will say so, until one was answered. */
void gsq_views_closed(gsq_server *server, const gsq_id *database, uint32_t view,
                      int64_t deadline_ms);
/* The same under server->mutex, of a fixed version, and without server->open_gate: tells nobody now. If
** memory runs out, the view ends with the session. */
void gsq_views_closed_(gsq_server *server, const gsq_id *database, uint32_t view);
/* A view with that number was opened again. Under server->mutex too. */
void gsq_views_reopened(gsq_server *server, const gsq_id *database, uint32_t view);

/* The background thread: takes what is to be told, GSQ_MAX_CLOSED_VIEWS at most, unless somebody
** opens or closes databases or opens the session again just now. If there is anything,
** gsq_views_end_telling has to follow, with whether it was told. Between the two nobody opens a view
** that is being told as closed, and nobody tells a view as open that was closed meanwhile. */
size_t gsq_views_begin_telling(gsq_server *server, gsq_view *views);
void gsq_views_end_telling(gsq_server *server, size_t count, int told);

#endif
