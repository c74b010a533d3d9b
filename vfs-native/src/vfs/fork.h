/*
** After fork() the child starts anew: what it inherited belongs to the parent. Every object that
** reaches a server remembers the generation in which it was made and is dead in a later one.
*/
#ifndef GSQ_VFS_FORK_H
#define GSQ_VFS_FORK_H

/* Installs the handlers, once. Returns 0, or -1 if memory ran out. */
int gsq_fork_install(void);

/* Grows by one in each child. */
unsigned gsq_fork_generation(void);

#endif
