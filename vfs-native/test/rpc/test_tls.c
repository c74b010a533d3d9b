/* TLS: who is believed, and who is not. The certificates are made by the openssl command. */
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "rpc/channel.h"
#include "rpc/peer.h"

/* ThreadSanitizer asks for this. OpenSSL is not built with it, so that it does not see how threads wait
** for each other within. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
  return "race:libcrypto.so\nrace:libssl.so\n";
}

static char folder[] = "/tmp/gsq-tls-XXXXXX";

static const char *in_folder(const char *name) {
  static _Thread_local char paths[8][96];
  static _Thread_local int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static int make_certificates(void) {
  static const char script[] =
      "set -e; cd \"$0\"\n"
      "key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
      "openssl req -x509 $key -keyout ca.key -out ca.pem -subj /CN=ca -days 2\n"
      "make() {\n"
      "  openssl req $key -keyout $1.key -out $1.csr -subj /CN=$1\n"
      "  echo \"subjectAltName=$2\" > $1.ext\n"
      "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\\n"
      "    -extfile $1.ext -out $1.pem\n"
      "}\n"
      "make good DNS:localhost,IP:127.0.0.1\n"
      "make other DNS:other.example\n"
      "make client DNS:client\n"
      "make renewed DNS:renewed\n"
      "cat client.key >> client.pem; cat renewed.key >> renewed.pem\n"
      "openssl req -x509 $key -keyout self.key -out self.pem -subj /CN=localhost -days 2 \\\n"
      "  -addext subjectAltName=DNS:localhost,IP:127.0.0.1\n";
  pid_t child = fork();
  if (child == 0) {
    if (!freopen(in_folder("log"), "w", stderr)) _exit(1);
    execlp("sh", "sh", "-c", script, folder, (char *)NULL);
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

typedef struct tls_server {
  const char *certificate;
  int no_alpn, wants_client;
  int version; /* the highest; 0: any */
  int loses_a_record;
  int (*judge)(int good, X509_STORE_CTX *chain);
  const h2_script *scripts; /* as h2_scripts'; NULL: echoes */
  int script_count;
  char server_name[64]; /* what the client asked for */
  char client_name[64]; /* in its certificate */
} tls_server;

static int choose_h2(SSL *ssl, const uint8_t **out, uint8_t *size, const uint8_t *offered,
                     unsigned offered_size, void *arg) {
  (void)ssl;
  const tls_server *how = arg;
  if (how->no_alpn || offered_size < 3 || memcmp(offered, "\2h2", 3) != 0) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = offered + 1;
  *size = 2;
  return SSL_TLSEXT_ERR_OK;
}

typedef struct behind {
  peer *self;
  int fd, index;
} behind;

static void *serve_behind(void *arg) {
  static const h2_answer echo = {.echo = 1};
  static const h2_script echoes = {&echo, 1};
  behind *it = arg;
  const tls_server *how = it->self->arg;
  const int last = how->script_count - 1;
  const h2_script *script =
      how->scripts ? &how->scripts[it->index < last ? it->index : last] : &echoes;
  h2_serve(it->self, it->fd, script->answers, script->count);
  shutdown(it->fd, SHUT_RDWR);
  return NULL;
}

static void relay(SSL *ssl, int fd, int inner) {
  static const size_t room = 16384;
  uint8_t bytes[16384];
  for (;;) {
    struct pollfd fds[2] = {{fd, POLLIN, 0}, {inner, POLLIN, 0}};
    if (!SSL_pending(ssl) && poll(fds, 2, -1) < 0) return;
    if (SSL_pending(ssl) || fds[0].revents) {
      int got = SSL_read(ssl, bytes, (int)room);
      if (got <= 0) return;
      peer_write(inner, bytes, (size_t)got);
    }
    if (fds[1].revents) {
      ssize_t got = recv(inner, bytes, room, 0);
      if (got <= 0 || SSL_write(ssl, bytes, (int)got) != got) return;
    }
  }
}

