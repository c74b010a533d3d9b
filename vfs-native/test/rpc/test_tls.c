/* TLS: who is believed, and who is not. The certificates are made by the openssl command. */
#include <openssl/ssl.h>
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

static char folder[] = "/tmp/gsq-tls-XXXXXX";

static const char *in_folder(const char *name) {
  static char paths[8][96];
  static int next;
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
  char server_name[64]; /* what the client asked for */
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
  int fd;
} behind;

static void *serve_behind(void *arg) {
  static const h2_answer echo = {.echo = 1};
  behind *it = arg;
  h2_serve(it->self, it->fd, &echo, 1);
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

static void tls_script(peer *self, int fd, int index) {
  (void)index;
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
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  }
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (SSL_accept(ssl) == 1) {
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(how->server_name, sizeof how->server_name, "%s", asked ? asked : "");
    int pair[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
      behind it = {self, pair[1]};
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
  /* The server's alert says so, or gets lost with the connection, which it resets. */
  int code = once(&mutual, tls_script, "localhost", "ca.pem", NULL, 2000, &error);
  CHECK(code == GSQ_BAD_ANSWER || code == GSQ_UNAVAILABLE || code == GSQ_DEADLINE_EXCEEDED);
  if (code == GSQ_BAD_ANSWER) CHECK_HAS("cert_file", error.message);

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
