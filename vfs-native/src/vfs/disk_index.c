#include "vfs/disk_index.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FORMAT 0x326b7167u /* "gqk2" */
#define SUFFIX ".seen"
#define NAME_BYTES (2 * GSQ_ID_BYTES + sizeof SUFFIX)
/* Written by the one who has the folder's lock, and then given its name. */
#define NEW_NAME "new"
/* Databases that a folder remembers: most take one block of the disk each. Of more, the half that
** was opened least recently goes. Whether there are more is looked at once in so many new ones. */
#define MAX_DATABASES 8192
#define LOOK_EVERY 64

/* The file: this, and then known->changed. */
typedef struct header {
  uint32_t format;
  uint32_t room;
  gsq_disk_owner owner;
  uint64_t since, through, mark;
  uint64_t checksum; /* of the above and what follows */
} header;
static_assert(sizeof(header) == 64, "no padding, which the checksum would not know");

typedef struct write_job {
  gsq_disk_job job;
  header header;
  uint64_t changed[];
} write_job;

static void name_of(const gsq_id *database, char *to) {
  for (int i = 0; i < GSQ_ID_BYTES; i++) sprintf(to + 2 * i, "%02x", database->bytes[i]);
  memcpy(to + NAME_BYTES - sizeof SUFFIX, SUFFIX, sizeof SUFFIX);
}

static uint64_t checksum(const header *head, const uint64_t *changed) {
  const uint64_t seed = XXH3_64bits(head, offsetof(header, checksum));
  return XXH3_64bits_withSeed(changed, head->room * sizeof *changed, seed);
}

