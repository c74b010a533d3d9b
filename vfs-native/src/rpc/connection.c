/*
** Bytes out: nghttp2 serialises frames into `control`; DATA frames only put their nine-byte
** header there, and the request's own bytes are referred to, not copied. `queue` lists all these
** pieces in order, and one sendmsg takes as many as it can: a small request is one system call.
**
** Bytes in: one buffer, which nghttp2 parses in place. A message that is whole within one piece
** of the buffer is delivered from there; others are put together in `message`.
**
** Flow control: nghttp2 gives back what was received when it is half a window. Windows are 16 MiB for
** stream and connection, so that half of one is more than an open brings: else the end of its answer
** waits for the other half to be given back, which is a round trip. Memory does not depend on it.
**
** A call that ends early (deadline, shutdown, the caller's refusal) says RST_STREAM and the
** connection is closed: its queue may refer to the caller's bytes, and its peer may be gone.
**
** A stream that pauses is left to itself: the system takes in what comes, up to the window.
**
** Where the server is one of several, a call does not wait until its deadline for one that hangs: a
** server from which nothing comes is sent a PING, and given up if nothing comes then either. gRPC
** servers end connections with too many pings: three are within the patience of each between two
** answers of its own, so they come ever later, and no fourth one does.
**
** And where there are several, a stream that its thread does not only listen to ends when another one
** has come into use.
*/
#include "rpc/connection.h"

#include <ctype.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "rpc/status.h"

#define WINDOW_BYTES (16 << 20)
#define IN_BYTES 65536
/* At least the largest frame that nghttp2 makes, twice. */
#define CONTROL_BYTES 40960
#define QUEUE_SLOTS 256
/* Pieces of the request in one DATA frame; with its header they fit into the queue. */
#define FRAME_SLOTS 128
/* Of the request, or of the answer, in one DATA frame. */
#define MOST_FRAME_BYTES (256 << 10)
/* A gRPC answer's header fields and trailers together; servers send some hundred bytes. */
#define MAX_HEADER_BYTES 65536
/* Frames without a message's bytes (SETTINGS, PING, empty DATA, …) between two messages. */
#define MAX_OVERHEAD_BYTES (256 * 1024)
/* A connection keeps a buffer of this size for the next call; larger ones are for one call. */
#define KEPT_MESSAGE_BYTES (256 * 1024)
#define PREFIX_BYTES 5
/* Nothing came for so long: is the server there? Of a call that has less time, a quarter of it. */
#define SILENCE_MS 1000
/* A silence that is shorter than this says nothing: such a call ends at its deadline. */
#define LEAST_SILENCE_MS 50
/* What the server gets to say that it is. Of a call that has less time, half of it. */
#define PING_ANSWER_MS 2000
#define MAX_PINGS 3
/* More than one takes. */
#define PING_BYTES 100
/* Each ping comes after so many times the silence before the last one. */
#define LATER 3

struct gsq_connection {
  nghttp2_session *session;
  gsq_io io;
  gsq_addresses *addresses;
  int address;
  const gsq_url *url; /* the address */
  size_t max_message_bytes;

  struct iovec queue[QUEUE_SLOTS];
  int queue_first, queue_end;
  size_t control_used;

  int going_away;   /* GOAWAY came: no further calls */
  int broken;       /* no use any more */
  int write_broken; /* what is written gets lost, but an answer may be on its way */
  int violation;    /* the peer broke the protocol, and nghttp2 says so with GOAWAY */
  char violation_text[100];
  int pings;             /* sent since the server last sent an answer's frame */
  int64_t heard_ms;      /* when something came last, or the call began */
  int64_t heard_us;      /* when something came last, on gsq_now_us()'s clock */
  int64_t pinged_ms;     /* when it was asked for a sign of life; 0: not since it gave one */
  int64_t arrived_bytes; /* of this call, at its host, when it was asked */
  uint8_t first[48];     /* of the bytes that came on this connection; for what is no HTTP/2 */
  size_t first_size;

  uint8_t *message;
  size_t message_capacity;

  /* The call under way. */
  const gsq_call *call;
  gsq_attempt *attempt;
  gsq_error *error;
  int stopped;       /* nonzero: the code that this call ends with, *error set */
  int paused;        /* on_message wants no more for now */
  int64_t paused_us; /* when it did, on gsq_now_us()'s clock */
  int32_t stream_id;
  int closed;
  uint32_t close_code;
  int peer_reset;
  size_t header_bytes, overhead_bytes;
  int64_t silence_ms, ping_answer_ms; /* of this call */

  char timeout[16]; /* nghttp2 may refer to it until the request's header is on its way */
  uint8_t request_prefix[PREFIX_BYTES];
  int body_slot;      /* -1: the prefix */
  size_t body_offset; /* within the slot */
  size_t body_left;

