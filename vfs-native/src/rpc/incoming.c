/*
** Bytes in: one buffer, which nghttp2 parses in place. A message that is whole within one piece
** of the buffer is delivered from there; others are put together in `message`.
*/
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/connection_state.h"
#include "rpc/status.h"

/* What is no content of the call's own stream (SETTINGS, PING, empty DATA, DATA of a stream that is over, …)
** between two messages. */
#define MAX_OVERHEAD_BYTES (256 * 1024)

static void stop_bad_answer(gsq_connection *c, const char *what) {
  if (c->stopped) return;
  c->stopped =
      gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s broke the protocol: %s", c->url->text, what);
}

static int is_ours(const gsq_connection *c, int32_t stream_id) {
  return c->call && stream_id == c->stream_id;
}

static int is_grpc_content_type(const uint8_t *value, size_t size) {
  static const char type[] = "application/grpc";
  const size_t length = sizeof type - 1;
  if (size < length || memcmp(value, type, length) != 0) return 0;
  return size == length || value[length] == '+' || value[length] == ';';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *arg) {
  (void)session, (void)flags;
  gsq_connection *c = arg;
  c->header_bytes += name_size + value_size + 32;
  if (c->header_bytes > GSQ_MAX_HEADER_BYTES) {
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
  /* Of the bytes that came all count, for nghttp2 does not tell of what it ignores; but not these. */
  if (frame->type == NGHTTP2_DATA && frame->length > 0 && is_ours(c, frame->stream_id)) {
    c->overhead_bytes -= 9 + (int64_t)frame->length;
  }
  if (frame->type == NGHTTP2_DATA || frame->type == NGHTTP2_HEADERS) c->pings = 0;
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
  if (c->overhead_bytes > 0) c->overhead_bytes = 0;
  int code = c->call->on_message
                 ? c->call->on_message(c->call->arg, data, c->message_size, c->error)
                 : 0;
  if (code == GSQ_PAUSE) {
    c->paused = 1;
  } else if (code) {
    c->attempt->unwanted = 1;
    gsq_connection_stop(c, code);
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
    if (c->prefix_have < GSQ_PREFIX_BYTES) {
      c->prefix[c->prefix_have++] = *data++;
      size--;
      if (c->prefix_have < GSQ_PREFIX_BYTES) continue;
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
      gsq_connection_stop(c, gsq_error_nomem(c->error));
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

void gsq_incoming_use(nghttp2_session_callbacks *callbacks) {
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_error_callback2(callbacks, on_protocol_error);
}

int gsq_incoming_receive(gsq_connection *c) {
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
  c->overhead_bytes += got;
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
      gsq_connection_stop(c, gsq_error_nomem(c->error));
    } else {
      c->violation = 1;
    }
    return -2;
  }
  if (c->overhead_bytes > MAX_OVERHEAD_BYTES) {
    if (c->error) stop_bad_answer(c, "frames without content have no end");
    c->broken = 1;
    return -2;
  }
  return 1;
}