/* What comes then cannot be decrypted. */
static void lose_a_record(int fd) {
  uint8_t header[5], bytes[65536];
  if (recv(fd, header, sizeof header, MSG_WAITALL) != sizeof header) return;
  recv(fd, bytes, (size_t)header[3] << 8 | header[4], MSG_WAITALL);
}

static void note_client(tls_server *how, SSL *ssl) {
  X509 *certificate = SSL_get_peer_certificate(ssl);
  how->client_name[0] = 0;
  if (!certificate) return;
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                            how->client_name, sizeof how->client_name);
  X509_free(certificate);
}

static void tls_script(peer *self, int fd, int index) {
  tls_server *how = self->arg;
  char name[64];
  /* OpenSSL's server side writes with write(); the client's threads take care of themselves. */
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  snprintf(name, sizeof name, "%s.pem", how->certificate);
  SSL_CTX_use_certificate_chain_file(context, in_folder(name));
  snprintf(name, sizeof name, "%s.key", how->certificate);
  SSL_CTX_use_PrivateKey_file(context, in_folder(name), SSL_FILETYPE_PEM);
  SSL_CTX_set_alpn_select_cb(context, choose_h2, how);
  if (how->wants_client) {
    SSL_CTX_load_verify_locations(context, in_folder("ca.pem"), NULL);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, how->judge);
  }
  if (how->version) SSL_CTX_set_max_proto_version(context, how->version);
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (SSL_accept(ssl) == 1) {
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    pthread_mutex_lock(&self->mutex);
    snprintf(how->server_name, sizeof how->server_name, "%s", asked ? asked : "");
    note_client(how, ssl);
    pthread_mutex_unlock(&self->mutex);
    if (how->loses_a_record) lose_a_record(fd);
    int pair[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
      behind it = {self, pair[1], index};
      pthread_create(&thread, NULL, serve_behind, &it);
      relay(ssl, fd, pair[0]);
      shutdown(pair[0], SHUT_RDWR);
      pthread_join(thread, NULL);
      close(pair[0]);
      close(pair[1]);
    }
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
}

static int count_bytes(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)error;
  size_t sum = 0;
  for (size_t i = 0; i < size; i++) sum += data[i];
  *(size_t *)arg = size + sum;
  return 0;
}

/* Calls on a channel of its own. `size` bytes of value 1 come back: *got is 2 * size. */
static int call(const char *url, const char *ca, const char *cert, const char *key, size_t size,
                int timeout_ms, size_t *got, gsq_error *error) {
  gsq_channel_options options = {.url = url,
                                 .ca_file = ca,
                                 .cert_file = cert,
                                 .key_file = key,
                                 .connect_timeout_ms = 2000,
                                 .max_message_bytes = 4 << 20};
  gsq_channel *channel;
  int code = gsq_channel_new(&options, &channel, error);
  if (code != GSQ_OK) return code;
  struct iovec iov = {malloc(size), size};
  memset(iov.iov_base, 1, size);
  gsq_call one = {.method = "/test.Service/Method",
                  .request = &iov,
                  .request_count = 1,
                  .deadline_ms = gsq_now_ms() + timeout_ms,
                  .on_message = count_bytes,
                  .arg = got};
  *got = 0;
  code = gsq_channel_call(channel, &one, error);
  gsq_channel_free(channel);
  free(iov.iov_base);
  return code;
}

/* One call to one server; `host` is what the URL says. */
static int once(tls_server *how, peer_script script, const char *host, const char *ca,
                const char *client, int timeout_ms, gsq_error *error) {
  peer server;
  char url[64], cert[64], key[64];
  size_t got;
  peer_start(&server, script, how, NULL);
  snprintf(url, sizeof url, "https://%s:%d", host, server.port);
  snprintf(cert, sizeof cert, "%s.pem", client ? client : "");
  snprintf(key, sizeof key, "%s.key", client ? client : "");
  int code = call(url, ca ? in_folder(ca) : NULL, client ? in_folder(cert) : NULL,
                  client ? in_folder(key) : NULL, 1000000, timeout_ms, &got, error);
  if (code == GSQ_OK) CHECK_INT(2000000, got);
  peer_stop(&server);
  return code;
}

