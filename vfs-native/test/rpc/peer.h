/*
** A server for tests, on a socket of its own, that does what a script says: raw bytes, or HTTP/2
** with well-formed frames and whatever answers the test wants. Each connection has a thread.
*/
#ifndef GSQ_TEST_PEER_H
#define GSQ_TEST_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_MAX_CONNECTIONS 64

typedef struct peer peer;

/* Serves connection number `index` (from 0) and returns when done; the socket is closed then.
 */
typedef void (*peer_script)(peer *self, int fd, int index);

struct peer {
  char url[160];
  int port;
  peer_script script;
  void *arg; /* the script's */
  atomic_int connections;
  atomic_int requests;
  atomic_int pings;                /* that h2_serve was sent */
  atomic_uint max_frame_bytes;     /* that h2_serve announces; 0: HTTP/2's 16 KiB */
  atomic_uint largest_frame_bytes; /* of the DATA frames that it was sent */
  atomic_int stopping;

  pthread_mutex_t mutex;
  char path[128], authorization[64], timeout[16], te[16], content_type[32]; /* by mutex */
  uint8_t *body;    /* of the last request, with gRPC's prefix; protected by mutex */
  size_t body_size; /* protected by mutex */

  int listener;
  pthread_t thread;
  struct peer_connection {
    peer *owner;
    int fd, index;
    atomic_int done;
    pthread_t thread;
  } served[PEER_MAX_CONNECTIONS];
};

/* On 127.0.0.1; with `unix_path`, on that. */
void peer_start(peer *self, peer_script script, void *arg, const char *unix_path);
void peer_stop(peer *self);
/* Waits, within a deadline, until the connections so far are closed. 0 if they are not. */
int peer_await_closed(peer *self);

/* Writes all; gives up silently if the other side is gone. */
void peer_write(int fd, const void *data, size_t size);
/* Reads until the other side closes, or the peer is stopped. */
void peer_drain(int fd);
/* Reads at least `size` bytes. 0 if the other side closed first. */
int peer_read_some(int fd, size_t size);

/* What an HTTP/2 server says to a request. All zero: "200, application/grpc, grpc-status 0" and
** an empty message. */
typedef struct h2_answer {
  int goaway; /* GOAWAY with this request (1: not processed; 2: processed) */
  int reset;  /* RST_STREAM with reset_code, after what is below without trailers */
  uint32_t reset_code;
  int close_after;    /* closes the connection after this answer */
  int close_at_once;  /* closes it instead of answering */
  int lose_status;    /* closes it after the body, before the status */
  int hang;           /* says nothing more */
  int keep_open;      /* says nothing more, after the body */
  const char *status; /* ":status" */
  const char *content_type;
  int no_content_type;
  const char *grpc_status; /* "": none */
  const char *grpc_message;
  const char *details;
  int trailers_only;
  const uint8_t *body; /* as it is, prefix included */
  size_t body_size;
  int no_body;
  int echo; /* the request's body */
} h2_answer;

/* Serves HTTP/2: request i of this connection gets answers[i], those beyond the last one. */
void h2_serve(peer *self, int fd, const h2_answer *answers, int count);

/* A script: arg is an array of h2_script, one for each connection; the last one repeats. */
typedef struct h2_script {
  const h2_answer *answers;
  int count;
} h2_script;
typedef struct h2_scripts {
  const h2_script *scripts;
  int count;
} h2_scripts;
void h2_scripted(peer *self, int fd, int index);

#endif
