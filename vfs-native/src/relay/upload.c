#include "relay/upload.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "service/pages.h"

/* One is read while another is on its way. */
#define THREADS 3
/* In one message, if the last one was there soon: whatever its size, each costs the server some work.
** On a slow line that would be more than arrives in a message's time. */
#define MOST_MESSAGE_BYTES (4 << 20)
#define SLOW_MESSAGE_BYTES (1 << 20)
#define SOON_MS 500
/* Of pages that follow each other, which one thread sends: a server writes those fastest. */
#define RUN_BYTES (64 << 20)
/* How long a server may have too much to write already. */
#define BACKLOG_MS 10000
#define BACKLOG_PAUSE_MS 20

typedef struct uploading {
  const gsq_upload *upload;
  uint32_t most_pages, slow_pages; /* in a message */
  uint64_t pages_per_run;
  pthread_mutex_t mutex;
  uint64_t next;   /* the first page of the next run; protected by mutex */
  int code;        /* why it ends; protected by mutex */
  gsq_error error; /* of code */
} uploading;

/* What one thread has. */
typedef struct buffers {
  uint8_t *bytes;
  gsq_page_ref *pages;
  uint32_t next_pages; /* in its next message */
} buffers;

static int is_zero(const uint8_t *page, uint32_t size) {
  return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

static int read_pages(const gsq_upload *u, uint64_t first, uint32_t count, buffers *b,
                      gsq_error *error) {
  size_t size = (size_t)count * u->page_size, done = 0;
  while (done < size) {
    ssize_t got =
        pread(u->fd, b->bytes + done, size - done, (off_t)((first - 1) * u->page_size + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return gsq_error_set(error, GSQ_UNKNOWN, "the file cannot be read: %s", strerror(errno));
    }
    if (got == 0) {
      return gsq_error_set(error, GSQ_UNKNOWN, "the file is shorter than its %u pages",
                           u->page_count);
    }
    done += (size_t)got;
  }
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *page = b->bytes + (size_t)i * u->page_size;
    b->pages[i] = (gsq_page_ref){.number = (uint32_t)(first + i),
                                 .data = page,
                                 .size = is_zero(page, u->page_size) ? 0 : u->page_size};
  }
  return GSQ_OK;
}

static int send_pages(const gsq_upload *u, uint32_t count, const buffers *b, gsq_error *error) {
  const int64_t patience_ms = gsq_now_ms() + BACKLOG_MS;
  for (;;) {
    int code = gsq_stage_in_bulk(&u->client, &u->database, u->epoch, &u->stage, u->page_size,
                                 b->pages, count, gsq_now_ms() + u->timeout_ms, error);
    if (code == GSQ_OK || !gsq_error_is(error, "LIMIT") || gsq_now_ms() > patience_ms)
      return code;
    nanosleep(&(struct timespec){.tv_nsec = BACKLOG_PAUSE_MS * 1000000L}, NULL);
  }
}

/* Of a run, or what ended it for all. */
static void send_run(uploading *all, uint64_t first, uint64_t end, buffers *b) {
  const gsq_upload *u = all->upload;
  while (first < end) {
    uint32_t count = end - first < b->next_pages ? (uint32_t)(end - first) : b->next_pages;
    gsq_error error = {0};
    const int64_t begun_ms = gsq_now_ms();
    int code = read_pages(u, first, count, b, &error);
    if (code == GSQ_OK) code = send_pages(u, count, b, &error);
    b->next_pages = gsq_now_ms() - begun_ms < SOON_MS ? all->most_pages : all->slow_pages;
    pthread_mutex_lock(&all->mutex);
    if (code == GSQ_OK) u->on_sent(u->arg, (uint64_t)count * u->page_size);
    if (code != GSQ_OK && all->code == GSQ_OK) {
      all->code = code;
      all->error = error;
    }
    int ended = all->code != GSQ_OK;
    pthread_mutex_unlock(&all->mutex);
    if (ended) return;
    first += count;
  }
}

static void *work(void *arg) {
  uploading *all = arg;
  const gsq_upload *u = all->upload;
  buffers b = {.bytes = malloc((size_t)all->most_pages * u->page_size),
               .pages = calloc(all->most_pages, sizeof *b.pages),
               .next_pages = all->slow_pages};
  for (;;) {
    pthread_mutex_lock(&all->mutex);
    if ((!b.bytes || !b.pages) && all->code == GSQ_OK) {
      all->code = gsq_error_nomem(&all->error);
    }
    uint64_t first = all->next;
    all->next += all->pages_per_run;
    int ended = all->code != GSQ_OK || first > u->page_count;
    pthread_mutex_unlock(&all->mutex);
    if (ended) break;
    uint64_t end = first + all->pages_per_run;
    send_run(all, first, end <= u->page_count ? end : (uint64_t)u->page_count + 1, &b);
  }
  free(b.pages);
  free(b.bytes);
  return NULL;
}

/* As many runs for each thread, so that none is left alone with the last. */
static uint64_t pages_per_run(const gsq_upload *u) {
  uint64_t bytes = (uint64_t)u->page_count * u->page_size;
  uint64_t runs = (bytes + RUN_BYTES - 1) / RUN_BYTES;
  runs = (runs + THREADS - 1) / THREADS * THREADS;
  return (u->page_count + runs - 1) / runs;
}

/* 0 if not even one fits. */
static uint32_t pages_in(const gsq_upload *u, size_t bytes) {
  if (bytes > u->max_message_bytes) bytes = u->max_message_bytes;
  if (bytes < GSQ_MESSAGE_OVERHEAD_BYTES) return 0;
  return (uint32_t)((bytes - GSQ_MESSAGE_OVERHEAD_BYTES) /
                    gsq_pages_wire_size(u->page_size, 1));
}

int gsq_upload_run(const gsq_upload *u, gsq_error *error) {
  if (!gsq_is_page_size(u->page_size) || u->page_count == 0 ||
      pages_in(u, SLOW_MESSAGE_BYTES) == 0) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT,
                         "%u pages of %u bytes cannot be sent in messages of %u bytes",
                         u->page_count, u->page_size, u->max_message_bytes);
  }
  uploading all = {.upload = u,
                   .most_pages = pages_in(u, MOST_MESSAGE_BYTES),
                   .slow_pages = pages_in(u, SLOW_MESSAGE_BYTES),
                   .pages_per_run = pages_per_run(u),
                   .next = 1};
  pthread_mutex_init(&all.mutex, NULL);
  pthread_t threads[THREADS];
  int started = 0;
  while (started < THREADS && pthread_create(&threads[started], NULL, work, &all) == 0)
    started++;
  if (started == 0) {
    all.code = gsq_error_set(&all.error, GSQ_NOMEM, "no thread can be started");
  }
  while (started > 0) pthread_join(threads[--started], NULL);
  pthread_mutex_destroy(&all.mutex);
  if (all.code != GSQ_OK) *error = all.error;
  return all.code;
}