/* Puts a copy of a file, or of its first bytes, in the place of another one. */
static void put(const char *name, const char *source, size_t most) {
  char bytes[8192];
  FILE *from = fopen(in_folder(source), "r");
  FILE *to = fopen(in_folder("new"), "w");
  if (!CHECK(from && to)) exit(1);
  size_t size = fread(bytes, 1, sizeof bytes, from);
  CHECK(size > 0 && size < sizeof bytes);
  fwrite(bytes, 1, size < most ? size : most, to);
  fclose(from);
  fclose(to);
  CHECK_INT(0, rename(in_folder("new"), in_folder(name)));
}

/* A client whose files are own.pem, own.key and own-ca.pem. */
static gsq_channel *own_channel(const peer *server, int with_key) {
  char url[64], ca[96], cert[96], key[96];
  gsq_error error;
  snprintf(url, sizeof url, "https://localhost:%d", server->port);
  snprintf(ca, sizeof ca, "%s", in_folder("own-ca.pem"));
  snprintf(cert, sizeof cert, "%s", in_folder("own.pem"));
  snprintf(key, sizeof key, "%s", in_folder("own.key"));
  gsq_channel_options options = {.url = url,
                                 .ca_file = ca,
                                 .cert_file = cert,
                                 .key_file = with_key ? key : NULL,
                                 .connect_timeout_ms = 5000,
                                 .max_message_bytes = 4 << 20};
  gsq_channel *channel = NULL;
  put("own-ca.pem", "ca.pem", SIZE_MAX);
  put("own.pem", "client.pem", SIZE_MAX);
  put("own.key", "client.key", SIZE_MAX);
  if (!CHECK_INT(GSQ_OK, gsq_channel_new(&options, &channel, &error))) exit(1);
  return channel;
}

static int echo(gsq_channel *channel, int flags, gsq_message_fn on_message, void *arg,
                gsq_error *error) {
  static uint8_t bytes[100000];
  struct iovec iov = {bytes, sizeof bytes};
  gsq_call one = {.method = "/test.Service/Method",
                  .request = &iov,
                  .request_count = 1,
                  .deadline_ms = gsq_now_ms() + 20000,
                  .flags = flags,
                  .on_message = on_message,
                  .arg = arg};
  return gsq_channel_call(channel, &one, error);
}

static const h2_answer echo_and_close[] = {{.echo = 1, .close_after = 1}};
static const h2_script closing[] = {{echo_and_close, 1}};

static void renewed_files(void) {
  peer server;
  gsq_error error;
  tls_server how = {
      .certificate = "good", .wants_client = 1, .scripts = closing, .script_count = 1};
  peer_start(&server, tls_script, &how, NULL);
  gsq_channel *channel = own_channel(&server, 1);
#define SEEN_AS(name)                                        \
  do {                                                       \
    CHECK_INT(GSQ_OK, echo(channel, 0, NULL, NULL, &error)); \
    CHECK_STR(name, how.client_name);                        \
  } while (0)
  CASE("a renewed certificate is that of the next connection, once its key is there too");
  SEEN_AS("client");
  put("own.pem", "renewed.pem", SIZE_MAX);
  SEEN_AS("client");
  put("own.key", "renewed.key", SIZE_MAX);
  SEEN_AS("renewed");

  CASE("files that are half written or gone: the connection is made with those before");
  put("own.pem", "client.pem", 100);
  SEEN_AS("renewed");
  put("own.key", "client.key", SIZE_MAX);
  SEEN_AS("renewed");
  CHECK_INT(0, unlink(in_folder("own.pem")));
  SEEN_AS("renewed");
  put("own.pem", "client.pem", SIZE_MAX);
  SEEN_AS("client");
#undef SEEN_AS

  CASE("a renewed CA file");
  how.certificate = "self";
  CHECK_INT(GSQ_BAD_ANSWER, echo(channel, 0, NULL, NULL, &error));
  put("own-ca.pem", "ca.pem", 100);
  CHECK_INT(GSQ_BAD_ANSWER, echo(channel, 0, NULL, NULL, &error));
  put("own-ca.pem", "self.pem", SIZE_MAX);
  CHECK_INT(GSQ_OK, echo(channel, 0, NULL, NULL, &error));
  gsq_channel_free(channel);
  peer_stop(&server);
}

