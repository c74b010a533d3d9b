/*
** A transaction over several databases. Each file that SQLite syncs with a super-journal's name has
** its part of the commit prepared; when the super-journal is deleted, which is SQLite's commit
** point, the parts of each server are sent together, and it applies all of them or none.
**
** A file is in a group from its SYNC until its part is sent or dropped. All files of a group belong
** to one connection, and are used by one thread at a time. Groups themselves are independent.
*/
#ifndef GSQ_VFS_GROUP_H
#define GSQ_VFS_GROUP_H

#include "vfs/remote_file.h"

/* How many bytes of pages the group's message to the file's server has left for its part. */
size_t gsq_group_room(const char *super_journal, const gsq_remote_file *file);
/* Enters a file whose state is PREPARED. The name is copied. SQLITE_OK or SQLITE_NOMEM. */
int gsq_group_join(const char *super_journal, gsq_remote_file *file);
/* Drops a file's part, if it has one. */
void gsq_group_leave(gsq_remote_file *file);

/* The commit point: sends all parts of the super-journal's group. An error is COMMIT's, and each
** file is in the state that says what became of its part. SQLITE_OK also if there is no part. */
int gsq_group_commit(const char *super_journal);

/* For fork.c. */
void gsq_groups_before_fork(void);
void gsq_groups_after_fork(int in_child);

#endif
