/*
** The super-journals that exist, as far as SQLite must know: while it commits several databases
** together, and after that failed, so that it rolls them all back.
*/
#ifndef GSQ_VFS_SUPER_JOURNALS_H
#define GSQ_VFS_SUPER_JOURNALS_H

#include "vfs/sqlite_api.h"

/* Commits that are under way in one process, and those that failed: nobody says when the last of
** their databases has been rolled back. Of more than this, the oldest is forgotten. */
#define GSQ_MAX_SUPER_JOURNALS 256

/* It was made, as `file`, which stays open while the databases' parts of the commit are synced.
** SQLITE_OK or SQLITE_NOMEM. */
int gsq_super_journal_add(const char *name, sqlite3_file *file);
/* It was deleted by a commit. */
void gsq_super_journal_remove(const char *name);
int gsq_super_journal_exists(const char *name);
/* How many databases that it lists are not local files, as those are whose names begin with '/'.
** While its file is open; 0 if there is no such super-journal; INT_MAX if it cannot be read. */
int gsq_super_journal_remotes(const char *name);

/* For fork.c. */
void gsq_super_journals_before_fork(void);
void gsq_super_journals_after_fork(void);

#endif