  int http_status;
  int is_grpc, saw_content_type;
  int grpc_status; /* -1: none came */
  char grpc_message[sizeof((gsq_error *)0)->message];
  char reason[sizeof((gsq_error *)0)->reason];
  char content_type[64];

  uint8_t prefix[PREFIX_BYTES];
  size_t prefix_have;
  size_t message_size, message_have;
  uint64_t message_count;

  uint8_t control[CONTROL_BYTES];
  uint8_t in[IN_BYTES];
};

/* nghttp2 allocates through us, so that the tests can make it run out of memory. */
static void *session_malloc(size_t size, void *arg) {
  (void)arg;
  return malloc(size);
}
static void session_free(void *memory, void *arg) {
  (void)arg;
  free(memory);
}
static void *session_calloc(size_t count, size_t size, void *arg) {
  (void)arg;
  return calloc(count, size);
}
static void *session_realloc(void *memory, size_t size, void *arg) {
  (void)arg;
  return realloc(memory, size);
}

static int nomem(gsq_error *error) {
  return gsq_error_set(error, GSQ_NOMEM, "out of memory");
}

/* Ends the call under way with what is in *error. */
static void stop(gsq_connection *c, int code) {
  if (!c->stopped) c->stopped = code;
}

static void stop_bad_answer(gsq_connection *c, const char *what) {
  if (c->stopped) return;
  c->stopped =
      gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s broke the protocol: %s", c->url->text, what);
}

/* ---- bytes out ---- */

static int queue_room(const gsq_connection *c) {
  return QUEUE_SLOTS - c->queue_end;
}

static void queue_add(gsq_connection *c, const void *data, size_t size) {
  if (size == 0) return;
  struct iovec *last = c->queue_end > c->queue_first ? &c->queue[c->queue_end - 1] : NULL;
  if (last && (const uint8_t *)last->iov_base + last->iov_len == data) {
    last->iov_len += size;
    return;
  }
  c->queue[c->queue_end++] = (struct iovec){(void *)(uintptr_t)data, size};
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t size, int flags,
                       void *arg) {
  (void)session, (void)flags;
  gsq_connection *c = arg;
  if (size > CONTROL_BYTES - c->control_used || queue_room(c) < 1)
    return NGHTTP2_ERR_WOULDBLOCK;
  memcpy(c->control + c->control_used, data, size);
  queue_add(c, c->control + c->control_used, size);
  c->control_used += size;
  return (ssize_t)size;
}

/* The piece of the request that is next. */
static struct iovec body_piece(const gsq_connection *c, int slot, size_t offset) {
  struct iovec piece = slot < 0
                           ? (struct iovec){(void *)(uintptr_t)c->request_prefix, PREFIX_BYTES}
                           : c->call->request[slot];
  return (struct iovec){(uint8_t *)piece.iov_base + offset, piece.iov_len - offset};
}

static ssize_t on_body_wanted(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                              size_t length, uint32_t *flags, nghttp2_data_source *source,
                              void *arg) {
  (void)session, (void)stream_id, (void)buffer, (void)source;
  const gsq_connection *c = arg;
  size_t size = 0, left = c->body_left < length ? c->body_left : length;
  size_t offset = c->body_offset;
  int slot = c->body_slot;
  for (int slots = 0; slots < FRAME_SLOTS && left > 0; slots++) {
    struct iovec piece = body_piece(c, slot++, offset);
    size_t part = piece.iov_len < left ? piece.iov_len : left;
    size += part;
    left -= part;
    offset = 0;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (size == c->body_left) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)size;
}

static int on_send_body(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
                        size_t length, nghttp2_data_source *source, void *arg) {
  (void)session, (void)frame, (void)source;
  gsq_connection *c = arg;
  if (queue_room(c) < FRAME_SLOTS + 1 || CONTROL_BYTES - c->control_used < 9) {
    return NGHTTP2_ERR_WOULDBLOCK;
  }
  memcpy(c->control + c->control_used, header, 9);
  queue_add(c, c->control + c->control_used, 9);
  c->control_used += 9;
  c->body_left -= length;
  while (length > 0) {
    struct iovec piece = body_piece(c, c->body_slot, c->body_offset);
    size_t part = piece.iov_len < length ? piece.iov_len : length;
    queue_add(c, piece.iov_base, part);
    length -= part;
    c->body_offset += part;
    if (part == piece.iov_len) {
      c->body_slot++;
      c->body_offset = 0;
    }
  }
  return 0;
}

