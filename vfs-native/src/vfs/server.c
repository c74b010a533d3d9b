#include "vfs/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/address_list.h"
#include "base/clock.h"
#include "vfs/database.h"
#include "vfs/fork.h"

/* Compression pays below the one and costs above the other; between them it stays as it is. */
#define SLOW_BYTES_PER_S (64LL << 20)
#define FAST_BYTES_PER_S (96LL << 20)

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static gsq_server *servers; /* protected by registry_mutex */
static gsq_totals closed;   /* of those that are no more; protected by registry_mutex */

static int same(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static int has_address(const char *list, const char *address, size_t length) {
  for (; list; list = gsq_address_next(list, gsq_address_length(list))) {
    if (gsq_address_length(list) == length && memcmp(list, address, length) == 0) return 1;
  }
  return 0;
}

/* Whether two canonical lists have the same addresses. None is in one of them twice. */
static int same_addresses(const char *a, const char *b) {
  if (strlen(a) != strlen(b)) return 0;
  for (size_t length; a; a = gsq_address_next(a, length)) {
    length = gsq_address_length(a);
    if (!has_address(b, a, length)) return 0;
  }
  return 1;
}

static int is_of(const gsq_server *server, const gsq_settings *settings) {
  return server->service == settings->service && server->compression == settings->compression &&
         same_addresses(server->url, settings->server) &&
         same(server->token, settings->token) && same(server->ca_file, settings->ca_file) &&
         same(server->cert_file, settings->cert_file) &&
         same(server->key_file, settings->key_file);
}

/* Duplicates a string that may be NULL. */
static int copy(char **to, const char *from) {
  if (!from) return 0;
  *to = strdup(from);
  return *to ? 0 : -1;
}

static void free_server(gsq_server *server) {
  if (!server) return;
  while (server->databases) { /* those that were closed late */
    gsq_database *database = server->databases;
    server->databases = database->next;
    gsq_database_free(database);
  }
  if (server->background) gsq_channel_free(server->background);
  if (server->channel) gsq_channel_free(server->channel);
  if (server->wake_fd >= 0) close(server->wake_fd);
  pthread_cond_destroy(&server->released);
  pthread_mutex_destroy(&server->mutex);
  gsq_gate_destroy(&server->session_gate);
  gsq_gate_destroy(&server->open_gate);
  free(server->closed_views);
  free(server->url);
  free(server->token);
  free(server->ca_file);
  free(server->cert_file);
  free(server->key_file);
  free(server);
}

static int make_server(const gsq_settings *settings, gsq_server **out, gsq_error *error) {
  gsq_server *server = calloc(1, sizeof *server);
  if (!server) return gsq_error_nomem(error);
  gsq_gate_init(&server->open_gate);
  gsq_gate_init(&server->session_gate);
  pthread_mutex_init(&server->mutex, NULL);
  gsq_cond_init(&server->released);
  server->service = settings->service;
  server->compression = settings->compression;
  server->generation = gsq_fork_generation();
  server->references = 1;

  int code = GSQ_OK;
  server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (server->wake_fd < 0) {
    code = gsq_error_set(error, GSQ_UNAVAILABLE, "cannot make an eventfd");
    goto failed;
  }
  if (copy(&server->url, settings->server) || copy(&server->token, settings->token) ||
      copy(&server->ca_file, settings->ca_file) ||
      copy(&server->cert_file, settings->cert_file) ||
      copy(&server->key_file, settings->key_file)) {
    code = gsq_error_nomem(error);
    goto failed;
  }
  gsq_channel_options options = {
      .url = server->url,
      .token = server->token,
      .ca_file = server->ca_file,
      .cert_file = server->cert_file,
      .key_file = server->key_file,
      .connect_timeout_ms = settings->connect_timeout_ms,
      .moved_fd = server->wake_fd,
      .max_message_bytes = 4u << 20, /* what the proto says a server sends at most */
  };
  code = gsq_channel_new(&options, &server->channel, error);
  if (code != GSQ_OK) goto failed;
  options.beside = server->channel;
  code = gsq_channel_new(&options, &server->background, error);
  if (code != GSQ_OK) goto failed;
  if (gsq_id_random(&server->client.session) != 0) {
    code = gsq_error_set(error, GSQ_INTERNAL, "the system gives no random bytes");
    goto failed;
  }
  server->client.channel = server->channel;
  server->background_client = server->client;
  server->background_client.channel = server->background;
  *out = server;
  return GSQ_OK;

failed:
  free_server(server);
  return code;
}

int gsq_server_acquire(const gsq_settings *settings, int64_t deadline_ms, gsq_server **out,
                       gsq_error *error) {
  gsq_server *server = NULL;
  int code = GSQ_OK;
  pthread_mutex_lock(&registry_mutex);
  for (server = servers; server && !is_of(server, settings); server = server->next) {
  }
  if (server) {
    server->references++;
  } else {
    code = make_server(settings, &server, error);
    if (code == GSQ_OK) {
      server->next = servers;
      servers = server;
    }
  }
  pthread_mutex_unlock(&registry_mutex);
  if (code != GSQ_OK) return code;

  code = gsq_server_enter(server, &server->session_gate, deadline_ms, error);
  if (code == GSQ_OK) {
    code = server->probed ? GSQ_OK : gsq_session_start(server, deadline_ms, error);
    gsq_gate_leave(&server->session_gate);
  }
  if (code != GSQ_OK) {
    gsq_server_release(server);
    return code;
  }
  *out = server;
  return GSQ_OK;
}

static void add(gsq_totals *totals, gsq_server *server) {
  gsq_channel_stats channel;
  gsq_channel_stats_get(server->channel, &channel);
  totals->rpcs += channel.calls;
  totals->retries += channel.retries;
  totals->connects += channel.connects;
  totals->bytes_sent += channel.bytes_sent;
  totals->bytes_received += channel.bytes_received;
  totals->commits += atomic_load(&server->commits);
  totals->pages_committed += atomic_load(&server->pages_committed);
  totals->pages_staged += atomic_load(&server->pages_staged);
  totals->watch_events += atomic_load(&server->watch_events);
  totals->unasked += atomic_load(&server->unasked);
  totals->yields += atomic_load(&server->yields);
  totals->delegated += atomic_load(&server->delegated);
}

void gsq_servers_totals(gsq_totals *out) {
  pthread_mutex_lock(&registry_mutex);
  *out = closed;
  for (gsq_server *server = servers; server; server = server->next) {
    out->servers++;
    add(out, server);
  }
  pthread_mutex_unlock(&registry_mutex);
}

void gsq_server_release(gsq_server *server) {
  if (server->generation != gsq_fork_generation()) return; /* the parent's: left as it is */
  pthread_mutex_lock(&registry_mutex);
  int last = --server->references == 0;
  if (last) {
    gsq_server **link = &servers;
    while (*link != server) link = &(*link)->next;
    *link = server->next;
    add(&closed, server);
  }
  pthread_mutex_unlock(&registry_mutex);
  if (!last) return;
  gsq_session_stop(server);
  free_server(server);
}

int gsq_server_accepts_lz4(gsq_server *server) {
  if (!server->info.lz4 || server->compression == 'o') return 0;
  if (server->compression == 'l') return 1;
  const int64_t bandwidth = gsq_channel_bandwidth(server->channel);
  int slow = atomic_load_explicit(&server->slow, memory_order_relaxed);
  if (bandwidth == 0 || bandwidth > FAST_BYTES_PER_S) slow = 0;
  if (bandwidth > 0 && bandwidth < SLOW_BYTES_PER_S) slow = 1;
  atomic_store_explicit(&server->slow, slow, memory_order_relaxed);
  return slow;
}

int gsq_server_enter(gsq_server *server, gsq_gate *gate, int64_t deadline_ms,
                     gsq_error *error) {
  if (gsq_gate_enter(gate, deadline_ms)) return GSQ_OK;
  return gsq_error_set(error, GSQ_DEADLINE_EXCEEDED,
                       "%s did not answer what another connection began within the time",
                       server->url);
}

void gsq_server_leave_open(gsq_server *server) {
  gsq_gate_leave(&server->open_gate);
  if (atomic_load(&server->closed_late)) gsq_server_wake(server);
}

static uint64_t heard_bytes(gsq_server *server) {
  gsq_channel_stats own, background;
  gsq_channel_stats_get(server->channel, &own);
  gsq_channel_stats_get(server->background, &background);
  return own.bytes_received + background.bytes_received;
}

void gsq_server_did_not_answer(gsq_server *server) {
  atomic_store(&server->unanswered_at, heard_bytes(server) + 1);
}

int gsq_server_is_heard(gsq_server *server) {
  return atomic_load(&server->unanswered_at) != heard_bytes(server) + 1;
}

void gsq_server_wake(gsq_server *server) {
  const uint64_t one = 1;
  while (write(server->wake_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

void gsq_server_need_watch(gsq_server *server) {
  if (!server->info.watch || atomic_exchange(&server->watch_needed, 1)) return;
  gsq_server_wake(server);
}

void gsq_servers_before_fork(void) {
  pthread_mutex_lock(&registry_mutex);
}

void gsq_servers_after_fork(int in_child) {
  if (in_child) {
    /* The objects stay allocated: their locks may be held by threads that are no more. */
    for (gsq_server *server = servers; server; server = server->next) {
      gsq_channel_abandon_after_fork(server->channel);
      gsq_channel_abandon_after_fork(server->background);
      close(server->wake_fd);
    }
    servers = NULL;
  }
  pthread_mutex_unlock(&registry_mutex);
}
