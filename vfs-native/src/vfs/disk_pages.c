#include "vfs/disk_pages.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* In the byte order of the machine: another's is another format. */
#define FORMAT 0x31707167u /* "gqp1" */

typedef struct header {
  uint32_t format;
  uint32_t page, page_size;
  uint32_t zeros; /* 1: the page is all zeros, and its bytes are not there */
  uint64_t from, to;
  gsq_disk_owner owner;
  uint64_t checksum; /* of the above and the bytes */
} header;
static_assert(sizeof(header) == 64, "no padding, which the checksum would not know");

typedef struct write_job {
  gsq_disk_job job;
  uint64_t enough;
  header header;
  unsigned char bytes[];
} write_job;

static uint64_t checksum(const header *head, const void *bytes) {
  const uint64_t seed = XXH3_64bits(head, offsetof(header, checksum));
  return XXH3_64bits_withSeed(bytes, head->zeros ? 0 : head->page_size, seed);
}

/* Pages in a row have places in a row, so that those of one database never take each other's as long
** as all fit. */
static off_t place_of(const gsq_disk_folder *folder, const gsq_id *database, uint32_t page,
                      uint32_t page_size, int place) {
  const uint64_t size = sizeof(header) + page_size;
  const uint64_t count = folder->max_bytes / size;
  const uint64_t first = XXH3_64bits_withSeed(database, sizeof *database, (uint64_t)place);
  return (off_t)((first % count + page) % count * size);
}

static ssize_t read_at(int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t got;
  do {
    got = preadv(fd, parts, count, at);
  } while (got < 0 && errno == EINTR);
  return got;
}

static int is_of(const header *head, const gsq_disk_owner *owner, uint32_t page,
                 uint32_t page_size) {
  return head->format == FORMAT && head->page == page && head->page_size == page_size &&
         memcmp(&head->owner, owner, sizeof *owner) == 0;
}

int gsq_disk_read(const gsq_disk_folder *folder, const gsq_disk_owner *owner, int place,
                  gsq_disk_image *image, void *bytes) {
  header head;
  const struct iovec parts[] = {{&head, sizeof head}, {bytes, image->page_size}};
  const off_t at = place_of(folder, &owner->database, image->page, image->page_size, place);
  const ssize_t got = read_at(folder->pages_fd, parts, 2, at);
  if (got < (ssize_t)sizeof head || !is_of(&head, owner, image->page, image->page_size))
    return 0;
  if (!head.zeros && got < (ssize_t)(sizeof head + image->page_size)) return -1;
  if (head.checksum != checksum(&head, bytes)) return -1;
  if (head.zeros) memset(bytes, 0, image->page_size);
  image->from = head.from;
  image->to = head.to;
  return 1;
}

/* Which of its places a page goes to: where it is already, else one that is free, else another
** page's. -1: nowhere, for it is there. */
static int choose(const gsq_disk_folder *folder, const write_job *write) {
  const header *mine = &write->header;
  int free_place = -1;
  for (int place = 0; place < GSQ_DISK_PLACES; place++) {
    header head = {0};
    const struct iovec part = {&head, sizeof head};
    const off_t at =
        place_of(folder, &mine->owner.database, mine->page, mine->page_size, place);
    const ssize_t got = read_at(folder->pages_fd, &part, 1, at);
    const int is_free = got < (ssize_t)sizeof head || head.format != FORMAT;
    if (is_free && free_place < 0) free_place = place;
    if (is_free || !is_of(&head, &mine->owner, mine->page, mine->page_size)) continue;
    return head.from == mine->from && head.to >= write->enough ? -1 : place;
  }
  return free_place >= 0 ? free_place : (int)(mine->checksum % GSQ_DISK_PLACES);
}

static void run(gsq_disk_folder *folder, gsq_disk_job *job) {
  write_job *write = (write_job *)job;
  header *head = &write->header;
  head->checksum = checksum(head, write->bytes);
  const int place = choose(folder, write);
  if (place >= 0) {
    const size_t size = sizeof *head + (head->zeros ? 0 : head->page_size);
    const struct iovec part[] = {{head, sizeof *head}, {write->bytes, size - sizeof *head}};
    const off_t at =
        place_of(folder, &head->owner.database, head->page, head->page_size, place);
    /* Whatever becomes of it, disk full or half written: who looks for the page will see. */
    while (pwritev(folder->pages_fd, part, 2, at) < 0 && errno == EINTR) continue;
  }
  free(write);
}

int gsq_disk_write(gsq_disk_folder *folder, const gsq_disk_owner *owner,
                   const gsq_disk_image *image, const void *bytes, uint64_t enough) {
  const uint32_t size = bytes ? image->page_size : 0;
  write_job *write = malloc(sizeof *write + size);
  if (!write) return 0;
  write->job = (gsq_disk_job){.bytes = sizeof *write + size, .run = run};
  write->enough = enough;
  write->header = (header){.format = FORMAT,
                           .page = image->page,
                           .page_size = image->page_size,
                           .zeros = !bytes,
                           .from = image->from,
                           .to = image->to,
                           .owner = *owner};
  if (bytes) memcpy(write->bytes, bytes, size);
  if (gsq_disk_later(folder, &write->job)) return 1;
  free(write);
  return 0;
}
