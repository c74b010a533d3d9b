#include "vfs/fake/fake_files.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/file_client.h"
#include "vfs/fake/fake_server.h"

#define MAX_FILES 64
#define MAX_VERSIONS 512

typedef struct content {
  unsigned char *data;
  int64_t size;
} content;

typedef struct file {
  char name[128];
  content now;
  struct {
    int64_t time;
    content content;
  } versions[MAX_VERSIONS]; /* with point_in_time */
  int version_count;
} file;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* All protected by mutex. */
static file *files[MAX_FILES];
static struct {
  char database[128];
  char lease[64]; /* "": free */
} leases[MAX_FILES];
static int atomic_batch, point_in_time, lease_number, vanish_after = -1, vanished;
static int64_t now_millis = 1000, heartbeat_ms = 5000;
static int calls[FILE_METHODS];
static struct { int method, n, code, done; } fault;

static file *find_file(const char *name, int make) {
  int i = 0;
  for (; i < MAX_FILES && files[i]; i++) {
    if (!strcmp(files[i]->name, name)) return files[i];
  }
  if (!make) return NULL;
  if (i == MAX_FILES || !(files[i] = calloc(1, sizeof *files[i]))) abort();
  snprintf(files[i]->name, sizeof files[i]->name, "%s", name);
  return files[i];
}

static char *lease_of(const char *database) {
  int i = 0;
  for (; i < MAX_FILES && leases[i].database[0]; i++) {
    if (!strcmp(leases[i].database, database)) return leases[i].lease;
  }
  if (i == MAX_FILES) abort();
  snprintf(leases[i].database, sizeof leases[i].database, "%s", database);
  return leases[i].lease;
}

static void resize(content *c, int64_t size) {
  if (size > c->size) {
    c->data = realloc(c->data, (size_t)size);
    if (!c->data) abort();
    memset(c->data + c->size, 0, (size_t)(size - c->size));
  }
  c->size = size;
}

static void remember(file *f) {
  now_millis++;
  if (!point_in_time) return;
  if (f->version_count == MAX_VERSIONS) abort();
  content *c = &f->versions[f->version_count].content;
  f->versions[f->version_count++].time = now_millis;
  c->size = f->now.size;
  c->data = malloc((size_t)c->size + 1);
  if (c->size) memcpy(c->data, f->now.data, (size_t)c->size);
}

static void put(file *f, int64_t offset, const void *data, uint32_t size) {
  if (offset + size > f->now.size) resize(&f->now, offset + size);
  if (size) memcpy(f->now.data + offset, data, size);
}

/* Every call begins so, under the mutex: GSQ_OK, or what it is answered with. */
static int begin(enum fake_file_method method, gsq_error *error) {
  error->sent_before = 0;
  error->reason[0] = 0;
  calls[method]++;
  if (method != FILE_HEARTBEAT) calls[FILE_ANY]++;
  int changes = method == FILE_WRITE || method == FILE_BATCH || method == FILE_TRUNCATE ||
                method == FILE_DELETE;
  if (changes && vanish_after >= 0 && vanish_after-- == 0) vanished = 1;
  if (vanished) return gsq_error_set(error, GSQ_UNAVAILABLE, "the fake server is gone");
  if (fault.n > 0 && fault.method == (int)method && --fault.n == 0 && !fault.done)
    return gsq_error_set(error, fault.code, "the fake server fails");
  return GSQ_OK;
}

/* And ends so, when it was done. */
static int end(enum fake_file_method method, gsq_error *error) {
  if (fault.done && fault.n == 0 && fault.method == (int)method) {
    fault.done = 0;
    error->sent_before = 1;
    return gsq_error_set(error, fault.code, "the fake server's answer was lost");
  }
  return GSQ_OK;
}

static int check_lease(const gsq_file_ref *f, gsq_error *error) {
  if (!strcmp(f->context, "fake context") && *f->lease_id &&
      !strcmp(f->lease_id, lease_of(f->database)))
    return GSQ_OK;
  return gsq_error_set(error, GSQ_FAILED_PRECONDITION, "no such lease");
}

#define BEGIN(method)              \
  pthread_mutex_lock(&mutex);      \
  int code = begin(method, error); \
  (void)deadline_ms;               \
  (void)channel;                   \
  if (code != GSQ_OK) goto out;
#define END(method)             \
  code = end(method, error);    \
  out:                          \
  pthread_mutex_unlock(&mutex); \
  return code;

