#include "vfs/pragma.h"
#include "vfs/remote_file.h"

/* Where SQLite has batch-atomic writes it brackets a commit's writes with these, and sends SYNC
** after them as always. They are the same buffer and the same commit. */
static int begin_batch(gsq_remote_file *file) {
  /* SQLite falls back to its journal. It does not begin a batch after it has spilled. */
  if (!gsq_write_buffer_is_empty(file->buffer)) return SQLITE_IOERR_BEGIN_ATOMIC;
  file->batch = 1;
  return SQLITE_OK;
}

static int end_batch(gsq_remote_file *file) {
  if (!file->batch) return SQLITE_IOERR_COMMIT_ATOMIC;
  file->batch = 0;
  return SQLITE_OK;
}

/* SQLite may write all of it again. */
static int roll_batch_back(gsq_remote_file *file) {
  gsq_remote_drop_writes(file);
  if (file->state != GSQ_REMOTE_POISONED) file->state = GSQ_REMOTE_GOOD;
  return SQLITE_OK;
}

int gsq_remote_file_control(sqlite3_file *base, int op, void *arg) {
  gsq_remote_file *file = (gsq_remote_file *)base;
  switch (op) {
    case SQLITE_FCNTL_SYNC: /* arg: the super-journal's name, if several databases commit */
      return gsq_remote_sync(file, arg);
    case SQLITE_FCNTL_BEGIN_ATOMIC_WRITE:
      return begin_batch(file);
    case SQLITE_FCNTL_COMMIT_ATOMIC_WRITE:
      return end_batch(file);
    case SQLITE_FCNTL_ROLLBACK_ATOMIC_WRITE:
      return roll_batch_back(file);
    case SQLITE_FCNTL_PRAGMA:
      return gsq_remote_pragma(file, arg);
    case SQLITE_FCNTL_VFSNAME:
      *(char **)arg = sqlite3_mprintf("grpsqlite");
      return *(char **)arg ? SQLITE_OK : SQLITE_NOMEM;
    case SQLITE_FCNTL_LOCKSTATE:
      *(int *)arg = file->lock;
      return SQLITE_OK;
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE: {
      int *set = arg;
      if (*set < 0) {
        *set = file->powersafe_overwrite;
      } else {
        file->powersafe_overwrite = *set != 0;
      }
      return SQLITE_OK;
    }
    case SQLITE_FCNTL_SIZE_HINT:
    case SQLITE_FCNTL_CHUNK_SIZE:
      return SQLITE_OK; /* hints about a disk */
    default:
      return SQLITE_NOTFOUND;
  }
}