/* A call within a call: two connections, which are both idle then. */
static int call_meanwhile(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)data, (void)size, (void)error;
  gsq_error other;
  CHECK_INT(GSQ_OK, echo(arg, 0, NULL, NULL, &other));
  return 0;
}

static void renewed_beside_idle_connections(int flags) {
  fprintf(
      stderr,
      "- a call that is refused for the certificate is made again with the renewed one, and no "
      "older connection is used; flags %d\n",
      flags);
  static const h2_answer expiring[] = {{.echo = 1}, {.trailers_only = 1, .grpc_status = "16"}};
  static const h2_answer good[] = {{.echo = 1}};
  static const h2_script scripts[] = {{expiring, 2}, {expiring, 2}, {good, 1}};
  peer server;
  gsq_error error;
  tls_server how = {
      .certificate = "good", .wants_client = 1, .scripts = scripts, .script_count = 3};
  peer_start(&server, tls_script, &how, NULL);
  gsq_channel *channel = own_channel(&server, 1);
  CHECK_INT(GSQ_OK, echo(channel, 0, call_meanwhile, channel, &error));
  CHECK_INT(2, atomic_load(&server.connections));
  CHECK_INT(GSQ_UNAUTHENTICATED, echo(channel, flags, NULL, NULL, &error));
  CHECK_INT(0, error.sent_before);
  CHECK_INT(3, atomic_load(&server.requests));
  put("own.key", "renewed.key", SIZE_MAX);
  CHECK_INT(GSQ_UNAUTHENTICATED, echo(channel, flags, NULL, NULL, &error));
  CHECK_INT(4, atomic_load(&server.requests));
  CHECK_INT(2, atomic_load(&server.connections));
  put("own.pem", "renewed.pem", SIZE_MAX);
  if (flags & GSQ_CALL_NO_RETRY) {
    CHECK_INT(GSQ_UNAUTHENTICATED, echo(channel, flags, NULL, NULL, &error));
    CHECK_INT(2, atomic_load(&server.connections));
  }
  CHECK_INT(GSQ_OK, echo(channel, flags, NULL, NULL, &error));
  CHECK_INT(0, error.sent_before);
  CHECK_STR("renewed", how.client_name);
  CHECK_INT(3, atomic_load(&server.connections));
  CHECK_INT(6, atomic_load(&server.requests));
  gsq_channel_free(channel);
  peer_stop(&server);
}

static void *call_often(void *channel) {
  gsq_error error;
  for (int i = 0; i < 12; i++) CHECK_INT(GSQ_OK, echo(channel, 0, NULL, NULL, &error));
  return NULL;
}

static void renewed_beside_threads(void) {
  CASE("files that change as threads connect: cert_file has the key");
  peer server;
  pthread_t threads[3];
  tls_server how = {
      .certificate = "good", .wants_client = 1, .scripts = closing, .script_count = 1};
  peer_start(&server, tls_script, &how, NULL);
  gsq_channel *channel = own_channel(&server, 0);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, call_often, channel);
  for (int i = 0; i < 300; i++) {
    put("own.pem", i % 3 == 0 ? "renewed.pem" : "client.pem", i % 3 == 1 ? 300 : SIZE_MAX);
    usleep(500);
  }
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  gsq_channel_free(channel);
  peer_stop(&server);
}

/* What becomes an internal_error, as BoringSSL says for many things. */
static int fail_to_judge(int good, X509_STORE_CTX *chain) {
  (void)good;
  X509_STORE_CTX_set_error(chain, X509_V_ERR_OUT_OF_MEM);
  return 0;
}

