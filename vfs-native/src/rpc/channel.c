/*
** Calls over a pool of connections, with retries.
**
** Locks: `mutex` protects the pool and is held for a few instructions, never during I/O. A
** connection that is not in the pool belongs to the thread that took it. Descriptors are also
** listed in `fds`, without a lock, for a forked child, which must close those of other threads too.
**
** Of several addresses, a call tries all from the one in use on before it pauses. The one at which a
** connection was made comes into use; the pool gives no connection to another one.
*/
#include "rpc/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc/addresses.h"
#include "rpc/connection.h"
#include "rpc/io.h"
#include "rpc/tls.h"

/* Idle connections kept; as many threads can call all the time without connecting anew. */
#define MAX_IDLE 16
/* One that nobody needed for this long is closed. */
#define MAX_IDLE_MS 60000
/* Descriptors that a forked child finds; connections beyond it are not kept from it. */
#define MAX_LISTED_FDS 256
/* Fewer bytes say little of a network: they come in a few packets. */
#define LEAST_FLOW_BYTES (128u << 10)
#define BACKOFF_FIRST_MS 10
#define BACKOFF_MAX_MS 1000
/* Of one of several addresses: a first packet may get lost, and the next one is sent after 1 s. */
#define CONNECT_ONE_MS 2000
#define ADVICE "; start one with bin/rocksdb-server, or set GRPSQLITE_URL"

typedef struct idle_connection {
  gsq_connection *connection;
  int64_t since_ms;
} idle_connection;

struct gsq_channel {
  gsq_addresses *addresses;
  gsq_tls *tls;        /* NULL: none of them is https */
  char *authorization; /* "Bearer …" or NULL */
  int64_t connect_timeout_ms;
  size_t max_message_bytes;
  int cancel_fd; /* an eventfd, readable once the channel is shut down */

  pthread_mutex_t mutex;
  idle_connection idle[MAX_IDLE]; /* protected by mutex; the longest idle first */
  int idle_count;                 /* protected by mutex */

  _Atomic int fds[MAX_LISTED_FDS]; /* descriptor + 1, or 0 */
  atomic_int shut_down;
  atomic_uint_fast64_t random;
  atomic_uint_fast64_t calls, retries, connects, bytes_sent, bytes_received;
  _Atomic int64_t bandwidth; /* see gsq_channel_bandwidth */
};

struct gsq_stream {
  gsq_channel *channel;
  gsq_connection *connection;
  gsq_call call;
  gsq_attempt attempt;
};

int gsq_channel_new(const gsq_channel_options *options, gsq_channel **out, gsq_error *error) {
  error->sent_before = 0;
  gsq_addresses *addresses;
  int code = GSQ_OK;
  if (options->beside) {
    addresses = gsq_addresses_share(options->beside->addresses);
  } else {
    code = gsq_addresses_new(options->url, options->moved_fd > 0 ? options->moved_fd : -1,
                             &addresses, error);
    if (code != GSQ_OK) return code;
  }
  gsq_channel *channel = calloc(1, sizeof *channel);
  if (!channel) {
    gsq_addresses_free(addresses);
    return gsq_error_nomem(error);
  }
  channel->addresses = addresses;
  channel->connect_timeout_ms = options->connect_timeout_ms;
  channel->max_message_bytes = options->max_message_bytes;
  channel->random = (uint64_t)(uintptr_t)channel ^ (uint64_t)gsq_now_ms() << 20;
  pthread_mutex_init(&channel->mutex, NULL);
  channel->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (channel->cancel_fd < 0) {
    char text[128];
    code = gsq_error_set(error, GSQ_UNAVAILABLE, "cannot make an eventfd (%s)",
                         strerror_r(errno, text, sizeof text));
    goto fail;
  }
  if (options->token) {
    static const char scheme[] = "Bearer ";
    for (const char *c = options->token; *c; c++) {
      if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f) {
        code = gsq_error_set(error, GSQ_BAD_URL,
                             "the token has a character that cannot be sent (space, control or "
                             "not ASCII)");
        goto fail;
      }
    }
    size_t size = strlen(options->token);
    channel->authorization = malloc(sizeof scheme + size);
    if (!channel->authorization) {
      code = gsq_error_nomem(error);
      goto fail;
    }
    memcpy(channel->authorization, scheme, sizeof scheme - 1);
    memcpy(channel->authorization + sizeof scheme - 1, options->token, size + 1);
  }
  int tls = 0;
  for (int i = 0; i < gsq_addresses_count(addresses); i++) {
    tls |= gsq_addresses_url(addresses, i)->tls;
  }
  if (tls) {
    code = gsq_tls_new(options->ca_file, options->cert_file, options->key_file, &channel->tls,
                       error);
    if (code != GSQ_OK) goto fail;
  }
  *out = channel;
  return GSQ_OK;

