#include "rpc/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static void die(const char *what) {
  perror(what);
  abort();
}

static void *serve_one(void *arg) {
  struct peer_connection *slot = arg;
  peer *self = slot->owner;
  int i = slot->index;
  self->script(self, self->served[i].fd, i);
  shutdown(self->served[i].fd, SHUT_RDWR);
  atomic_store(&self->served[i].done, 1);
  return NULL;
}

static void *accept_all(void *arg) {
  peer *self = arg;
  for (;;) {
    int fd = accept(self->listener, NULL, NULL);
    if (fd < 0 || atomic_load(&self->stopping)) {
      if (fd >= 0) close(fd);
      return NULL;
    }
    int i = atomic_load(&self->connections);
    if (i == PEER_MAX_CONNECTIONS) {
      close(fd);
      continue;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    self->served[i].owner = self;
    self->served[i].fd = fd;
    self->served[i].index = i;
    /* Before it is served: whoever got its answer finds it counted. */
    atomic_store(&self->connections, i + 1);
    if (pthread_create(&self->served[i].thread, NULL, serve_one, &self->served[i]) != 0) {
      die("pthread_create");
    }
  }
}

void peer_start(peer *self, peer_script script, void *arg, const char *unix_path) {
  memset(self, 0, sizeof *self);
  self->script = script;
  self->arg = arg;
  pthread_mutex_init(&self->mutex, NULL);
  if (unix_path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", unix_path);
    self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(self->listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    snprintf(self->url, sizeof self->url, "unix:%s", unix_path);
  } else {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(self->listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (getsockname(self->listener, (struct sockaddr *)&address, &size) != 0)
      die("getsockname");
    self->port = ntohs(address.sin_port);
    snprintf(self->url, sizeof self->url, "http://127.0.0.1:%d", self->port);
  }
  if (listen(self->listener, 64) != 0) die("listen");
  if (pthread_create(&self->thread, NULL, accept_all, self) != 0) die("pthread_create");
}

void peer_stop(peer *self) {
  atomic_store(&self->stopping, 1);
  shutdown(self->listener, SHUT_RDWR);
  pthread_join(self->thread, NULL);
  close(self->listener);
  for (int i = 0; i < atomic_load(&self->connections); i++) {
    shutdown(self->served[i].fd, SHUT_RDWR);
    pthread_join(self->served[i].thread, NULL);
    close(self->served[i].fd);
  }
  free(self->body);
  pthread_mutex_destroy(&self->mutex);
}

int peer_await_closed(peer *self) {
  int64_t deadline = gsq_now_ms() + 5000;
  for (int i = 0; i < atomic_load(&self->connections); i++) {
    while (!atomic_load(&self->served[i].done)) {
      if (gsq_now_ms() > deadline) return 0;
      usleep(1000);
    }
  }
  return 1;
}

void peer_write(int fd, const void *data, size_t size) {
  const uint8_t *at = data;
  while (size > 0) {
    ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += sent;
    size -= (size_t)sent;
  }
}

void peer_drain(int fd) {
  char bytes[4096];
  while (recv(fd, bytes, sizeof bytes, 0) > 0) continue;
}

int peer_read_some(int fd, size_t size) {
  char bytes[4096];
  while (size > 0) {
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) return 0;
    size -= (size_t)got < size ? (size_t)got : size;
  }
  return 1;
}

/* ---- HTTP/2 ---- */

/* So that no window is in the way of a large frame. */
#define LARGE_FRAMES_WINDOW_BYTES (8 << 20)

typedef struct served_stream {
  char path[128], authorization[64], timeout[16], te[16], content_type[32];
  uint8_t *body;
  size_t body_size, body_capacity;
  const h2_answer *answer;
  const uint8_t *out;
  size_t out_size, out_sent;
  struct served_stream *next;
} served_stream;

typedef struct h2_state {
  peer *self;
  int fd;
  const h2_answer *answers;
  int count, next, closing;
  served_stream *streams; /* all there were; freed in the end */
} h2_state;

static ssize_t h2_send(nghttp2_session *session, const uint8_t *data, size_t size, int flags,
                       void *arg) {
  (void)session, (void)flags;
  peer_write(((h2_state *)arg)->fd, data, size);
  return (ssize_t)size;
}

static int h2_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
  h2_state *state = arg;
  if (frame->hd.type == NGHTTP2_HEADERS) {
    served_stream *stream = calloc(1, sizeof *stream);
    stream->next = state->streams;
    state->streams = stream;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
  }
  return 0;
}

static int h2_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *arg) {
  (void)name_size, (void)value_size, (void)flags, (void)arg;
  served_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (!stream) return 0;
  const char *key = (const char *)name, *text = (const char *)value;
#define KEEP(header, field) \
  if (strcmp(key, header) == 0) snprintf(stream->field, sizeof stream->field, "%s", text)
  KEEP(":path", path);
  KEEP("authorization", authorization);
  KEEP("grpc-timeout", timeout);
  KEEP("te", te);
  KEEP("content-type", content_type);
#undef KEEP
  return 0;
}

static int h2_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                    size_t size, void *arg) {
  (void)flags, (void)arg;
  served_stream *stream = nghttp2_session_get_stream_user_data(session, id);
  if (!stream) return 0;
  if (stream->body_size + size > stream->body_capacity) {
    stream->body_capacity = (stream->body_size + size) * 2;
    stream->body = realloc(stream->body, stream->body_capacity);
  }
  memcpy(stream->body + stream->body_size, data, size);
  stream->body_size += size;
  return 0;
}