static void refused_certificates(void) {
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  gsq_error error;
  for (int i = 0; i < 2; i++) {
    fprintf(stderr, "- no client certificate, or one that is not accepted, with TLS 1.%d\n",
            i + 2);
    tls_server how = {.certificate = "good", .wants_client = 1, .version = versions[i]};
    const int64_t start = gsq_now_ms();
    CHECK_INT(GSQ_UNAUTHENTICATED,
              once(&how, tls_script, "localhost", "ca.pem", NULL, 20000, &error));
    CHECK_HAS("wants a client certificate", error.message);
    CHECK_HAS("GRPSQLITE_CERT_FILE, GRPSQLITE_KEY_FILE", error.message);
    CHECK_INT(0, error.sent_before);
    CHECK_INT(GSQ_UNAUTHENTICATED,
              once(&how, tls_script, "localhost", "ca.pem", "self", 20000, &error));
    CHECK_HAS("does not accept this client's certificate: unknown CA", error.message);
    CHECK_INT(0, error.sent_before);
    how.judge = fail_to_judge;
    CHECK_INT(GSQ_UNAUTHENTICATED,
              once(&how, tls_script, "localhost", "ca.pem", "client", 20000, &error));
    CHECK_HAS("does not accept this client's certificate: internal error", error.message);
    CHECK_INT(0, error.sent_before);
    CHECK(gsq_now_ms() - start < 15000);
  }
  CASE("another alert has its name, and the call can be tried again");
  peer server;
  tls_server how = {.certificate = "good", .wants_client = 1, .loses_a_record = 1};
  peer_start(&server, tls_script, &how, NULL);
  gsq_channel *channel = own_channel(&server, 1);
  CHECK_INT(GSQ_UNAVAILABLE, echo(channel, GSQ_CALL_NO_RETRY, NULL, NULL, &error));
  CHECK_HAS("TLS alert 20: bad record mac", error.message);
  gsq_channel_free(channel);
  peer_stop(&server);
}

static void plain_http2(peer *self, int fd, int index) {
  static const h2_answer ok = {0};
  (void)index;
  h2_serve(self, fd, &ok, 1);
}

static void black_hole(peer *self, int fd, int index) {
  (void)self, (void)index;
  peer_drain(fd);
}

static void closes(peer *self, int fd, int index) {
  (void)self, (void)index;
  peer_read_some(fd, 100);
}

