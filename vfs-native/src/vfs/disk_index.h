/*
** What a cache folder remembers of one database: a file with the gsq_known of whoever wrote it last,
** replaced as a whole and checksummed, so that it is one process's consistent knowledge, if perhaps
** not the newest. Losing it loses the database's pages; see disk_cache.h.
*/
#ifndef GSQ_VFS_DISK_INDEX_H
#define GSQ_VFS_DISK_INDEX_H

#include "vfs/disk_folder.h"
#include "vfs/disk_known.h"
#include "vfs/disk_pages.h"

/* Reads what there is of owner->database; makes it, for a database that has not been in this
** folder, with a new era and `version` with its mark as all that is known. Returns 0 if neither was
** possible. */
int gsq_disk_index_open(gsq_disk_folder *folder, gsq_disk_owner *owner, const gsq_have *version,
                        gsq_known *known);

/* Replaces it later, in the folder's thread, unless what is there is newer or of another era. Returns
** 0 if there is too much to do, or no memory. */
int gsq_disk_index_write(gsq_disk_folder *folder, const gsq_disk_owner *owner,
                         const gsq_known *known);

/* Removes it, if it is of this era: nobody will find this era's pages again. */
void gsq_disk_index_remove(gsq_disk_folder *folder, const gsq_disk_owner *owner);

#endif
