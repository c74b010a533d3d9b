/*
** What a connection is, for the files that make it up: outgoing.c writes, incoming.c reads, outcome.c
** says what a call came to, connection.c has it all. For nobody else.
*/
#ifndef GSQ_RPC_CONNECTION_STATE_H
#define GSQ_RPC_CONNECTION_STATE_H

#include <nghttp2/nghttp2.h>

#include "rpc/connection.h"

#define GSQ_IN_BYTES 65536
/* At least the largest frame that nghttp2 makes, twice. */
#define GSQ_CONTROL_BYTES 40960
#define GSQ_QUEUE_SLOTS 256
/* Of the request, or of the answer, in one DATA frame. */
#define GSQ_MOST_FRAME_BYTES (256 << 10)
/* A gRPC answer's header fields and trailers together; servers send some hundred bytes. */
#define GSQ_MAX_HEADER_BYTES 65536
#define GSQ_PREFIX_BYTES 5

struct gsq_connection {
  nghttp2_session *session;
  gsq_io io;
  gsq_addresses *addresses;
  int address;
  const gsq_url *url; /* the address */
  size_t max_message_bytes;

  struct iovec queue[GSQ_QUEUE_SLOTS];
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
  size_t header_bytes;
  int64_t overhead_bytes;             /* below 0: a frame's content is on its way */
  int64_t silence_ms, ping_answer_ms; /* of this call */

  char timeout[16]; /* nghttp2 may refer to it until the request's header is on its way */
  uint8_t request_prefix[GSQ_PREFIX_BYTES];
  int body_slot;      /* -1: the prefix */
  size_t body_offset; /* within the slot */
  size_t body_left;

  int http_status;
  int is_grpc, saw_content_type;
  int grpc_status; /* -1: none came */
  char grpc_message[sizeof((gsq_error *)0)->message];
  char reason[sizeof((gsq_error *)0)->reason];
  char content_type[64];

  uint8_t prefix[GSQ_PREFIX_BYTES];
  size_t prefix_have;
  size_t message_size, message_have;
  uint64_t message_count;

  uint8_t control[GSQ_CONTROL_BYTES];
  uint8_t in[GSQ_IN_BYTES];
};

/* Ends the call under way with what is in *error. */
static inline void gsq_connection_stop(gsq_connection *c, int code) {
  if (!c->stopped) c->stopped = code;
}

/* ---- outgoing.c ---- */

void gsq_outgoing_use(nghttp2_session_callbacks *callbacks);

/* The bytes of the request of the call under way. */
nghttp2_data_provider gsq_outgoing_request(gsq_connection *c);

typedef enum { GSQ_FLUSHED, GSQ_FLUSH_PENDING, GSQ_FLUSH_FAILED } gsq_flushed;

/* Serialises and writes until all is written, the socket is full, or it breaks. */
gsq_flushed gsq_outgoing_flush(gsq_connection *c);

/* ---- incoming.c ---- */

void gsq_incoming_use(nghttp2_session_callbacks *callbacks);

/* Reads once and parses. 1: something came. 0: nothing there. -1: the connection ended (errno 0)
** or broke. -2: what came is not to be used; the call is stopped if there is one. */
int gsq_incoming_receive(gsq_connection *c);

/* ---- outcome.c: each returns the code that the call ends with, *error set ---- */

/* The stream is closed: what does it say? */
int gsq_outcome_of_status(gsq_connection *c);
/* The peer broke the protocol. */
int gsq_outcome_violated(gsq_connection *c);
/* The connection ended. `problem`: why, of errno; 0: the peer closed it. */
int gsq_outcome_ended_early(gsq_connection *c, int problem);

#endif
