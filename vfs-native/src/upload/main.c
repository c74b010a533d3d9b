/*
** grpsqlite_upload: what `grpsqlite import` starts to send a large file, because a program that is
** over after some seconds is faster without a virtual machine. Everything it has to know is in its
** environment, which nobody else can read:
**
**   GRPSQLITE_URL, _TOKEN, _CA_FILE, _CERT_FILE, _KEY_FILE   as the extension has them
**   GRPSQLITE_UPLOAD_FILE                                    the database
**   GRPSQLITE_UPLOAD   session, database, stage: 32 hexadecimal digits each; epoch, page size,
**                      page count, the server's largest message in bytes, milliseconds for each
**                      message; device and inode of the file: decimal; with spaces between them
**
** It writes lines: "sent BYTES" for what the server has taken since the last one, and in the end
** "done", or "failed CODE REASON MESSAGE" (REASON is "-" if the server gave none).
*/
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "upload/upload.h"

#define MAX_ANSWER_BYTES (1 << 20)

/* Returns 0, or -1 if nobody reads it. */
static int say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int say(const char *format, ...) {
  char line[640];
  va_list args;
  va_start(args, format);
  int size = vsnprintf(line, sizeof line - 1, format, args);
  va_end(args);
  if (size < 0) return -1;
  if ((size_t)size > sizeof line - 2) size = (int)sizeof line - 2;
  for (int i = 0; i < size; i++) {
    if (line[i] == '\n') line[i] = ' ';
  }
  line[size++] = '\n';
  for (int done = 0; done < size;) {
    ssize_t written = write(STDOUT_FILENO, line + done, (size_t)(size - done));
    if (written < 0 && errno != EINTR) return -1;
    if (written > 0) done += (int)written;
  }
  return 0;
}

static int on_sent(void *arg, uint64_t bytes) {
  (void)arg;
  return say("sent %" PRIu64, bytes);
}

static int read_id(const char *hex, gsq_id *out) {
  for (int i = 0; i < GSQ_ID_BYTES; i++) {
    if (sscanf(hex + 2 * i, "%2" SCNx8, &out->bytes[i]) != 1) return -1;
  }
  return 0;
}

static const char *setting(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static int read_settings(gsq_upload *upload, uint64_t *device, uint64_t *inode,
                         gsq_error *error) {
  const char *text = setting("GRPSQLITE_UPLOAD");
  char session[34] = "", database[34] = "", stage[34] = "";
  if (!text ||
      sscanf(text,
             "%32[0-9a-f] %32[0-9a-f] %32[0-9a-f] %" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNu32
             " %" SCNd64 " %" SCNu64 " %" SCNu64,
             session, database, stage, &upload->epoch, &upload->page_size, &upload->page_count,
             &upload->max_message_bytes, &upload->timeout_ms, device, inode) != 10 ||
      read_id(session, &upload->client.session) != 0 ||
      read_id(database, &upload->database) != 0 || read_id(stage, &upload->stage) != 0) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT,
                         "this is started by grpsqlite import alone");
  }
  return GSQ_OK;
}

/* It has to be the file that the caller has locked, not one that has its name by now. */
static int open_file(gsq_upload *upload, uint64_t device, uint64_t inode, gsq_error *error) {
  const char *path = setting("GRPSQLITE_UPLOAD_FILE");
  struct stat status;
  upload->fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (upload->fd < 0 || fstat(upload->fd, &status) != 0) {
    return gsq_error_set(error, GSQ_UNKNOWN, "%s cannot be opened: %s", path ? path : "no file",
                         strerror(errno));
  }
  if ((uint64_t)status.st_dev != device || (uint64_t)status.st_ino != inode) {
    return gsq_error_set(error, GSQ_UNKNOWN, "%s is another file now", path);
  }
  (void)posix_fadvise(upload->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return GSQ_OK;
}

int main(void) {
  gsq_error error = {0};
  gsq_upload upload = {.fd = -1, .on_sent = on_sent};
  uint64_t device = 0, inode = 0;
  int code = read_settings(&upload, &device, &inode, &error);
  if (code == GSQ_OK) code = open_file(&upload, device, inode, &error);
  if (code == GSQ_OK) {
    const gsq_channel_options options = {.url = setting("GRPSQLITE_URL"),
                                         .token = setting("GRPSQLITE_TOKEN"),
                                         .ca_file = setting("GRPSQLITE_CA_FILE"),
                                         .cert_file = setting("GRPSQLITE_CERT_FILE"),
                                         .key_file = setting("GRPSQLITE_KEY_FILE"),
                                         .max_message_bytes = MAX_ANSWER_BYTES};
    code = options.url
               ? gsq_channel_new(&options, &upload.client.channel, &error)
               : gsq_error_set(&error, GSQ_INVALID_ARGUMENT, "GRPSQLITE_URL is not set");
  }
  if (code == GSQ_OK) {
    code = gsq_upload_run(&upload, &error);
    gsq_channel_free(upload.client.channel);
  }
  if (upload.fd >= 0) close(upload.fd);
  if (code != GSQ_OK) {
    say("failed %d %s %s", code, error.reason[0] ? error.reason : "-", error.message);
    return 1;
  }
  return say("done") == 0 ? 0 : 1;
}
