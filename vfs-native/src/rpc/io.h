/*
** A connected byte stream: TCP or a Unix socket, with or without TLS. Nothing here blocks but
** gsq_io_wait, gsq_io_connect, and name resolution within it; no call raises SIGPIPE.
*/
#ifndef GSQ_RPC_IO_H
#define GSQ_RPC_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "rpc/url.h"

struct gsq_tls;
struct gsq_tls_stream;

typedef struct gsq_io {
  int fd;                     /* -1: closed */
  struct gsq_tls_stream *tls; /* NULL: none */
} gsq_io;

/* What an operation that does not block says instead of a number of bytes. */
enum gsq_io_result {
  GSQ_IO_END = 0,    /* the peer closed */
  GSQ_IO_AGAIN = -1, /* gsq_io_wait, then again */
  GSQ_IO_LOST = -2,  /* broken; errno says why */
  GSQ_IO_NOMEM = -3,
};

enum gsq_wait_result {
  GSQ_WAIT_WOKEN = 2,
  GSQ_WAIT_READY = 1,
  GSQ_WAIT_TIMEOUT = 0,
  GSQ_WAIT_CANCELLED = -1,
};

/* Waits for poll()'s events on fd (-1: for none), for `cancel_fd` or `wake_fd` (-1: none) to be
** readable, or for the deadline on gsq_now_ms()'s clock. */
int gsq_io_wait(int fd, short events, int cancel_fd, int wake_fd, int64_t deadline_ms);

/* Connects, to each address of the host in turn, with `connect_timeout_ms` for each. tls: NULL
** unless url->tls. `advice` goes to the end of the message if nobody is there. Returns GSQ_OK and *io; GSQ_CANCELLED; GSQ_NOMEM; GSQ_UNAVAILABLE; or, for
** what will not change by itself, GSQ_BAD_URL or GSQ_BAD_ANSWER. */
int gsq_io_connect(const gsq_url *url, struct gsq_tls *tls, const char *advice, int cancel_fd,
                   int64_t connect_timeout_ms, int64_t deadline_ms, gsq_io *io,
                   gsq_error *error);

/* Reads at most `size` bytes: how many, or a gsq_io_result. */
int64_t gsq_io_read(gsq_io *io, void *to, size_t size);

/* Writes some of the bytes: how many, or a gsq_io_result. */
int64_t gsq_io_write(gsq_io *io, const struct iovec *from, int count);

/* True if bytes can be read although poll() may not say so. */
int gsq_io_has_buffered(const gsq_io *io);

/* As gsq_tls_alert and gsq_tls_is_newest; without TLS there is nothing to say, and all is new. */
int gsq_io_alert(const gsq_io *io, const gsq_url *url, gsq_error *error);
int gsq_io_is_newest(const gsq_io *io);

/* True if both ends are on this machine: a Unix socket, or one address at both ends. */
int gsq_io_is_local(const gsq_io *io);

void gsq_io_close(gsq_io *io);

#endif
