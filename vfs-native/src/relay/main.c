/*
** grpsqlite_relay: speaks to servers for a program that started it, over its standard input and output.
** `grpsqlite import` does, because it is over after some seconds, too soon for a virtual machine to have
** become fast, and because this knows how to send a file. It ends when its input does.
**
** In its environment are GRPSQLITE_TOKEN, _CA_FILE, _CERT_FILE, _KEY_FILE, as the extension has them. What
** is asked for comes as a line, and behind it bytes:
**
**   call NUMBER MILLISECONDS METHOD URL-SIZE SIZE             the URL, then the request
**   last NUMBER MILLISECONDS METHOD URL-SIZE SIZE             the same, for later
**   upload NUMBER SESSION DATABASE STAGE EPOCH PAGE-SIZE PAGE-COUNT MOST-MESSAGE-BYTES MILLISECONDS
**       DEVICE INODE URL-SIZE SIZE                            the URLs, then the file's path
**
** NUMBER is the asker's own. SESSION, DATABASE, STAGE are 32 hexadecimal digits each, all else is decimal.
** MILLISECONDS are those of each message. Several things may be asked for at once. It says "ready" when it
** runs; the answers: relay/answers.h. A call is made once, whatever comes of it: who asked knows whether to ask again.
**
** Who asked may be killed with a session open, whose lease would keep others waiting until the server gives it up. So
** what was asked for as the last is done when the input ends, and nobody hears of it. Signals that are sent to a whole
** group of programs are for who asked: this ends after it.
*/
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/answers.h"
#include "relay/upload.h"

#define MOST_ANSWER_BYTES (16 << 20)
#define MOST_REQUEST_BYTES (64 << 20)
#define MOST_URL_BYTES (64 << 10)
#define MOST_LINE_BYTES 512

/* A server, or several in the order in which they are to be tried. Made when they are first called, and
** never freed. */
typedef struct peer {
  struct peer *next;
  char *url;
  gsq_channel *channel;
} peer;

/* What was asked for. Its thread's, which frees it; before there is one, the main thread's. */
typedef struct job {
  struct job *next; /* of those for the end */
  uint64_t number;
  int64_t timeout_ms;
  char method[128];
  gsq_upload upload; /* its fd is -1 and its channel NULL until it runs */
  uint64_t device, inode;
  size_t url_size, size;
  char *url;  /* ends with a 0 */
  char *body; /* request or path; ends with a 0 */
  gsq_channel *channel;
} job;

/* The main thread's. */
typedef struct relay {
  peer *peers;
  job *last; /* for when the input ends, the newest first */
} relay;

static void free_job(job *j) {
  free(j->url);
  free(j->body);
  free(j);
}

static int on_message(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)error;
  gsq_answer_message(((const job *)arg)->number, data, size);
  return 0;
}

static void *run_call(void *arg) {
  job *j = arg;
  gsq_error error = {0};
  const struct iovec request = {.iov_base = j->body, .iov_len = j->size};
  const gsq_call call = {.method = j->method,
                         .request = &request,
                         .request_count = 1,
                         .deadline_ms = gsq_now_ms() + j->timeout_ms,
                         .flags = GSQ_CALL_NO_RETRY | GSQ_CALL_STREAM,
                         .on_message = on_message,
                         .arg = j};
  int code = gsq_channel_call(j->channel, &call, &error);
  if (code == GSQ_BAD_URL) code = GSQ_UNAVAILABLE; /* whose host is not known */
  gsq_answer_end(j->number, code, &error);
  free_job(j);
  return NULL;
}

static void on_sent(void *arg, uint64_t bytes) {
  gsq_answer_sent(((const job *)arg)->number, bytes);
}

