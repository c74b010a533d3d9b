/*
** The names of super-journals that exist, as far as SQLite must know: while it commits several
** databases together, and after that failed, so that it rolls them all back.
*/
#ifndef GSQ_VFS_SUPER_JOURNALS_H
#define GSQ_VFS_SUPER_JOURNALS_H

/* It was made. Of more than a few at once, the oldest is forgotten. */
void gsq_super_journal_add(const char *name);
/* It was deleted by a commit. */
void gsq_super_journal_remove(const char *name);
int gsq_super_journal_exists(const char *name);

/* For fork.c. */
void gsq_super_journals_before_fork(void);
void gsq_super_journals_after_fork(void);

#endif