int gsq_file_get_capabilities(gsq_channel *channel, const char *token,
                              gsq_file_capabilities *out, int64_t deadline_ms,
                              gsq_error *error) {
  (void)channel, (void)token, (void)deadline_ms, (void)error;
  memset(out, 0, sizeof *out);
  pthread_mutex_lock(&mutex);
  snprintf(out->context, sizeof out->context, "fake context");
  out->atomic_batch = atomic_batch;
  out->point_in_time_reads = point_in_time;
  out->sector_size = 4096;
  out->heartbeat_interval_ms = heartbeat_ms;
  pthread_mutex_unlock(&mutex);
  return GSQ_OK;
}

int gsq_file_acquire_lease(gsq_channel *channel, const char *context, const char *database,
                           char *lease_id, int64_t deadline_ms, gsq_error *error) {
  (void)context;
  BEGIN(FILE_ACQUIRE_LEASE)
  char *lease = lease_of(database);
  if (*lease) {
    code = gsq_error_set(error, GSQ_FAILED_PRECONDITION, "held");
    snprintf(error->reason, sizeof error->reason, "LEASE_HELD");
    goto out;
  }
  snprintf(lease, sizeof leases->lease, "lease %d", ++lease_number);
  strcpy(lease_id, lease);
  END(FILE_ACQUIRE_LEASE)
}

int gsq_file_close(gsq_channel *channel, const gsq_file_ref *f, int64_t deadline_ms,
                   gsq_error *error) {
  BEGIN(FILE_CLOSE)
  if (check_lease(f, error) == GSQ_OK) *lease_of(f->database) = 0;
  END(FILE_CLOSE)
}

int gsq_file_heartbeat(gsq_channel *channel, const char *context, const char *lease_id,
                       int64_t deadline_ms, gsq_error *error) {
  (void)context;
  BEGIN(FILE_HEARTBEAT)
  code = gsq_error_set(error, GSQ_NOT_FOUND, "no such lease");
  for (int i = 0; i < MAX_FILES; i++) {
    if (leases[i].lease[0] && !strcmp(leases[i].lease, lease_id)) code = GSQ_OK;
  }
  if (code != GSQ_OK) goto out;
  END(FILE_HEARTBEAT)
}

int gsq_file_read(gsq_channel *channel, const gsq_file_ref *f, int64_t offset, uint32_t length,
                  int64_t time_millis, uint64_t have_checksum, void *buffer, uint32_t *got,
                  int *unchanged, int64_t *at_time_millis, int64_t deadline_ms,
                  gsq_error *error) {
  (void)have_checksum;
  BEGIN(FILE_READ)
  *unchanged = 0;
  *got = 0;
  *at_time_millis = 0;
  if (*f->lease_id || !point_in_time) {
    code = check_lease(f, error);
    if (code != GSQ_OK) goto out;
  }
  file *it = find_file(f->file_name, 0);
  const content *c = it ? &it->now : NULL;
  if (point_in_time && it) {
    c = NULL;
    for (int i = 0; i < it->version_count; i++) {
      if (time_millis && it->versions[i].time > time_millis) break;
      c = &it->versions[i].content;
      *at_time_millis = it->versions[i].time;
    }
    if (time_millis) *at_time_millis = time_millis;
  }
  if (c && offset < c->size) {
    *got = c->size - offset < length ? (uint32_t)(c->size - offset) : length;
    memcpy(buffer, c->data + offset, *got);
  }
  END(FILE_READ)
}

int gsq_file_write(gsq_channel *channel, const gsq_file_ref *f, int64_t offset,
                   const void *data, uint32_t size, int64_t deadline_ms, gsq_error *error) {
  BEGIN(FILE_WRITE)
  code = check_lease(f, error);
  if (code != GSQ_OK) goto out;
  file *it = find_file(f->file_name, 1);
  put(it, offset, data, size);
  remember(it);
  END(FILE_WRITE)
}

int gsq_file_write_batch(gsq_channel *channel, const gsq_file_ref *f,
                         const gsq_file_write_ref *writes, size_t count, int64_t deadline_ms,
                         gsq_error *error) {
  BEGIN(FILE_BATCH)
  code = atomic_batch ? check_lease(f, error)
                      : gsq_error_set(error, GSQ_UNIMPLEMENTED, "no batches here");
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += writes[i].size;
  if (code == GSQ_OK && bytes > 4 << 20)
    code = gsq_error_set(error, GSQ_RESOURCE_EXHAUSTED, "message too large");
  if (code != GSQ_OK) goto out;
  file *it = find_file(f->file_name, 1);
  for (size_t i = 0; i < count; i++) put(it, writes[i].offset, writes[i].data, writes[i].size);
  remember(it);
  END(FILE_BATCH)
}

int gsq_file_size(gsq_channel *channel, const gsq_file_ref *f, int64_t *size,
                  int64_t deadline_ms, gsq_error *error) {
  BEGIN(FILE_SIZE)
  file *it = find_file(f->file_name, 0);
  *size = it ? it->now.size : 0;
  END(FILE_SIZE)
}