/* DATA frames as large as the server takes them; nghttp2 alone would make them of 16 KiB. */
static ssize_t on_frame_length(nghttp2_session *session, uint8_t frame_type, int32_t stream_id,
                               int32_t session_window, int32_t stream_window,
                               uint32_t remote_max_frame_size, void *arg) {
  (void)session, (void)frame_type, (void)stream_id, (void)session_window, (void)stream_window,
      (void)arg;
  return remote_max_frame_size < MOST_FRAME_BYTES ? (ssize_t)remote_max_frame_size
                                                  : MOST_FRAME_BYTES;
}

enum flush_result { FLUSHED, FLUSH_PENDING, FLUSH_FAILED };

/* Serialises and writes until all is written, the socket is full, or it breaks. */
static enum flush_result flush(gsq_connection *c) {
  for (;;) {
    int rv = nghttp2_session_send(c->session);
    if (rv != 0) {
      c->broken = 1;
      if (c->error) stop(c, nomem(c->error)); /* it says nothing else of its own */
      return FLUSH_FAILED;
    }
    if (c->queue_first == c->queue_end) return FLUSHED;
    while (c->queue_first < c->queue_end) {
      int64_t sent = c->write_broken ? GSQ_IO_LOST
                                     : gsq_io_write(&c->io, c->queue + c->queue_first,
                                                    c->queue_end - c->queue_first);
      if (sent == GSQ_IO_AGAIN) return FLUSH_PENDING;
      if (sent < 0) {
        c->write_broken = 1;
        c->queue_first = c->queue_end = 0;
        c->control_used = 0;
        return FLUSH_FAILED;
      }
      if (c->attempt) {
        if (sent > 0) c->attempt->sent = 1;
        c->attempt->bytes_sent += (uint64_t)sent;
      }
      while (sent > 0) {
        struct iovec *at = &c->queue[c->queue_first];
        size_t part = (uint64_t)sent < at->iov_len ? (size_t)sent : at->iov_len;
        at->iov_base = (uint8_t *)at->iov_base + part;
        at->iov_len -= part;
        sent -= (int64_t)part;
        if (at->iov_len == 0) c->queue_first++;
      }
    }
    c->queue_first = c->queue_end = 0;
    c->control_used = 0;
  }
}

/* ---- bytes in ---- */

static int is_ours(const gsq_connection *c, int32_t stream_id) {
  return c->call && stream_id == c->stream_id;
}

static int starts_with(const uint8_t *value, size_t size, const char *prefix) {
  size_t length = strlen(prefix);
  return size >= length && memcmp(value, prefix, length) == 0;
}