int main(void) {
  gsq_error error;
  size_t got;
  if (!CHECK(mkdtemp(folder) != NULL) || !CHECK(make_certificates())) return check_done();
  tls_server good = {.certificate = "good"};

  CASE("a certificate of the CA, by address and by name");
  CHECK_INT(GSQ_OK, once(&good, tls_script, "127.0.0.1", "ca.pem", NULL, 10000, &error));
  CHECK_STR("", good.server_name);
  CHECK_INT(GSQ_OK, once(&good, tls_script, "localhost", "ca.pem", NULL, 10000, &error));
  CHECK_STR("localhost", good.server_name);

  CASE("a CA that nobody knows");
  CHECK_INT(GSQ_BAD_ANSWER, once(&good, tls_script, "127.0.0.1", NULL, NULL, 10000, &error));
  CHECK_HAS("certificate", error.message);
  CHECK_HAS("ca_file", error.message);

  CASE("a certificate for another host");
  tls_server other = {.certificate = "other"};
  CHECK_INT(GSQ_BAD_ANSWER,
            once(&other, tls_script, "localhost", "ca.pem", NULL, 10000, &error));
  CHECK_HAS("ostname mismatch", error.message);
  CHECK_INT(GSQ_BAD_ANSWER,
            once(&other, tls_script, "127.0.0.1", "ca.pem", NULL, 10000, &error));
  CHECK_HAS("IP address mismatch", error.message);

  CASE("a self-signed certificate");
  tls_server self_signed = {.certificate = "self"};
  CHECK_INT(GSQ_BAD_ANSWER,
            once(&self_signed, tls_script, "localhost", "ca.pem", NULL, 10000, &error));
  CHECK_HAS("self", error.message);

  CASE("TLS without HTTP/2");
  tls_server no_alpn = {.certificate = "good", .no_alpn = 1};
  CHECK_INT(GSQ_BAD_ANSWER,
            once(&no_alpn, tls_script, "localhost", "ca.pem", NULL, 10000, &error));
  CHECK_HAS("ALPN", error.message);

  CASE("HTTP/2 without TLS");
  CHECK_INT(GSQ_BAD_ANSWER,
            once(NULL, plain_http2, "localhost", "ca.pem", NULL, 10000, &error));
  CHECK_HAS("http://", error.message);

  CASE("servers that hang or close in the handshake");
  int64_t start = gsq_now_ms();
  CHECK_INT(GSQ_UNAVAILABLE, once(NULL, black_hole, "localhost", "ca.pem", NULL, 300, &error));
  CHECK_HAS("handshake", error.message);
  CHECK_INT(GSQ_UNAVAILABLE, once(NULL, closes, "localhost", "ca.pem", NULL, 100, &error));
  CHECK_HAS("handshake", error.message);
  CHECK_INT(0, error.sent_before);
  CHECK(gsq_now_ms() - start < 5000);

  CASE("several servers: each has to prove that it is the one at its own address");
  peer a, b;
  char urls[160];
  peer_start(&a, tls_script, &other, NULL);
  peer_start(&b, tls_script, &good, NULL);
  snprintf(urls, sizeof urls, "https://127.0.0.1:%d,https://localhost:%d", a.port, b.port);
  good.server_name[0] = 0;
  CHECK_INT(GSQ_OK, call(urls, in_folder("ca.pem"), NULL, NULL, 10, 20000, &got, &error));
  CHECK_STR("localhost", good.server_name);
  CHECK_INT(0, atomic_load(&a.requests));
  snprintf(urls, sizeof urls, "https://localhost:%d,https://127.0.0.1:%d", a.port, a.port);
  CHECK_INT(GSQ_BAD_ANSWER,
            call(urls, in_folder("ca.pem"), NULL, NULL, 10, 20000, &got, &error));
  CHECK_HAS("none of 2 servers answers: ", error.message);
  CHECK_HAS("ostname mismatch", error.message);
  CHECK_HAS("IP address mismatch", error.message);
  peer_stop(&a);
  snprintf(urls, sizeof urls, "https://localhost:%d,https://127.0.0.1:%d", a.port, b.port);
  CHECK_INT(GSQ_OK, call(urls, in_folder("ca.pem"), NULL, NULL, 10, 20000, &got, &error));
  CHECK_STR("", good.server_name);
  peer_stop(&b);

  CASE("client certificates");
  tls_server mutual = {.certificate = "good", .wants_client = 1};
  CHECK_INT(GSQ_OK, once(&mutual, tls_script, "localhost", "ca.pem", "client", 10000, &error));
  CHECK_STR("client", mutual.client_name);
  refused_certificates();
  renewed_files();
  renewed_beside_idle_connections(0);
  renewed_beside_idle_connections(GSQ_CALL_ONCE);
  renewed_beside_idle_connections(GSQ_CALL_NO_RETRY);
  renewed_beside_threads();

  CASE("files that cannot be used");
  CHECK_INT(GSQ_BAD_URL, call("https://localhost:1", in_folder("none.pem"), NULL, NULL, 1, 1000,
                              &got, &error));
  CHECK_HAS("none.pem", error.message);
  CHECK_INT(GSQ_BAD_URL, call("https://localhost:1", NULL, in_folder("client.pem"),
                              in_folder("other.key"), 1, 1000, &got, &error));
  CHECK_HAS("other.key", error.message);

  if (fork() == 0) execlp("rm", "rm", "-rf", folder, (char *)NULL);
  wait(NULL);
  return check_done();
}
