/*
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

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "rpc/connection_state.h"

#define WINDOW_BYTES (16 << 20)
/* A connection keeps a buffer of this size for the next call; larger ones are for one call. */
#define KEPT_MESSAGE_BYTES (256 * 1024)
/* What a server has to say of itself between two calls is some frames; who says as much as this means harm,
** and may never come to an end. */
#define MOST_IDLE_BYTES 32768
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

/* ---- the connection ---- */

int gsq_connection_new(gsq_io *io, gsq_addresses *addresses, int address,
                       size_t max_message_bytes, gsq_connection **out, gsq_error *error) {
  nghttp2_session_callbacks *callbacks = NULL;
  nghttp2_option *option = NULL;
  nghttp2_mem memory = {NULL, session_malloc, session_free, session_calloc, session_realloc};
  gsq_connection *c = malloc(sizeof *c);
  if (!c) {
    gsq_io_close(io);
    return gsq_error_nomem(error);
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
  gsq_outgoing_use(callbacks);
  gsq_incoming_use(callbacks);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
  if (nghttp2_session_client_new3(&c->session, callbacks, c, option, &memory) != 0) {
    c->session = NULL;
    goto fail;
  }
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, GSQ_MOST_FRAME_BYTES},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GSQ_MAX_HEADER_BYTES},
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
  return gsq_error_nomem(error);
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

int gsq_connection_is_newest(const gsq_connection *c) {
  return gsq_io_is_newest(&c->io);
}

int gsq_connection_address(const gsq_connection *c) {
  return c->address;
}

int gsq_connection_is_reusable(const gsq_connection *c) {
  return !c->broken && !c->write_broken && !c->violation && !c->going_away &&
         c->queue_first == c->queue_end && nghttp2_session_check_request_allowed(c->session);
}

int gsq_connection_is_alive(gsq_connection *c) {
  c->header_bytes = 0;
  c->overhead_bytes = 0;
  int got;
  do {
    got = gsq_incoming_receive(c);
  } while (got == 1 && c->overhead_bytes < MOST_IDLE_BYTES);
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
  c->header_bytes = 0;
  c->overhead_bytes = 0;
  size_t size = 0;
  for (int i = 0; i < call->request_count; i++) size += call->request[i].iov_len;
  c->request_prefix[0] = 0;
  for (int i = 0; i < 4; i++) c->request_prefix[1 + i] = (uint8_t)(size >> (24 - 8 * i));
  c->body_slot = -1;
  c->body_offset = 0;
  c->body_left = GSQ_PREFIX_BYTES + size;
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
  nghttp2_data_provider body = gsq_outgoing_request(c);
  int32_t id = nghttp2_submit_request(c->session, NULL, fields, count, &body, NULL);
  if (id > 0) {
    c->stream_id = id;
    return GSQ_OK;
  }
  c->broken = 1;
  if (id == NGHTTP2_ERR_NOMEM) return gsq_error_nomem(c->error);
  return gsq_error_set(c->error, GSQ_INTERNAL, "cannot make a request (%s)",
                       nghttp2_strerror(id));
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
        return gsq_error_nomem(c->error);
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
    gsq_flushed flushed = gsq_outgoing_flush(c);
    if (c->stopped) return c->stopped;
    if (c->closed) return gsq_outcome_of_status(c);
    if (c->violation) return gsq_outcome_violated(c);
    if (flushed == GSQ_FLUSH_FAILED && c->broken) return gsq_outcome_ended_early(c, EPIPE);
    /* Its bytes are the caller's: a request that is not all sent yet goes first. */
    if (c->paused && flushed == GSQ_FLUSHED && c->body_left == 0) {
      c->paused_us = gsq_now_us();
      return GSQ_PAUSE;
    }
    if (!gsq_io_has_buffered(&c->io)) {
      short events = POLLIN | (flushed == GSQ_FLUSH_PENDING ? POLLOUT : 0);
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
    int got = gsq_incoming_receive(c);
    if (c->stopped) return c->stopped;
    if (got == -2) return gsq_outcome_violated(c);
    if (c->closed) return gsq_outcome_of_status(c);
    if (got == -1) return gsq_outcome_ended_early(c, errno);
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
    gsq_outgoing_flush(c);
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