static int is_grpc_content_type(const uint8_t *value, size_t size) {
  static const char type[] = "application/grpc";
  if (!starts_with(value, size, type)) return 0;
  size_t length = sizeof type - 1;
  return size == length || value[length] == '+' || value[length] == ';';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *arg) {
  (void)session, (void)flags;
  gsq_connection *c = arg;
  c->header_bytes += name_size + value_size + 32;
  if (c->header_bytes > MAX_HEADER_BYTES) {
    if (c->error) stop_bad_answer(c, "its header fields have no end");
    c->broken = 1;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  if (!is_ours(c, frame->hd.stream_id)) return 0;
#define NAME_IS(text) (name_size == sizeof text - 1 && memcmp(name, text, name_size) == 0)
  if (NAME_IS(":status")) {
    c->http_status = 0;
    for (size_t i = 0; i < value_size && i < 3; i++) {
      c->http_status = c->http_status * 10 + (value[i] - '0');
    }
  } else if (NAME_IS("content-type")) {
    c->saw_content_type = 1;
    c->is_grpc = is_grpc_content_type(value, value_size);
    gsq_status_message(value, value_size, c->content_type, sizeof c->content_type);
  } else if (NAME_IS("grpc-status")) {
    c->grpc_status = gsq_status_code(value, value_size);
  } else if (NAME_IS("grpc-message")) {
    gsq_status_message(value, value_size, c->grpc_message, sizeof c->grpc_message);
  } else if (NAME_IS("grpc-status-details-bin")) {
    gsq_status_reason(value, value_size, c->reason, sizeof c->reason);
  }
#undef NAME_IS
  return 0;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *frame, void *arg) {
  (void)session;
  gsq_connection *c = arg;
  if (frame->type != NGHTTP2_DATA || frame->length == 0) c->overhead_bytes += 9 + frame->length;
  if (frame->type == NGHTTP2_DATA || frame->type == NGHTTP2_HEADERS) c->pings = 0;
  if (c->overhead_bytes > MAX_OVERHEAD_BYTES) {
    if (c->error) stop_bad_answer(c, "frames without content have no end");
    c->broken = 1;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
  (void)session;
  gsq_connection *c = arg;
  if (frame->hd.type == NGHTTP2_GOAWAY) c->going_away = 1;
  if (frame->hd.type == NGHTTP2_RST_STREAM && is_ours(c, frame->hd.stream_id))
    c->peer_reset = 1;
  return 0;
}

static int on_frame_to_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
  (void)session;
  gsq_connection *c = arg;
  /* We never send one by ourselves: nghttp2 does, when the peer breaks the protocol. */
  if (frame->hd.type == NGHTTP2_GOAWAY) c->violation = 1;
  return 0;
}

static int on_protocol_error(nghttp2_session *session, int code, const char *text, size_t size,
                             void *arg) {
  (void)session, (void)code;
  gsq_connection *c = arg;
  if (!c->violation_text[0]) {
    gsq_status_message((const uint8_t *)text, size, c->violation_text,
                       sizeof c->violation_text);
  }
  return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code,
                           void *arg) {
  (void)session;
  gsq_connection *c = arg;
  if (is_ours(c, stream_id)) {
    c->closed = 1;
    c->close_code = code;
  }
  return 0;
}

static void deliver(gsq_connection *c, const uint8_t *data) {
  if (c->message_count > 0 && !(c->call->flags & GSQ_CALL_STREAM)) {
    stop_bad_answer(c, "a second message answers a call that has one");
    return;
  }
  c->message_count++;
  c->overhead_bytes = 0;
  int code = c->call->on_message
                 ? c->call->on_message(c->call->arg, data, c->message_size, c->error)
                 : 0;
  if (code == GSQ_PAUSE) {
    c->paused = 1;
  } else if (code) {
    c->attempt->unwanted = 1;
    stop(c, code);
  }
  c->prefix_have = 0;
  c->message_have = 0;
}

/* Room for `size` bytes of the message that is coming. Grows with what came, not with what the
** prefix announces. */
static int reserve_message(gsq_connection *c, size_t size) {
  if (size <= c->message_capacity) return 1;
  size_t capacity = c->message_capacity * 2 > 16384 ? c->message_capacity * 2 : 16384;
  if (capacity < size) capacity = size;
  if (capacity > c->message_size) capacity = c->message_size;
  uint8_t *grown = realloc(c->message, capacity);
  if (!grown) return 0;
  c->message = grown;
  c->message_capacity = capacity;
  return 1;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                   const uint8_t *data, size_t size, void *arg) {
  (void)session, (void)flags;
  gsq_connection *c = arg;
  if (!is_ours(c, stream_id) || !c->is_grpc) return 0;
  if (c->attempt->flow_began_us == 0) c->attempt->flow_began_us = c->heard_us;
  while (size > 0 && !c->stopped) {
    if (c->prefix_have < PREFIX_BYTES) {
      c->prefix[c->prefix_have++] = *data++;
      size--;
      if (c->prefix_have < PREFIX_BYTES) continue;
      c->message_size = (size_t)c->prefix[1] << 24 | (size_t)c->prefix[2] << 16 |
                        (size_t)c->prefix[3] << 8 | c->prefix[4];
      if (c->prefix[0] != 0) {
        stop_bad_answer(c, "a compressed message, which nobody asked for");
      } else if (c->message_size > c->max_message_bytes) {
        char text[100];
        snprintf(text, sizeof text, "a message of %zu bytes, where at most %zu are taken",
                 c->message_size, c->max_message_bytes);
        stop_bad_answer(c, text);
      } else if (c->message_size == 0) {
        deliver(c, data);
      }
      continue;
    }
    size_t part = c->message_size - c->message_have;
    if (part > size) part = size;
    if (part == c->message_size) {
      deliver(c, data);
    } else if (!reserve_message(c, c->message_have + part)) {
      stop(c, nomem(c->error));
    } else {
      memcpy(c->message + c->message_have, data, part);
      c->message_have += part;
      if (c->message_have == c->message_size) deliver(c, c->message);
    }
    data += part;
    size -= part;
  }
  return 0;
}

/* Reads once and parses. 1: something came. 0: nothing there. -1: the connection ended (errno 0)
** or broke. -2: what came is not to be used; the call is stopped if there is one. */
static int receive(gsq_connection *c) {
  int64_t got = gsq_io_read(&c->io, c->in, sizeof c->in);
  if (got == GSQ_IO_AGAIN) return 0;
  if (got <= 0) {
    if (got == GSQ_IO_END) errno = 0;
    c->broken = 1;
    return -1;
  }
  c->heard_ms = gsq_now_ms();
  c->heard_us = gsq_now_us();
  c->pinged_ms = 0;
  if (c->first_size < sizeof c->first) {
    size_t part = sizeof c->first - c->first_size;
    if (part > (size_t)got) part = (size_t)got;
    memcpy(c->first + c->first_size, c->in, part);
    c->first_size += part;
  }
  if (c->attempt) {
    c->attempt->bytes_received += (uint64_t)got;
    if (c->attempt->flow_began_us != 0) {
      c->attempt->flow_bytes += (uint64_t)got;
      c->attempt->flow_us = c->heard_us - c->attempt->flow_began_us;
    }
  }
  ssize_t used = nghttp2_session_mem_recv(c->session, c->in, (size_t)got);
  if (used < 0) {
    c->broken = 1;
    if (c->error && used == NGHTTP2_ERR_NOMEM) {
      stop(c, nomem(c->error));
    } else {
      c->violation = 1;
    }
    return -2;
  }
  return 1;
}

/* ---- the connection ---- */

int gsq_connection_new(gsq_io *io, gsq_addresses *addresses, int address,
                       size_t max_message_bytes, gsq_connection **out, gsq_error *error) {
  nghttp2_session_callbacks *callbacks = NULL;
  nghttp2_option *option = NULL;
  nghttp2_mem memory = {NULL, session_malloc, session_free, session_calloc, session_realloc};
  gsq_connection *c = malloc(sizeof *c);
  if (!c) {
    gsq_io_close(io);
    return nomem(error);
  }
  memset(c, 0, offsetof(gsq_connection, control)); /* not the buffers */
  c->io = *io;
  io->fd = -1;
  io->tls = NULL;
  c->addresses = addresses;
  c->address = address;
  c->url = gsq_addresses_url(addresses, address);
  c->max_message_bytes = max_message_bytes;
  if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
    goto fail;
  }
  nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_body);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_frame_length);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, on_frame_to_send);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_error_callback2(callbacks, on_protocol_error);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
  if (nghttp2_session_client_new3(&c->session, callbacks, c, option, &memory) != 0) {
    c->session = NULL;
    goto fail;
  }
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, MOST_FRAME_BYTES},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADER_BYTES},
  };
  if (nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                              sizeof settings / sizeof *settings) != 0 ||
      nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES) !=
          0) {
    goto fail;
  }
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  *out = c;
  return GSQ_OK;

