/*
** Up to which version an image of a page holds, as far as a list of changes tells.
**
** Whoever reads a page at a version learns a fact: this image holds from the version that wrote it
** to the one that was read. The facts on disk stay as they are; what makes an old one good for a
** newer version is the knowledge that the page has not changed since, which is kept here: for each
** page, a version above which it has not changed up to `through`.
**
** Pure, and not thread-safe. Bounded: beyond GSQ_KNOWN_PAGES pages share an entry, so that a
** change of one counts as one of the others too.
*/
#ifndef GSQ_VFS_DISK_KNOWN_H
#define GSQ_VFS_DISK_KNOWN_H

#include <stddef.h>
#include <stdint.h>

/* All pages of 1 GiB, in 2 MiB. */
#define GSQ_KNOWN_PAGES (1u << 18)

typedef struct gsq_known {
  uint64_t since, through; /* changes in (since, through] are known: */
  uint64_t mark;           /* of `through`, as in gsq_snapshot */
  uint64_t *changed; /* of page p, entry (p - 1) % room: the last one, or later; 0: none */
  uint32_t room;     /* entries: 0, or a power of two up to GSQ_KNOWN_PAGES */
} gsq_known;

/* Nothing is known but that there is this version, with this mark. */
void gsq_known_restart(gsq_known *known, uint64_t version, uint64_t mark);
void gsq_known_free(gsq_known *known);

/* Learns what changed in (from, to], where `to` has that mark: the pages named, or all. What begins above `through` is not
** learnt, for what lies between is not known; nor is what ends at or below it, which is. Returns
** whether anything was. */
int gsq_known_learn(gsq_known *known, uint64_t from, uint64_t to, uint64_t mark, int all,
                    const uint32_t *pages, size_t count);

/* The last version at which an image is known to hold that was seen to hold at `seen`. */
uint64_t gsq_known_until(const gsq_known *known, uint32_t page, uint64_t seen);

/* The first version such that an image that was seen there is known to hold up to `through`. */
uint64_t gsq_known_unchanged_since(const gsq_known *known, uint32_t page);

#endif
