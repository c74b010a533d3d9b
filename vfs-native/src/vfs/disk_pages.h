/*
** The file of pages in a cache folder, which all databases and processes share.
**
** It has no header, no index and no locks. A page of a database has two places in it, which follow
** from the database's id, the page's number and the page size. What is found there is whole records
** that describe themselves: whose page, which number, from which version to which it was seen to
** hold, and a checksum over all of that and the content. So a record that is torn, damaged,
** misplaced, of another size or by another writer is not what was looked for, and that is all that
** can be wrong with it: two that write at once, or one that is killed while it does, leave at
** worst a record that nobody finds.
**
** The file never grows beyond the folder's limit, for there are no places beyond it. A new page
** takes a place of its own that is free, else one of another page.
*/
#ifndef GSQ_VFS_DISK_PAGES_H
#define GSQ_VFS_DISK_PAGES_H

#include "service/page_client.h"
#include "vfs/disk_folder.h"

#define GSQ_DISK_PLACES 2

/* Whose pages: a database, and which of the caches of it that there were; see disk_cache.h. */
typedef struct gsq_disk_owner {
  gsq_id database;
  uint64_t era;
} gsq_disk_owner;

/* An image of a page and the versions, first and last, at which it was seen to hold. */
typedef struct gsq_disk_image {
  uint32_t page, page_size;
  uint64_t from, to;
} gsq_disk_image;

/* Looks in one of its places for a page of image->page_size: 1, with its bytes and versions; 0: it
** is not there; -1: it was, but is damaged. */
int gsq_disk_read(const gsq_disk_folder *folder, const gsq_disk_owner *owner, int place,
                  gsq_disk_image *image, void *bytes);

/* Writes it later, in the folder's thread; not if the file seems to have the same image, seen at
** `enough` or later. bytes NULL: a page of zeros. Returns 0 if there is too much to do, or no
** memory. */
int gsq_disk_write(gsq_disk_folder *folder, const gsq_disk_owner *owner,
                   const gsq_disk_image *image, const void *bytes, uint64_t enough);

#endif
