/*
** A database at a version that stays (at= and version= of the URI): a view of its own at the server,
** which keeps that version until the view is closed. It reads through the same gsq_database, and so
** the same page cache, as the connections that follow the head; it has no pin there, for it holds
** nothing back and never asks what is new.
*/
#ifndef GSQ_VFS_FIXED_VIEW_H
#define GSQ_VFS_FIXED_VIEW_H

#include "vfs/database.h"
#include "vfs/rfc3339.h"

/* Which version: that number, or the newest that was committed at or before a time. */
typedef struct gsq_moment {
  int is_time;
  uint64_t version;
  gsq_time time;
} gsq_moment;

/* Opens a database there. *view is the caller's, and stays where it is until gsq_fixed_close. */
int gsq_fixed_open(gsq_server *server, const gsq_settings *settings, const gsq_moment *at,
                   int64_t deadline_ms, gsq_fixed_view *view, gsq_database **out,
                   gsq_error *error);
void gsq_fixed_close(gsq_database *database, gsq_fixed_view *view, int64_t deadline_ms);

#endif