static int read_all(int fd, void *to, size_t size) {
  for (size_t got = 0; got < size;) {
    const ssize_t n = read(fd, (char *)to + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    got += (size_t)n;
  }
  return 1;
}

static int write_all(int fd, const void *from, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = write(fd, (const char *)from + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    done += (size_t)n;
  }
  return 1;
}

static int is_room(uint32_t room) {
  return room <= GSQ_KNOWN_PAGES && (room & (room - 1)) == 0;
}

/* Reads the file. Returns 0 if there is none, or it is not what was written. *changed is malloc'ed, or
** NULL. */
static int load(const gsq_disk_folder *folder, const gsq_id *database, header *head,
                uint64_t **changed) {
  char name[NAME_BYTES];
  struct stat is;
  int whole = 0;
  *changed = NULL;
  name_of(database, name);
  const int fd = gsq_disk_open(folder, name, O_RDONLY);
  if (fd < 0) return 0;
  if (!read_all(fd, head, sizeof *head) || head->format != FORMAT || !is_room(head->room) ||
      memcmp(&head->owner.database, database, sizeof *database) != 0 || fstat(fd, &is) != 0 ||
      (uint64_t)is.st_size != sizeof *head + head->room * sizeof **changed) {
    goto out;
  }
  if (head->room > 0) *changed = malloc(head->room * sizeof **changed);
  if (head->room > 0 && !*changed) goto out;
  whole = read_all(fd, *changed, head->room * sizeof **changed) &&
          head->checksum == checksum(head, *changed) && head->since <= head->through;
out:
  close(fd);
  if (!whole) {
    free(*changed);
    *changed = NULL;
  }
  return whole;
}

/* With the folder's lock. */
static int replace(const gsq_disk_folder *folder, const header *head, const uint64_t *changed) {
  char name[NAME_BYTES];
  name_of(&head->owner.database, name);
  const int fd = gsq_disk_open(folder, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC);
  if (fd < 0) return 0;
  const int written =
      write_all(fd, head, sizeof *head) && write_all(fd, changed, head->room * sizeof *changed);
  return close(fd) == 0 && written &&
         renameat(folder->directory_fd, NEW_NAME, folder->directory_fd, name) == 0;
}

/* Forgetting databases. */

typedef struct remembered {
  char name[NAME_BYTES];
  struct timespec opened;
} remembered;

static int by_time(const void *a, const void *b) {
  const struct timespec *x = &((const remembered *)a)->opened;
  const struct timespec *y = &((const remembered *)b)->opened;
  if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
  return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static int is_index(const char *name) {
  return strlen(name) == NAME_BYTES - 1 &&
         strcmp(name + NAME_BYTES - sizeof SUFFIX, SUFFIX) == 0;
}

/* With the folder's lock, before one more is made. */
static void forget_some(const gsq_disk_folder *folder) {
  const int fd = openat(folder->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (!directory) {
    if (fd >= 0) close(fd);
    return;
  }
  int count = 0;
  const struct dirent *entry;
  while ((entry = readdir(directory))) count += is_index(entry->d_name);
  remembered *all = count < MAX_DATABASES ? NULL : malloc((size_t)count * sizeof *all);
  if (all) {
    const int most = count;
    count = 0;
    rewinddir(directory);
    while (count < most && (entry = readdir(directory))) {
      struct stat is;
      if (!is_index(entry->d_name) || fstatat(fd, entry->d_name, &is, AT_SYMLINK_NOFOLLOW)) {
        continue;
      }
      memcpy(all[count].name, entry->d_name, NAME_BYTES);
      all[count++].opened = is.st_mtim;
    }
    qsort(all, (size_t)count, sizeof *all, by_time);
    for (int i = 0; i < count / 2; i++) unlinkat(folder->directory_fd, all[i].name, 0);
    free(all);
  }
  closedir(directory);
}

/* What others call. */

int gsq_disk_index_open(gsq_disk_folder *folder, gsq_disk_owner *owner, const gsq_have *version,
                        gsq_known *known) {
  header head;
  uint64_t *changed;
  char name[NAME_BYTES];
  int found = load(folder, &owner->database, &head, &changed);
  if (!found) {
    if (!gsq_disk_lock(folder)) return 0;
    found = load(folder, &owner->database, &head,
                 &changed); /* another process may have been quicker */
    gsq_id random;
    if (!found && gsq_id_random(&random) == 0) {
      head = (header){.format = FORMAT,
                      .owner = *owner,
                      .since = version->version,
                      .through = version->version,
                      .mark = version->mark};
      memcpy(&head.owner.era, &random, sizeof head.owner.era);
      head.checksum = checksum(&head, NULL);
      if (head.owner.era % LOOK_EVERY == 0) forget_some(folder);
      found = replace(folder, &head, NULL);
    }
    gsq_disk_unlock(folder);
  }
  if (!found) return 0;
  name_of(&owner->database, name);
  utimensat(folder->directory_fd, name, NULL, 0);
  owner->era = head.owner.era;
  *known = (gsq_known){.since = head.since,
                       .through = head.through,
                       .mark = head.mark,
                       .changed = changed,
                       .room = head.room};
  return 1;
}

static void run(gsq_disk_folder *folder, gsq_disk_job *job) {
  write_job *write = (write_job *)job;
  const header *mine = &write->header;
  header head;
  uint64_t *changed;
  if (gsq_disk_lock(folder)) {
    const int found = load(folder, &mine->owner.database, &head, &changed);
    if (found && head.owner.era == mine->owner.era && head.through <= mine->through) {
      replace(folder, mine, write->changed);
    }
    if (found) free(changed);
    gsq_disk_unlock(folder);
  }
  free(write);
}

int gsq_disk_index_write(gsq_disk_folder *folder, const gsq_disk_owner *owner,
                         const gsq_known *known) {
  const size_t size = known->room * sizeof *known->changed;
  write_job *write = malloc(sizeof *write + size);
  if (!write) return 0;
  write->job = (gsq_disk_job){.bytes = sizeof *write + size, .run = run};
  write->header = (header){.format = FORMAT,
                           .room = known->room,
                           .owner = *owner,
                           .since = known->since,
                           .through = known->through,
                           .mark = known->mark};
  if (size > 0) memcpy(write->changed, known->changed, size);
  write->header.checksum = checksum(&write->header, write->changed);
  if (gsq_disk_later(folder, &write->job)) return 1;
  free(write);
  return 0;
}

void gsq_disk_index_remove(gsq_disk_folder *folder, const gsq_disk_owner *owner) {
  header head;
  uint64_t *changed;
  char name[NAME_BYTES];
  if (!gsq_disk_lock(folder)) return;
  if (load(folder, &owner->database, &head, &changed)) {
    free(changed);
    name_of(&owner->database, name);
    if (head.owner.era == owner->era) unlinkat(folder->directory_fd, name, 0);
  }
  gsq_disk_unlock(folder);
}
