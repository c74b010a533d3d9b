/*
** A gRPC channel to one server: blocking calls over a pool of HTTP/2 connections, each used
** by one thread at a time. Knows no SQLite and no protobuf: messages are bytes.
**
** The server may be one of several that are interchangeable. Calls go to the one in use, until a
** connection to it can't be made, breaks as soon as it is made, or hangs, or the server says that it
** is unavailable; then to the next one. A call that is sent again so is one that would have been sent
** again to a single server.
**
** Thread-safe, but for gsq_channel_free. After fork() the child calls
** gsq_channel_abandon_after_fork and makes a channel of its own.
*/
#ifndef GSQ_RPC_CHANNEL_H
#define GSQ_RPC_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

typedef struct gsq_channel gsq_channel;

typedef struct gsq_channel_options {
  /* http://host:port, https://host:port, unix:/path; or several, with commas. */
  const char *url;
  struct gsq_channel *beside; /* if not NULL, in place of url: goes where this one goes */
  /* With url: an eventfd that is written to when another address comes into use; 0: none. */
  int moved_fd;
  const char *token; /* sent as "authorization: Bearer <token>"; NULL for none */
  /* PEM; NULL: the system's CAs, no client certificate. Read again when they change. */
  const char *ca_file, *cert_file, *key_file;
  /* Of one attempt to connect. 0: that of the call; and as long as no connection was ever made,
  ** one that fails is not tried again. */
  int64_t connect_timeout_ms;
  size_t max_message_bytes; /* larger answers are refused */
} gsq_channel_options;

/* Parses the URL and allocates; connects to nobody. GSQ_BAD_URL, GSQ_NOMEM. */
int gsq_channel_new(const gsq_channel_options *options, gsq_channel **out, gsq_error *error);

/* Closes all connections. No call may be under way, and no stream. */
void gsq_channel_free(gsq_channel *channel);

/* In a forked child: closes the descriptors and sends nothing on them. */
void gsq_channel_abandon_after_fork(gsq_channel *channel);

/* Aborts the calls under way (GSQ_CANCELLED) and refuses later ones. For shutting down. */
void gsq_channel_shutdown(gsq_channel *channel);

/* A whole message has arrived. The bytes are the channel's, and last until this returns.
** Nonzero aborts the call, which then returns that value; set *error before. */
typedef int (*gsq_message_fn)(void *arg, const uint8_t *data, size_t size, gsq_error *error);

enum gsq_call_flags {
  /* Do not retry a sending that may have reached the server. The default is to retry until
  ** the deadline on UNAVAILABLE, lost connections and refused streams: all our RPCs are
  ** made to be sent again. */
  GSQ_CALL_ONCE = 1,
  /* The server may answer with any number of messages, also none; without this flag, an answer
  ** is one message. */
  GSQ_CALL_STREAM = 2,
  /* One attempt, whatever comes of it. */
  GSQ_CALL_NO_RETRY = 4,
  /* A server that has it is waited for until the deadline, although it hangs and there are others: if
  ** it did this call after all, later than another one did a newer call, that one's effect would be
  ** undone. */
  GSQ_CALL_PATIENT = 8,
};

typedef struct gsq_call {
  const char *method;          /* "/grpsqlite.v1.PageStore/Commit" */
  const struct iovec *request; /* the message, without gRPC's prefix */
  int request_count;
  int64_t deadline_ms; /* on gsq_now_ms()'s clock; of all tries together */
  int flags;
  gsq_message_fn on_message; /* once for a unary call, any number of times for a stream */
  void *arg;
  /* Called before a retry, so that half an answer can be forgotten; may be NULL. */
  void (*on_retry)(void *arg);

  /* For a stream that its thread does not only listen to; may be NULL. Called before the request
  ** is sent, and then whenever something has come, `wake_fd` (-1: none) is readable, or it is
  ** *until_ms, which it sets: as long as it would wait at most. It may make other calls on the same
  ** channel. Nonzero aborts the call as on_message's does. */
  int (*on_turn)(void *arg, int64_t *until_ms, gsq_error *error);
  int wake_fd;                /* read with on_turn only */
  int64_t connect_timeout_ms; /* if not 0, in place of the channel's, if that is longer */
} gsq_call;

/* What on_message of a stream returns to have the rest later. Messages that came together with that
** one are delivered first. */
#define GSQ_PAUSE (-1)

/* Makes a call and waits for its status. Returns GSQ_OK or the code in *error. A unary answer
** without a message is GSQ_BAD_ANSWER. */
int gsq_channel_call(gsq_channel *channel, const gsq_call *call, gsq_error *error);

/* A stream of which more is to come, with a connection of its own. For one thread at a time. */
typedef struct gsq_stream gsq_stream;

/* As gsq_channel_call of a stream, until on_message returns GSQ_PAUSE: then GSQ_OK, with the rest in
** *rest, for which `method` and `arg` must last. NULL: nothing more comes. */
int gsq_channel_stream(gsq_channel *channel, const gsq_call *call, gsq_stream **rest,
                       gsq_error *error);

/* Goes on until on_message returns GSQ_PAUSE again, which this returns then, or the stream is over: its
** status, or what went wrong. Then it is freed. It is not tried again. */
int gsq_stream_go_on(gsq_stream *stream, gsq_error *error);

/* Ends it, wherever it is. NULL: nothing. */
void gsq_stream_abandon(gsq_stream *stream);

/* What the channel has done so far. */
typedef struct gsq_channel_stats {
  uint64_t calls, retries, connects, bytes_sent, bytes_received;
  uint64_t moves; /* how often another address came into use; with those beside it */
} gsq_channel_stats;
void gsq_channel_stats_get(gsq_channel *channel, gsq_channel_stats *out);

/* Bytes per second in which large answers came lately. 0: there was none yet, or the newest one came
** from a server on this machine. */
int64_t gsq_channel_bandwidth(gsq_channel *channel);

/* The address in use. Lasts as long as the channel. */
const char *gsq_channel_url(gsq_channel *channel);

#endif