fail:
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  gsq_connection_free(c);
  return nomem(error);
}

void gsq_connection_free(gsq_connection *c) {
  if (!c) return;
  nghttp2_session_del(c->session);
  gsq_io_close(&c->io);
  free(c->message);
  free(c);
}

int gsq_connection_fd(const gsq_connection *c) {
  return c->io.fd;
}

int gsq_connection_is_local(const gsq_connection *c) {
  return gsq_io_is_local(&c->io);
}

int gsq_connection_address(const gsq_connection *c) {
  return c->address;
}

int gsq_connection_is_reusable(const gsq_connection *c) {
  return !c->broken && !c->write_broken && !c->violation && !c->going_away &&
         c->queue_first == c->queue_end && nghttp2_session_check_request_allowed(c->session);
}

int gsq_connection_is_alive(gsq_connection *c) {
  c->header_bytes = c->overhead_bytes = 0;
  int got;
  do {
    got = receive(c);
  } while (got == 1);
  /* What has to be said to it (acknowledgements) goes with the call's first bytes. */
  return got == 0 && gsq_connection_is_reusable(c);
}

/* ---- one call ---- */

static void begin(gsq_connection *c, const gsq_call *call, gsq_attempt *attempt,
                  gsq_error *error) {
  c->call = call;
  c->attempt = attempt;
  c->error = error;
  c->stopped = 0;
  c->paused = 0;
  c->stream_id = 0;
  c->closed = 0;
  c->close_code = 0;
  c->peer_reset = 0;
  c->header_bytes = c->overhead_bytes = 0;
  size_t size = 0;
  for (int i = 0; i < call->request_count; i++) size += call->request[i].iov_len;
  c->request_prefix[0] = 0;
  for (int i = 0; i < 4; i++) c->request_prefix[1 + i] = (uint8_t)(size >> (24 - 8 * i));
  c->body_slot = -1;
  c->body_offset = 0;
  c->body_left = PREFIX_BYTES + size;
  c->http_status = 0;
  c->is_grpc = c->saw_content_type = 0;
  c->grpc_status = -1;
  c->grpc_message[0] = c->reason[0] = c->content_type[0] = 0;
  c->prefix_have = 0;
  c->message_size = c->message_have = 0;
  c->message_count = 0;
  c->heard_ms = gsq_now_ms();
  c->pinged_ms = 0;
  const int64_t left_ms = call->deadline_ms - c->heard_ms;
  c->silence_ms = left_ms / 4 < SILENCE_MS ? left_ms / 4 : SILENCE_MS;
  c->ping_answer_ms = left_ms / 2 < PING_ANSWER_MS ? left_ms / 2 : PING_ANSWER_MS;
}

