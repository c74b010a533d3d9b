/*
** One HTTP/2 connection to a gRPC server, used by one thread at a time, for one call at a time.
*/
#ifndef GSQ_RPC_CONNECTION_H
#define GSQ_RPC_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rpc/addresses.h"
#include "rpc/channel.h"
#include "rpc/io.h"

typedef struct gsq_connection gsq_connection;

/* Takes over *io, which is connected to one of the addresses, also when it fails (GSQ_NOMEM). Sends
** nothing yet. `addresses` outlives it. */
int gsq_connection_new(gsq_io *io, gsq_addresses *addresses, int address,
                       size_t max_message_bytes, gsq_connection **out, gsq_error *error);

/* Sends and waits for nothing. */
void gsq_connection_free(gsq_connection *connection);

/* Before a call on a connection that has been idle: true if the peer has not closed it, nor sends more
** than it has to say. Waits for nothing. */
int gsq_connection_is_alive(gsq_connection *connection);

/* After a call: true if it can be used for another one. */
int gsq_connection_is_reusable(const gsq_connection *connection);

int gsq_connection_fd(const gsq_connection *connection);

/* Of which address it is. */
int gsq_connection_address(const gsq_connection *connection);

/* False if it was made with certificates that have been renewed since. */
int gsq_connection_is_newest(const gsq_connection *connection);

/* True if the server is on this machine. */
int gsq_connection_is_local(const gsq_connection *connection);

/* What one sending of a call came to. */
typedef struct gsq_attempt {
  int sent;     /* the server may have seen the request */
  int refused;  /* the server says that it did nothing with it */
  int lost;     /* the connection broke, or the server took leave of it */
  int silent;   /* it was given up: of several servers, this one seems to hang */
  int answered; /* there is a gRPC status, from the server */
  int unwanted; /* on_message ended the call */
  uint64_t bytes_sent, bytes_received;
  /* The answer's flow: what came after its first bytes, and in how many microseconds; not those in
  ** which it had paused. */
  int64_t flow_began_us; /* 0: it did not begin */
  uint64_t flow_bytes;
  int64_t flow_us;
} gsq_attempt;

/* Makes the call once. `authorization`: the header's value, or NULL. Returns GSQ_OK or the code
** in *error, GSQ_CANCELLED when cancel_fd becomes readable. GSQ_PAUSE: on_message said so; then the
** call, the attempt and the authorization stay until gsq_connection_go_on says something else, or
** the connection is freed. */
int gsq_connection_call(gsq_connection *connection, const gsq_call *call,
                        const char *authorization, int cancel_fd, gsq_attempt *attempt,
                        gsq_error *error);

/* Goes on with the call that has paused. As gsq_connection_call. */
int gsq_connection_go_on(gsq_connection *connection, int cancel_fd, gsq_error *error);

#endif