int gsq_file_truncate(gsq_channel *channel, const gsq_file_ref *f, int64_t size,
                      int64_t deadline_ms, gsq_error *error) {
  BEGIN(FILE_TRUNCATE)
  code = check_lease(f, error);
  if (code != GSQ_OK) goto out;
  file *it = find_file(f->file_name, 1);
  resize(&it->now, size);
  remember(it);
  END(FILE_TRUNCATE)
}

int gsq_file_delete(gsq_channel *channel, const gsq_file_ref *f, int64_t deadline_ms,
                    gsq_error *error) {
  BEGIN(FILE_DELETE)
  code = check_lease(f, error);
  if (code != GSQ_OK) goto out;
  file *it = find_file(f->file_name, 0);
  if (it) {
    resize(&it->now, 0);
    remember(it);
  }
  END(FILE_DELETE)
}

int gsq_file_pragma(gsq_channel *channel, const gsq_file_ref *f, const char *name,
                    const char *value, char **response, int64_t deadline_ms, gsq_error *error) {
  (void)channel, (void)deadline_ms;
  *response = NULL;
  if (strcmp(name, "fake_echo")) return gsq_error_set(error, GSQ_NOT_FOUND, "no such pragma");
  char text[256];
  snprintf(text, sizeof text, "%s: %s", f->database, value ? value : "");
  *response = strdup(text);
  return GSQ_OK;
}

/* ---- Control --------------------------------------------------------------------------------- */

void fake_files_reset(int with_atomic_batch, int with_point_in_time_reads) {
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_FILES && files[i]; i++) {
    free(files[i]->now.data);
    for (int k = 0; k < files[i]->version_count; k++) free(files[i]->versions[k].content.data);
    free(files[i]);
    files[i] = NULL;
  }
  memset(leases, 0, sizeof leases);
  memset(calls, 0, sizeof calls);
  memset(&fault, 0, sizeof fault);
  atomic_batch = with_atomic_batch;
  point_in_time = with_point_in_time_reads;
  vanish_after = -1;
  vanished = 0;
  heartbeat_ms = 5000;
  pthread_mutex_unlock(&mutex);
}

void fake_files_fault(enum fake_file_method method, int n, int code, int done) {
  pthread_mutex_lock(&mutex);
  fault.method = (int)method;
  fault.n = n;
  fault.code = code;
  fault.done = done;
  pthread_mutex_unlock(&mutex);
}

void fake_files_vanish_after(int n) {
  pthread_mutex_lock(&mutex);
  vanish_after = n;
  pthread_mutex_unlock(&mutex);
}

int fake_files_come_back(void) {
  pthread_mutex_lock(&mutex);
  int was = vanished;
  vanished = 0;
  vanish_after = -1;
  memset(leases, 0, sizeof leases);
  pthread_mutex_unlock(&mutex);
  return was;
}

void fake_files_take_lease(const char *database) {
  pthread_mutex_lock(&mutex);
  strcpy(lease_of(database), "another's");
  pthread_mutex_unlock(&mutex);
}

void fake_files_release_lease(const char *database) {
  pthread_mutex_lock(&mutex);
  *lease_of(database) = 0;
  pthread_mutex_unlock(&mutex);
}

int fake_files_calls(enum fake_file_method method) {
  pthread_mutex_lock(&mutex);
  int n = calls[method];
  pthread_mutex_unlock(&mutex);
  return n;
}

void fake_files_reset_calls(void) {
  pthread_mutex_lock(&mutex);
  memset(calls, 0, sizeof calls);
  pthread_mutex_unlock(&mutex);
}

int64_t fake_files_size(const char *name) {
  pthread_mutex_lock(&mutex);
  file *f = find_file(name, 0);
  int64_t size = f ? f->now.size : 0;
  pthread_mutex_unlock(&mutex);
  return size;
}

void fake_files_put(const char *name, const void *data, int64_t size) {
  pthread_mutex_lock(&mutex);
  file *f = find_file(name, 1);
  resize(&f->now, 0);
  put(f, 0, data, (uint32_t)size);
  remember(f);
  pthread_mutex_unlock(&mutex);
}

void fake_files_get(const char *name, void *to, int64_t size) {
  pthread_mutex_lock(&mutex);
  file *f = find_file(name, 0);
  if (f && f->now.size >= size) memcpy(to, f->now.data, (size_t)size);
  pthread_mutex_unlock(&mutex);
}

void fake_files_set_heartbeat_ms(int64_t interval_ms) {
  pthread_mutex_lock(&mutex);
  heartbeat_ms = interval_ms;
  pthread_mutex_unlock(&mutex);
}