static int submit(gsq_connection *c, const char *authorization) {
  /* Nothing is copied: the values live until the call is over, and with them the stream. */
#define FIELD(name, value, value_size, more)                                                  \
  (nghttp2_nv){(uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1, \
               value_size,                                                                    \
               NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE | (more)}
#define FIXED(name, value) FIELD(name, value, sizeof(value) - 1, 0)
  int64_t left = c->call->deadline_ms - gsq_now_ms();
  if (left < 1) left = 1;
  if (left > 99999999) left = 99999999; /* the header has eight digits */
  int timeout_size = snprintf(c->timeout, sizeof c->timeout, "%dm", (int)left);
  const char *scheme = c->url->tls ? "https" : "http";
  nghttp2_nv fields[] = {
      FIXED(":method", "POST"),
      FIELD(":scheme", scheme, strlen(scheme), 0),
      FIELD(":path", c->call->method, strlen(c->call->method), 0),
      FIELD(":authority", c->url->authority, strlen(c->url->authority), 0),
      FIXED("te", "trailers"),
      FIXED("content-type", "application/grpc"),
      FIXED("user-agent", "grpsqlite-vfs/0.1"),
      /* Never the same twice: not for the header compression's table. */
      FIELD("grpc-timeout", c->timeout, (size_t)timeout_size, NGHTTP2_NV_FLAG_NO_INDEX),
      FIELD("authorization", authorization, authorization ? strlen(authorization) : 0, 0),
  };
#undef FIXED
#undef FIELD
  size_t count = sizeof fields / sizeof *fields - (authorization ? 0 : 1);
  nghttp2_data_provider body = {.source = {.ptr = c}, .read_callback = on_body_wanted};
  int32_t id = nghttp2_submit_request(c->session, NULL, fields, count, &body, NULL);
  if (id > 0) {
    c->stream_id = id;
    return GSQ_OK;
  }
  c->broken = 1;
  if (id == NGHTTP2_ERR_NOMEM) return nomem(c->error);
  return gsq_error_set(c->error, GSQ_INTERNAL, "cannot make a request (%s)",
                       nghttp2_strerror(id));
}

/* The peer spoke, but not HTTP/2: what was it? */
static int not_http2(gsq_connection *c) {
  if (starts_with(c->first, c->first_size, "HTTP/")) {
    char line[sizeof c->first + 1];
    size_t size = 0;
    while (size < c->first_size && c->first[size] != '\r' && c->first[size] != '\n') size++;
    gsq_status_message(c->first, size, line, sizeof line);
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s answered, but not as a gRPC server (%s)",
                         c->url->text, line);
  }
  if (c->first_size >= 2 && (c->first[0] == 0x15 || c->first[0] == 0x16) && c->first[1] == 3) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER,
                         "%s answered, but with TLS; is it an https:// server?", c->url->text);
  }
  return gsq_error_set(c->error, GSQ_BAD_ANSWER,
                       "%s answered, but not as a gRPC server (no HTTP/2%s%s)", c->url->text,
                       c->violation_text[0] ? ": " : "", c->violation_text);
}

static int looks_like_http2(const gsq_connection *c) {
  /* A server's first frame is SETTINGS: a length below 2^14, type 4, stream 0. */
  return c->first_size >= 9 && c->first[0] == 0 && c->first[1] < 0x40 && c->first[3] == 4 &&
         c->first[5] == 0 && c->first[6] == 0 && c->first[7] == 0 && c->first[8] == 0;
}

static int violated(gsq_connection *c) {
  c->broken = 1;
  if (!looks_like_http2(c)) return not_http2(c);
  return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s broke the protocol: %s", c->url->text,
                       c->violation_text[0] ? c->violation_text : "an HTTP/2 error");
}

static int ended_early(gsq_connection *c, int problem) {
  c->broken = 1;
  c->attempt->lost = 1;
  if (c->first_size > 0 && !looks_like_http2(c) && c->first_size >= 9) {
    c->attempt->lost = 0;
    return not_http2(c);
  }
  if (problem == 0) {
    return gsq_error_set(
        c->error, GSQ_UNAVAILABLE, "%s closed the connection %s", c->url->text,
        c->first_size ? "before it answered" : "at once; is it a gRPC server?");
  }
  char text[128];
  const char *why = strerror_r(problem, text, sizeof text);
  return gsq_error_set(c->error, GSQ_UNAVAILABLE, "lost the connection to %s (%s)",
                       c->url->text, why);
}