/* It has to be the file that the caller has locked, not one that has its name by now. */
static int open_file(job *j, gsq_error *error) {
  struct stat status;
  j->upload.fd = open(j->body, O_RDONLY | O_CLOEXEC);
  if (j->upload.fd < 0 || fstat(j->upload.fd, &status) != 0) {
    return gsq_error_set(error, GSQ_UNKNOWN, "%s cannot be opened: %s", j->body,
                         strerror(errno));
  }
  if ((uint64_t)status.st_dev != j->device || (uint64_t)status.st_ino != j->inode) {
    return gsq_error_set(error, GSQ_UNKNOWN, "%s is another file now", j->body);
  }
  (void)posix_fadvise(j->upload.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return GSQ_OK;
}

static void *run_upload(void *arg) {
  job *j = arg;
  gsq_error error = {0};
  j->upload.client.channel = j->channel;
  j->upload.timeout_ms = j->timeout_ms;
  j->upload.on_sent = on_sent;
  j->upload.arg = j;
  int code = open_file(j, &error);
  if (code == GSQ_OK) code = gsq_upload_run(&j->upload, &error);
  if (j->upload.fd >= 0) close(j->upload.fd);
  gsq_answer_end(j->number, code, &error);
  free_job(j);
  return NULL;
}

static const char *setting(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

/* The channel to these; the main thread's. */
static int find_channel(relay *r, const char *url, gsq_channel **out, gsq_error *error) {
  for (const peer *each = r->peers; each; each = each->next) {
    if (strcmp(each->url, url) == 0) {
      *out = each->channel;
      return GSQ_OK;
    }
  }
  const gsq_channel_options options = {.url = url,
                                       .token = setting("GRPSQLITE_TOKEN"),
                                       .ca_file = setting("GRPSQLITE_CA_FILE"),
                                       .cert_file = setting("GRPSQLITE_CERT_FILE"),
                                       .key_file = setting("GRPSQLITE_KEY_FILE"),
                                       .max_message_bytes = MOST_ANSWER_BYTES};
  int code = gsq_channel_new(&options, out, error);
  if (code != GSQ_OK) return code;
  peer *found = calloc(1, sizeof *found);
  char *copy = found ? strdup(url) : NULL;
  if (!copy) {
    free(found);
    gsq_channel_free(*out);
    return gsq_error_nomem(error);
  }
  *found = (peer){.next = r->peers, .url = copy, .channel = *out};
  r->peers = found;
  return GSQ_OK;
}

static int read_id(const char *hex, gsq_id *out) {
  for (int i = 0; i < GSQ_ID_BYTES; i++) {
    if (sscanf(hex + 2 * i, "%2" SCNx8, &out->bytes[i]) != 1) return -1;
  }
  return 0;
}

/* Returns what runs it, or NULL if it is nothing that can be asked for. */
static void *(*read_line(const char *line, job *j, int *is_last))(void *) {
  char kind[5] = "", session[34] = "", database[34] = "", stage[34] = "";
  gsq_upload *u = &j->upload;
  u->fd = -1;
  if (sscanf(line, "%4[a-z] %" SCNu64 " %" SCNd64 " %127s %zu %zu", kind, &j->number,
             &j->timeout_ms, j->method, &j->url_size, &j->size) == 6) {
    *is_last = strcmp(kind, "last") == 0;
    return *is_last || strcmp(kind, "call") == 0 ? run_call : NULL;
  }
  if (sscanf(line,
             "upload %" SCNu64 " %32[0-9a-f] %32[0-9a-f] %32[0-9a-f] %" SCNu64 " %" SCNu32
             " %" SCNu32 " %" SCNu32 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %zu %zu",
             &j->number, session, database, stage, &u->epoch, &u->page_size, &u->page_count,
             &u->max_message_bytes, &j->timeout_ms, &j->device, &j->inode, &j->url_size,
             &j->size) == 13 &&
      read_id(session, &u->client.session) == 0 && read_id(database, &u->database) == 0 &&
      read_id(stage, &u->stage) == 0) {
    return run_upload;
  }
  return NULL;
}

static char *read_bytes(size_t size) {
  char *bytes = malloc(size + 1);
  if (bytes && fread(bytes, 1, size, stdin) != size) {
    free(bytes);
    return NULL;
  }
  if (bytes) bytes[size] = 0;
  return bytes;
}

/* Returns 0 if nothing more is asked for, or what is cannot be understood. */
static int take(relay *r) {
  char line[MOST_LINE_BYTES];
  if (!fgets(line, sizeof line, stdin)) return 0;
  job *j = calloc(1, sizeof *j);
  int is_last = 0;
  void *(*run)(void *) = j ? read_line(line, j, &is_last) : NULL;
  if (!run || j->url_size > MOST_URL_BYTES || j->size > MOST_REQUEST_BYTES) {
    fprintf(stderr, "grpsqlite_relay: this is started by grpsqlite alone\n");
    free(j);
    return 0;
  }
  j->url = read_bytes(j->url_size);
  j->body = j->url ? read_bytes(j->size) : NULL;
  if (!j->body) {
    free_job(j);
    return 0;
  }
  gsq_error error = {0};
  int code = find_channel(r, j->url, &j->channel, &error);
  if (code == GSQ_OK && is_last) {
    j->next = r->last;
    r->last = j;
    return 1;
  }
  pthread_t thread;
  if (code == GSQ_OK && pthread_create(&thread, NULL, run, j) != 0) {
    code = gsq_error_set(&error, GSQ_NOMEM, "no thread can be started");
  }
  if (code == GSQ_OK) {
    pthread_detach(thread);
  } else {
    gsq_answer_end(j->number, code, &error);
    free_job(j);
  }
  return 1;
}

static void do_last(relay *r) {
  while (r->last) {
    job *j = r->last;
    r->last = j->next;
    (void)run_call(j);
  }
}

int main(void) {
  relay r = {0};
  static const int not_ours[] = {SIGPIPE, SIGINT, SIGQUIT, SIGHUP, SIGTERM};
  for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++) {
    (void)signal(not_ours[i], SIG_IGN);
  }
  gsq_answer_ready();
  while (take(&r)) {
  }
  const int ended = feof(stdin);
  do_last(&r);
  _exit(ended ? 0 : 1); /* Whatever is under way, nobody waits for it any more. */
}