fail:
  gsq_channel_free(channel);
  return code;
}

void gsq_channel_free(gsq_channel *channel) {
  if (!channel) return;
  for (int i = 0; i < channel->idle_count; i++) {
    gsq_connection_free(channel->idle[i].connection);
  }
  gsq_tls_free(channel->tls);
  gsq_addresses_free(channel->addresses);
  if (channel->cancel_fd >= 0) close(channel->cancel_fd);
  pthread_mutex_destroy(&channel->mutex);
  free(channel->authorization);
  free(channel);
}

void gsq_channel_abandon_after_fork(gsq_channel *channel) {
  /* The parent's other threads are gone, perhaps in the midst of something: so no lock is taken,
  ** and no memory but the list of descriptors is relied on. What is left over is the child's
  ** small loss. */
  for (int i = 0; i < MAX_LISTED_FDS; i++) {
    int fd = atomic_exchange(&channel->fds[i], 0) - 1;
    if (fd >= 0) close(fd);
  }
  close(channel->cancel_fd);
}

void gsq_channel_shutdown(gsq_channel *channel) {
  atomic_store(&channel->shut_down, 1);
  uint64_t one = 1;
  while (write(channel->cancel_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

void gsq_channel_stats_get(gsq_channel *channel, gsq_channel_stats *out) {
  out->calls = atomic_load(&channel->calls);
  out->retries = atomic_load(&channel->retries);
  out->connects = atomic_load(&channel->connects);
  out->bytes_sent = atomic_load(&channel->bytes_sent);
  out->bytes_received = atomic_load(&channel->bytes_received);
  out->moves = gsq_addresses_moves(channel->addresses);
}

int64_t gsq_channel_bandwidth(gsq_channel *channel) {
  return atomic_load_explicit(&channel->bandwidth, memory_order_relaxed);
}

const char *gsq_channel_url(gsq_channel *channel) {
  return gsq_addresses_url(channel->addresses, gsq_addresses_current(channel->addresses))->text;
}

/* ---- the pool ---- */

static void list_fd(gsq_channel *channel, int fd) {
  for (int i = 0; i < MAX_LISTED_FDS; i++) {
    int none = 0;
    if (atomic_compare_exchange_strong(&channel->fds[i], &none, fd + 1)) return;
  }
}

static void close_connection(gsq_channel *channel, gsq_connection *connection) {
  int listed = gsq_connection_fd(connection) + 1;
  for (int i = 0; i < MAX_LISTED_FDS; i++) {
    int expected = listed;
    if (atomic_compare_exchange_strong(&channel->fds[i], &expected, 0)) break;
  }
  gsq_connection_free(connection);
}

/* The one used last, or NULL. */
static gsq_connection *take_idle(gsq_channel *channel) {
  gsq_connection *connection = NULL;
  pthread_mutex_lock(&channel->mutex);
  if (channel->idle_count > 0) connection = channel->idle[--channel->idle_count].connection;
  pthread_mutex_unlock(&channel->mutex);
  return connection;
}

static void give_back(gsq_channel *channel, gsq_connection *connection) {
  int64_t now = gsq_now_ms();
  gsq_connection *too_many = NULL;
  pthread_mutex_lock(&channel->mutex);
  if (channel->idle_count > 0 &&
      (channel->idle_count == MAX_IDLE || now - channel->idle[0].since_ms > MAX_IDLE_MS)) {
    too_many = channel->idle[0].connection;
    channel->idle_count--;
    memmove(channel->idle, channel->idle + 1,
            (size_t)channel->idle_count * sizeof *channel->idle);
  }
  channel->idle[channel->idle_count++] = (idle_connection){connection, now};
  pthread_mutex_unlock(&channel->mutex);
  if (too_many) close_connection(channel, too_many);
}

/* Another address may have come into use, or another certificate. */
static int is_in_use(const gsq_channel *channel, const gsq_connection *connection) {
  return gsq_connection_address(connection) == gsq_addresses_current(channel->addresses) &&
         gsq_connection_is_newest(connection);
}

/* Connects to one address. */
static int connect_to(gsq_channel *channel, const gsq_call *call, int address,
                      int64_t timeout_ms, int64_t deadline_ms, gsq_connection **out,
                      gsq_error *error) {
  gsq_io io;
  if (channel->connect_timeout_ms && channel->connect_timeout_ms < timeout_ms) {
    timeout_ms = channel->connect_timeout_ms;
  }
  if (call->connect_timeout_ms && call->connect_timeout_ms < timeout_ms) {
    timeout_ms = call->connect_timeout_ms;
  }
  const char *advice = gsq_addresses_count(channel->addresses) == 1 ? ADVICE : "";
  int code = gsq_io_connect(gsq_addresses_url(channel->addresses, address), channel->tls,
                            advice, channel->cancel_fd, timeout_ms, deadline_ms, &io, error);
  if (code != GSQ_OK) return code;
  atomic_fetch_add(&channel->connects, 1);
  code = gsq_connection_new(&io, channel->addresses, address, channel->max_message_bytes, out,
                            error);
  if (code == GSQ_OK) list_fd(channel, gsq_connection_fd(*out));
  return code;
}

/* Connects to the first of several addresses where that can be done, beginning with the one in use,
** or the one after it if that is `shunned`. None: what each of them said. */
static int connect_to_any(gsq_channel *channel, const gsq_call *call, int shunned,
                          gsq_connection **out, gsq_error *error) {
  const int count = gsq_addresses_count(channel->addresses);
  const int in_use = gsq_addresses_current(channel->addresses);
  int address = in_use, result = GSQ_UNAVAILABLE;
  if (address == shunned) address = gsq_addresses_after(channel->addresses, address);
  char said[sizeof error->message];
  size_t size = (size_t)snprintf(said, sizeof said, "none of %d servers answers", count);
  for (int tried = 0; tried < count; tried++) {
    const int64_t now_ms = gsq_now_ms();
    int64_t timeout_ms = (call->deadline_ms - now_ms) / (count - tried);
    const int64_t until_ms = now_ms + timeout_ms; /* for all that its name stands for */
    if (timeout_ms > CONNECT_ONE_MS) timeout_ms = CONNECT_ONE_MS;
    int code = connect_to(channel, call, address, timeout_ms, until_ms, out, error);
    if (code == GSQ_OK) {
      gsq_addresses_move(channel->addresses, in_use, address);
      return GSQ_OK;
    }
    if (code == GSQ_NOMEM || code == GSQ_CANCELLED) return code;
    /* What one of them cannot do for good, such as prove who it is, the next one may. */
    result = tried == 0 || code == GSQ_UNAVAILABLE ? code : result;
    if (size < sizeof said) {
      size += (size_t)snprintf(said + size, sizeof said - size, "%s %s", tried ? ";" : ":",
                               error->message);
    }
    address = gsq_addresses_after(channel->addresses, address);
  }
  return gsq_error_set(error, result, "%s", said);
}

static int no_time_left(gsq_channel *channel, const gsq_call *call, gsq_error *error) {
  return gsq_error_set(error, GSQ_DEADLINE_EXCEEDED, "no time was left to call %s at %s",
                       call->method, gsq_channel_url(channel));
}

/* A connection for one call. *reused: it was in the pool. */
static int get_connection(gsq_channel *channel, const gsq_call *call, int shunned,
                          gsq_connection **out, int *reused, gsq_error *error) {
  gsq_connection *connection;
  *reused = 0;
  while ((connection = take_idle(channel))) {
    if (is_in_use(channel, connection) && gsq_connection_address(connection) != shunned &&
        gsq_connection_is_alive(connection)) {
      *out = connection;
      *reused = 1;
      return GSQ_OK;
    }
    close_connection(channel, connection);
    if (gsq_now_ms() >= call->deadline_ms) return no_time_left(channel, call, error);
  }
  if (gsq_addresses_count(channel->addresses) > 1) {
    return connect_to_any(channel, call, shunned, out, error);
  }
  return connect_to(channel, call, 0, INT32_MAX, call->deadline_ms, out, error);
}

/* ---- calls ---- */

static int64_t next_random(gsq_channel *channel, int64_t below) {
  uint64_t x = atomic_fetch_add(&channel->random, UINT64_C(0x9e3779b97f4a7c15));
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64 */
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return (int64_t)((x ^ x >> 31) % (uint64_t)below);
}

/* Half of the time that is due, and a random part of the other half. */
static int back_off(gsq_channel *channel, int tries, int64_t deadline_ms) {
  int64_t due = tries > 6 ? BACKOFF_MAX_MS : (int64_t)BACKOFF_FIRST_MS << tries;
  if (due > BACKOFF_MAX_MS) due = BACKOFF_MAX_MS;
  int64_t until = gsq_now_ms() + due / 2 + next_random(channel, due / 2 + 1);
  if (until > deadline_ms) until = deadline_ms;
  return gsq_io_wait(-1, 0, channel->cancel_fd, -1, until);
}

/* The mean of this answer's and what was known before, so that one odd answer is soon outweighed. If
** two threads do this at once, one of the answers does not count. */
static void note_flow(gsq_channel *channel, const gsq_connection *connection,
                      const gsq_attempt *attempt) {
  if (attempt->flow_bytes < LEAST_FLOW_BYTES) return;
  int64_t rate = 0;
  if (!gsq_connection_is_local(connection)) {
    const int64_t us = attempt->flow_us > 0 ? attempt->flow_us : 1;
    const int64_t before = gsq_channel_bandwidth(channel);
    rate = (int64_t)(attempt->flow_bytes * 1000000 / (uint64_t)us);
    if (before > 0) rate = (before + rate) / 2;
  }
  atomic_store_explicit(&channel->bandwidth, rate, memory_order_relaxed);
}

/* After a call, or a part of one. */
static void count_bytes(gsq_channel *channel, gsq_attempt *attempt) {
  atomic_fetch_add(&channel->bytes_sent, attempt->bytes_sent);
  atomic_fetch_add(&channel->bytes_received, attempt->bytes_received);
  attempt->bytes_sent = attempt->bytes_received = 0;
}

static void done_with(gsq_channel *channel, gsq_connection *connection) {
  if (gsq_connection_is_reusable(connection) && is_in_use(channel, connection)) {
    give_back(channel, connection);
  } else {
    close_connection(channel, connection);
  }
}

/* The server knows by its certificate who made a connection. True if there is another one by now:
** the next connection has that. */
static int is_renewed(gsq_channel *channel, const gsq_connection *connection) {
  gsq_error ignored;
  if (channel->tls) gsq_tls_renew(channel->tls, &ignored);
  return !gsq_connection_is_newest(connection);
}

/* *address: where the call went; -1: nowhere. *renewed: it was refused, and would be for a
** certificate that has been renewed. GSQ_PAUSE: *paused is the connection. */
static int once(gsq_channel *channel, const gsq_call *call, int shunned, int *address,
                int *reused, int *renewed, gsq_attempt *attempt, gsq_connection **paused,
                gsq_error *error) {
  gsq_connection *connection;
  memset(attempt, 0, sizeof *attempt);
  *address = -1;
  *renewed = 0;
  int code = get_connection(channel, call, shunned, &connection, reused, error);
  if (code != GSQ_OK) return code;
  *address = gsq_connection_address(connection);
  code = gsq_connection_call(connection, call, channel->authorization, channel->cancel_fd,
                             attempt, error);
  count_bytes(channel, attempt);
  if (code == GSQ_PAUSE) {
    *paused = connection;
  } else {
    note_flow(channel, connection, attempt);
    if (code == GSQ_UNAUTHENTICATED) *renewed = is_renewed(channel, connection);
    done_with(channel, connection);
  }
  return code;
}

/* As gsq_channel_call, with the attempt and the connection that are under way at GSQ_PAUSE. */
static int call_until(gsq_channel *channel, const gsq_call *call, gsq_attempt *attempt,
                      gsq_connection **paused, gsq_error *error) {
  const int count = gsq_addresses_count(channel->addresses);
  int sent_before = 0, stale = 0, failed = 0;
  int shunned = -1; /* the address that did the call no good last */
  error->sent_before = 0;
  atomic_fetch_add(&channel->calls, 1);
  if (gsq_now_ms() >= call->deadline_ms) return no_time_left(channel, call, error);
  for (int tries = 0;; tries++) {
    if (atomic_load(&channel->shut_down)) {
      gsq_error_set(error, GSQ_CANCELLED, "shutting down");
      break;
    }
    int reused, renewed, address;
    int code =
        once(channel, call, shunned, &address, &reused, &renewed, attempt, paused, error);
    if (code == GSQ_PAUSE) return code;
    int may_have_been_seen = attempt->sent && !attempt->refused;
    /* Who says that it does not know us did nothing with the call. */
    if (renewed && attempt->answered) may_have_been_seen = 0;
    if ((code != GSQ_UNAVAILABLE && !renewed) || attempt->unwanted ||
        (call->flags & GSQ_CALL_NO_RETRY) ||
        (may_have_been_seen && (call->flags & GSQ_CALL_ONCE))) {
      error->sent_before = sent_before || (may_have_been_seen && !attempt->answered);
      if (code == GSQ_OK) {
        error->sent_before = sent_before;
        return GSQ_OK;
      }
      break;
    }
    if (channel->connect_timeout_ms == 0 && atomic_load(&channel->connects) == 0) break;
    if (may_have_been_seen) sent_before = 1;
    error->sent_before = sent_before;
    /* A connection that broke as it was used again says nothing about the server: try a new one
    ** at once, but only so often. */
    if (renewed || (reused && attempt->lost && !attempt->silent && stale++ < MAX_IDLE)) {
      tries = -1;
    } else if (count > 1 && address >= 0 && ++failed < count) {
      shunned = address;
      tries--; /* the next one at once */
    } else {
      shunned = count > 1 ? address : -1;
      failed = 0;
      int waited = back_off(channel, tries, call->deadline_ms);
      if (waited == GSQ_WAIT_CANCELLED) {
        gsq_error_set(error, GSQ_CANCELLED, "shutting down");
        break;
      }
    }
    if (gsq_now_ms() >= call->deadline_ms) break; /* what went wrong last is the best answer */
    atomic_fetch_add(&channel->retries, 1);
    if (call->on_retry) call->on_retry(call->arg);
  }
  return error->code;
}

int gsq_channel_call(gsq_channel *channel, const gsq_call *call, gsq_error *error) {
  gsq_attempt attempt;
  gsq_connection *paused = NULL; /* nothing pauses here */
  return call_until(channel, call, &attempt, &paused, error);
}

int gsq_channel_stream(gsq_channel *channel, const gsq_call *call, gsq_stream **rest,
                       gsq_error *error) {
  *rest = NULL;
  gsq_stream *stream = calloc(1, sizeof *stream);
  if (!stream) {
    error->sent_before = 0;
    return gsq_error_nomem(error);
  }
  stream->channel = channel;
  stream->call = *call;
  int code = call_until(channel, &stream->call, &stream->attempt, &stream->connection, error);
  if (code == GSQ_PAUSE) {
    *rest = stream;
    return GSQ_OK;
  }
  free(stream);
  return code;
}

int gsq_stream_go_on(gsq_stream *stream, gsq_error *error) {
  int code = gsq_connection_go_on(stream->connection, stream->channel->cancel_fd, error);
  count_bytes(stream->channel, &stream->attempt);
  if (code == GSQ_PAUSE) return code;
  note_flow(stream->channel, stream->connection, &stream->attempt);
  if (code == GSQ_UNAUTHENTICATED) is_renewed(stream->channel, stream->connection);
  done_with(stream->channel, stream->connection);
  free(stream);
  return code;
}

void gsq_stream_abandon(gsq_stream *stream) {
  if (!stream) return;
  close_connection(stream->channel, stream->connection);
  free(stream);
}
