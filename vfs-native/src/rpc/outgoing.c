/*
** Bytes out: nghttp2 serialises frames into `control`; DATA frames only put their nine-byte
** header there, and the request's own bytes are referred to, not copied. `queue` lists all these
** pieces in order, and one sendmsg takes as many as it can: a small request is one system call.
*/
#include <string.h>

#include "rpc/connection_state.h"

/* Pieces of the request in one DATA frame; with its header they fit into the queue. */
#define FRAME_SLOTS 128

static int queue_room(const gsq_connection *c) {
  return GSQ_QUEUE_SLOTS - c->queue_end;
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
  if (size > GSQ_CONTROL_BYTES - c->control_used || queue_room(c) < 1)
    return NGHTTP2_ERR_WOULDBLOCK;
  memcpy(c->control + c->control_used, data, size);
  queue_add(c, c->control + c->control_used, size);
  c->control_used += size;
  return (ssize_t)size;
}

/* The piece of the request that is next. */
static struct iovec body_piece(const gsq_connection *c, int slot, size_t offset) {
  struct iovec piece =
      slot < 0 ? (struct iovec){(void *)(uintptr_t)c->request_prefix, GSQ_PREFIX_BYTES}
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
  if (queue_room(c) < FRAME_SLOTS + 1 || GSQ_CONTROL_BYTES - c->control_used < 9) {
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
  return remote_max_frame_size < GSQ_MOST_FRAME_BYTES ? (ssize_t)remote_max_frame_size
                                                      : GSQ_MOST_FRAME_BYTES;
}

static int on_frame_to_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
  (void)session;
  gsq_connection *c = arg;
  /* We never send one by ourselves: nghttp2 does, when the peer breaks the protocol. */
  if (frame->hd.type == NGHTTP2_GOAWAY) c->violation = 1;
  return 0;
}

void gsq_outgoing_use(nghttp2_session_callbacks *callbacks) {
  nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_body);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_frame_length);
  nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, on_frame_to_send);
}

nghttp2_data_provider gsq_outgoing_request(gsq_connection *c) {
  return (nghttp2_data_provider){.source = {.ptr = c}, .read_callback = on_body_wanted};
}

gsq_flushed gsq_outgoing_flush(gsq_connection *c) {
  for (;;) {
    int rv = nghttp2_session_send(c->session);
    if (rv != 0) {
      c->broken = 1;
      if (c->error)
        gsq_connection_stop(c, gsq_error_nomem(c->error)); /* it says nothing else of its own */
      return GSQ_FLUSH_FAILED;
    }
    if (c->queue_first == c->queue_end) return GSQ_FLUSHED;
    while (c->queue_first < c->queue_end) {
      int64_t sent = c->write_broken ? GSQ_IO_LOST
                                     : gsq_io_write(&c->io, c->queue + c->queue_first,
                                                    c->queue_end - c->queue_first);
      if (sent == GSQ_IO_AGAIN) return GSQ_FLUSH_PENDING;
      if (sent < 0) {
        c->write_broken = 1;
        c->queue_first = c->queue_end = 0;
        c->control_used = 0;
        return GSQ_FLUSH_FAILED;
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