/* The stream is closed without a gRPC status. */
static int no_status(gsq_connection *c) {
  if (c->http_status && c->http_status != 200) {
    int status = c->http_status;
    int busy = status == 502 || status == 503 || status == 504;
    c->attempt->answered = busy;
    return gsq_error_set(c->error, busy ? GSQ_UNAVAILABLE : GSQ_BAD_ANSWER,
                         "%s answered, but not as a gRPC server (HTTP status %d)", c->url->text,
                         status);
  }
  if (c->http_status && !c->is_grpc) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER,
                         "%s answered, but not as a gRPC server (content-type %s)",
                         c->url->text, c->saw_content_type ? c->content_type : "missing");
  }
  if (c->close_code == NGHTTP2_REFUSED_STREAM) {
    c->attempt->refused = 1;
    return gsq_error_set(c->error, GSQ_UNAVAILABLE, "%s takes no calls now", c->url->text);
  }
  if (c->close_code == NGHTTP2_NO_ERROR && !c->peer_reset) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s ended the call %s without a status",
                         c->url->text, c->call->method);
  }
  if (!c->peer_reset) return violated(c);
  if (c->close_code == NGHTTP2_CANCEL || c->close_code == NGHTTP2_NO_ERROR) {
    c->attempt->lost = 1; /* what a server does to its calls when it stops */
    return gsq_error_set(c->error, GSQ_UNAVAILABLE, "%s dropped the call %s", c->url->text,
                         c->call->method);
  }
  int code = c->close_code == NGHTTP2_ENHANCE_YOUR_CALM     ? GSQ_RESOURCE_EXHAUSTED
             : c->close_code == NGHTTP2_INADEQUATE_SECURITY ? GSQ_PERMISSION_DENIED
                                                            : GSQ_INTERNAL;
  return gsq_error_set(c->error, code, "%s dropped the call %s (%s)", c->url->text,
                       c->call->method, nghttp2_http2_strerror(c->close_code));
}

/* The stream is closed: what does it say? */
static int verdict(gsq_connection *c) {
  if (c->grpc_status < 0 || c->http_status != 200 || !c->is_grpc) return no_status(c);
  if (c->close_code != NGHTTP2_NO_ERROR && !c->peer_reset) return violated(c);
  c->attempt->answered = 1;
  if (c->grpc_status != GSQ_OK) {
    gsq_error_set(c->error, c->grpc_status, "%s%s(%s from %s)", c->grpc_message,
                  c->grpc_message[0] ? " " : "", gsq_code_name(c->grpc_status), c->url->text);
    memcpy(c->error->reason, c->reason, sizeof c->reason);
    return c->grpc_status;
  }
  if (c->prefix_have > 0) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s ended the call %s within a message",
                         c->url->text, c->call->method);
  }
  if (c->message_count == 0 && !(c->call->flags & GSQ_CALL_STREAM)) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s answered the call %s without a message",
                         c->url->text, c->call->method);
  }
  return GSQ_OK;
}

/* ---- one server of several ---- */

/* How much of the call has got to the server's host, or just about. */
static int64_t arrived_bytes(const gsq_connection *c) {
  int on_their_way = 0;
  ioctl(c->io.fd, TIOCOUTQ, &on_their_way);
  return (int64_t)c->attempt->bytes_sent - on_their_way;
}

/* Whether something came while this thread did not look: it may have been stopped. */
static int has_something(const gsq_connection *c) {
  return gsq_io_has_buffered(&c->io) ||
         gsq_io_wait(c->io.fd, POLLIN, -1, -1, 0) != GSQ_WAIT_TIMEOUT;
}

/* Asks for a sign of life if it is time, and gives up if none came: GSQ_UNAVAILABLE. *until_ms: when
** to look again, if that is sooner. */
static int listen_for_life(gsq_connection *c, int64_t *until_ms) {
  const int64_t now_ms = gsq_now_ms();
  int64_t due_ms = c->pinged_ms + c->ping_answer_ms;
  if (c->pinged_ms == 0) {
    if (c->pings == MAX_PINGS || c->silence_ms < LEAST_SILENCE_MS) return GSQ_OK;
    int64_t silence_ms = c->silence_ms;
    for (int i = 0; i < c->pings; i++) silence_ms *= LATER;
    due_ms = c->heard_ms + silence_ms;
    if (now_ms >= due_ms) {
      if (nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL) != 0) {
        c->broken = 1;
        return nomem(c->error);
      }
      c->pings++;
      c->pinged_ms = now_ms;
      c->arrived_bytes = arrived_bytes(c);
      due_ms = now_ms + c->ping_answer_ms;
    }
  } else if (now_ms >= due_ms && !has_something(c)) {
    /* The ping may wait behind a large request, on a slow line. */
    const int64_t arrived = arrived_bytes(c);
    if (arrived <= c->arrived_bytes + PING_BYTES) {
      c->broken = 1;
      c->attempt->lost = c->attempt->silent = 1;
      return gsq_error_set(c->error, GSQ_UNAVAILABLE,
                           "%s takes connections, but has not answered for %lld ms",
                           c->url->text, (long long)(now_ms - c->heard_ms));
    }
    c->arrived_bytes = arrived;
    c->pinged_ms = now_ms;
    due_ms = now_ms + c->ping_answer_ms;
  }
  if (due_ms < *until_ms) *until_ms = due_ms;
  return GSQ_OK;
}

