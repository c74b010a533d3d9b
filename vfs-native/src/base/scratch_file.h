/*
** A nameless file for what need not outlive the process: in the folder that SQLite too would take
** for temporary files.
*/
#ifndef GSQ_BASE_SCRATCH_FILE_H
#define GSQ_BASE_SCRATCH_FILE_H

#include <stddef.h>
#include <stdint.h>

/* An empty one, for this user alone, gone when its descriptor is closed; -1 if no folder takes it.
** Folders, the first that does: $SQLITE_TMPDIR, $TMPDIR, /var/tmp, /usr/tmp, /tmp, the current. */
int gsq_scratch_file_open(void);

/* All of the bytes at this offset. Return 0, or -1: also if the file ends before.
** Several threads may. */
int gsq_scratch_file_write(int file, const void *data, size_t size, uint64_t offset);
int gsq_scratch_file_read(int file, void *to, size_t size, uint64_t offset);

#endif