static nghttp2_nv field(const char *name, const char *value) {
  return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                      strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static size_t trailers(const h2_answer *answer, nghttp2_nv *to) {
  size_t count = 0;
  const char *status = answer->grpc_status ? answer->grpc_status : "0";
  if (*status) to[count++] = field("grpc-status", status);
  if (answer->grpc_message) to[count++] = field("grpc-message", answer->grpc_message);
  if (answer->details) to[count++] = field("grpc-status-details-bin", answer->details);
  return count;
}

static ssize_t h2_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *arg) {
  h2_state *state = arg;
  served_stream *stream = source->ptr;
  size_t size = stream->out_size - stream->out_sent;
  if (size > room) size = room;
  memcpy(to, stream->out + stream->out_sent, size);
  stream->out_sent += size;
  if (stream->out_sent == stream->out_size) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    nghttp2_nv last[3];
    size_t count = trailers(stream->answer, last);
    if (stream->answer->keep_open) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    } else if (stream->answer->lose_status) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      state->closing = 1;
    } else if (count > 0) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      nghttp2_submit_trailer(session, id, last, count);
    }
  }
  return (ssize_t)size;
}

static void answer_request(nghttp2_session *session, int32_t id, served_stream *stream,
                           h2_state *state) {
  static const uint8_t empty_message[5];
  int i = state->next < state->count ? state->next : state->count - 1;
  const h2_answer *answer = &state->answers[i];
  state->next++;
  peer *self = state->self;
  pthread_mutex_lock(&self->mutex);
  memcpy(self->path, stream->path, sizeof self->path);
  memcpy(self->authorization, stream->authorization, sizeof self->authorization);
  memcpy(self->timeout, stream->timeout, sizeof self->timeout);
  memcpy(self->te, stream->te, sizeof self->te);
  memcpy(self->content_type, stream->content_type, sizeof self->content_type);
  free(self->body);
  self->body = malloc(stream->body_size + 1);
  memcpy(self->body, stream->body ? stream->body : empty_message, stream->body_size);
  self->body_size = stream->body_size;
  pthread_mutex_unlock(&self->mutex);
  atomic_fetch_add(&self->requests, 1);

  stream->answer = answer;
  stream->out = answer->echo ? stream->body : answer->body ? answer->body : empty_message;
  stream->out_size = answer->echo ? stream->body_size : answer->body ? answer->body_size : 5;
  if (answer->no_body) stream->out_size = 0;
  if (answer->close_at_once) {
    state->closing = 1;
    return;
  }
  if (answer->hang) return;
  if (answer->goaway) {
    nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, answer->goaway == 1 ? 0 : id,
                          NGHTTP2_NO_ERROR, NULL, 0);
    if (answer->goaway == 1) return;
  }
  nghttp2_nv fields[5] = {field(":status", answer->status ? answer->status : "200")};
  size_t count = 1;
  if (!answer->no_content_type) {
    fields[count++] =
        field("content-type", answer->content_type ? answer->content_type : "application/grpc");
  }
  if (answer->close_after) state->closing = 1;
  if (answer->reset) {
    nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, id, NULL, fields, count, NULL);
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, answer->reset_code);
  } else if (answer->trailers_only) {
    count += trailers(answer, fields + count);
    nghttp2_submit_response(session, id, fields, count, NULL);
  } else {
    nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = h2_body};
    nghttp2_submit_response(session, id, fields, count, &body);
  }
}

static int h2_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
  h2_state *state = arg;
  if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
    atomic_fetch_add(&state->self->pings, 1);
  }
  if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
  if (frame->hd.type == NGHTTP2_DATA &&
      frame->hd.length > atomic_load(&state->self->largest_frame_bytes)) {
    atomic_store(&state->self->largest_frame_bytes, (unsigned)frame->hd.length);
  }
  served_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
    answer_request(session, frame->hd.stream_id, stream, state);
  }
  return 0;
}

void h2_serve(peer *self, int fd, const h2_answer *answers, int count) {
  h2_state state = {self, fd, answers, count, 0, 0, NULL};
  nghttp2_session_callbacks *callbacks;
  nghttp2_session *session;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_send_callback(callbacks, h2_send);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, h2_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_chunk);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_frame);
  nghttp2_session_server_new(&session, callbacks, &state);
  nghttp2_session_callbacks_del(callbacks);
  const uint32_t max_frame_bytes = atomic_load(&self->max_frame_bytes);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, max_frame_bytes},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, LARGE_FRAMES_WINDOW_BYTES},
  };
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, max_frame_bytes ? 2 : 0);
  if (max_frame_bytes) {
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                          LARGE_FRAMES_WINDOW_BYTES);
  }
  uint8_t bytes[16384];
  while (nghttp2_session_send(session) == 0 && !state.closing) {
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) break;
    if (nghttp2_session_mem_recv(session, bytes, (size_t)got) < 0) break;
  }
  nghttp2_session_del(session);
  while (state.streams) {
    served_stream *stream = state.streams;
    state.streams = stream->next;
    free(stream->body);
    free(stream);
  }
}

void h2_scripted(peer *self, int fd, int index) {
  const h2_scripts *all = self->arg;
  const h2_script *one = &all->scripts[index < all->count ? index : all->count - 1];
  h2_serve(self, fd, one->answers, one->count);
}