static int is_left(const gsq_connection *c) {
  return gsq_addresses_current(c->addresses) != c->address;
}

/* Exchanges bytes until the stream is closed or something else ends the call. */
static int exchange(gsq_connection *c, int cancel_fd) {
  for (;;) {
    int64_t until_ms = c->call->deadline_ms;
    if (c->call->on_turn) {
      int code = c->call->on_turn(c->call->arg, &until_ms, c->error);
      if (code) {
        c->attempt->unwanted = 1;
        return code;
      }
      if (until_ms > c->call->deadline_ms) until_ms = c->call->deadline_ms;
      if (is_left(c)) {
        c->attempt->lost = 1;
        return gsq_error_set(c->error, GSQ_UNAVAILABLE, "another server than %s is in use now",
                             c->url->text);
      }
    }
    if (gsq_addresses_count(c->addresses) > 1 && !(c->call->flags & GSQ_CALL_PATIENT)) {
      int code = listen_for_life(c, &until_ms);
      if (code != GSQ_OK) return code;
    }
    enum flush_result flushed = flush(c);
    if (c->stopped) return c->stopped;
    if (c->closed) return verdict(c);
    if (c->violation) return violated(c);
    if (flushed == FLUSH_FAILED && c->broken) return ended_early(c, EPIPE);
    /* Its bytes are the caller's: a request that is not all sent yet goes first. */
    if (c->paused && flushed == FLUSHED && c->body_left == 0) {
      c->paused_us = gsq_now_us();
      return GSQ_PAUSE;
    }
    if (!gsq_io_has_buffered(&c->io)) {
      short events = POLLIN | (flushed == FLUSH_PENDING ? POLLOUT : 0);
      const int wake_fd = c->call->on_turn ? c->call->wake_fd : -1;
      switch (gsq_io_wait(c->io.fd, events, cancel_fd, wake_fd, until_ms)) {
        case GSQ_WAIT_CANCELLED:
          return gsq_error_set(c->error, GSQ_CANCELLED, "shutting down");
        case GSQ_WAIT_WOKEN:
          continue;
        case GSQ_WAIT_TIMEOUT:
          if (until_ms < c->call->deadline_ms) continue;
          return gsq_error_set(c->error, GSQ_DEADLINE_EXCEEDED,
                               "%s did not answer %s within its time", c->url->text,
                               c->call->method);
      }
    }
    int got = receive(c);
    if (c->stopped) return c->stopped;
    if (got == -2) return violated(c);
    if (c->closed) return verdict(c);
    if (got == -1) return ended_early(c, errno);
    /* What drips without a pause must not outlast the deadline. */
    if (gsq_now_ms() >= c->call->deadline_ms) {
      return gsq_error_set(c->error, GSQ_DEADLINE_EXCEEDED,
                           "%s did not finish its answer to %s within its time", c->url->text,
                           c->call->method);
    }
  }
}

/* The call is over: leaves nothing of it behind. */
static int end(gsq_connection *c, int code) {
  if (!c->closed && !c->broken && !c->violation) {
    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, c->stream_id, NGHTTP2_CANCEL);
    c->error = NULL; /* the outcome stands */
    flush(c);
    c->broken = 1;
  }
  /* A stream that the server closed before the request was all sent. */
  if (c->closed && c->queue_first != c->queue_end) c->broken = 1;
  c->call = NULL;
  c->attempt = NULL;
  c->error = NULL;
  if (c->message_capacity > KEPT_MESSAGE_BYTES) {
    free(c->message);
    c->message = NULL;
    c->message_capacity = 0;
  }
  return code;
}

int gsq_connection_call(gsq_connection *c, const gsq_call *call, const char *authorization,
                        int cancel_fd, gsq_attempt *attempt, gsq_error *error) {
  memset(attempt, 0, sizeof *attempt);
  begin(c, call, attempt, error);
  int code = submit(c, authorization);
  if (code == GSQ_OK) code = exchange(c, cancel_fd);
  return code == GSQ_PAUSE ? code : end(c, code);
}

int gsq_connection_go_on(gsq_connection *c, int cancel_fd, gsq_error *error) {
  c->error = error;
  c->paused = 0;
  /* Nobody listened: neither the server nor the network is slow for it. */
  c->heard_ms = gsq_now_ms();
  if (c->attempt->flow_began_us != 0) c->attempt->flow_began_us += gsq_now_us() - c->paused_us;
  c->pinged_ms = 0;
  int code = exchange(c, cancel_fd);
  return code == GSQ_PAUSE ? code : end(c, code);
}
