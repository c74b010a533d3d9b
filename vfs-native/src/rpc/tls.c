/*
** The files may be replaced while connections are made with them: each new connection looks whether
** they have changed, and reads them again. What cannot be used, since half of it is written or the key
** is not the certificate's yet, changes nothing: the next connection looks again.
**
** Locks: a gsq_tls's mutex is held for a few instructions, never while files are read. Threads that see
** a change at one time each read it, and one of them has its way.
*/
#include "rpc/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "rpc/io.h"

/* Small writes (frame headers, page headers) share TLS records of this size. */
#define RECORD_BYTES 16384

/* OpenSSL's functions that are used, all of 1.1.0 and later. */
#define OPENSSL_FUNCTIONS(X)                                                                   \
  X(TLS_client_method)                                                                         \
  X(SSL_CTX_new)                                                                               \
  X(SSL_CTX_free)                                                                              \
  X(SSL_CTX_ctrl)                                                                              \
  X(SSL_CTX_set_alpn_protos) X(SSL_CTX_set_default_verify_paths)                               \
      X(SSL_CTX_load_verify_locations) X(SSL_CTX_use_certificate_chain_file)                   \
          X(SSL_CTX_use_PrivateKey_file) X(SSL_CTX_check_private_key) X(SSL_CTX_set_verify) X( \
              SSL_CTX_set_default_passwd_cb) X(SSL_new) X(SSL_free) X(SSL_ctrl) X(SSL_set_bio) \
              X(SSL_set_connect_state) X(SSL_do_handshake) X(SSL_get_error) X(SSL_read)        \
                  X(SSL_write) X(SSL_pending) X(SSL_shutdown) X(SSL_get0_alpn_selected) X(     \
                      SSL_get_verify_result) X(SSL_get0_param) X(X509_VERIFY_PARAM_set1_host)  \
                      X(X509_VERIFY_PARAM_set1_ip_asc) X(X509_VERIFY_PARAM_set_hostflags)      \
                          X(X509_verify_cert_error_string) X(ERR_clear_error) X(ERR_get_error) \
                              X(ERR_reason_error_string) X(BIO_meth_new) X(BIO_meth_set_read)  \
                                  X(BIO_meth_set_write) X(BIO_meth_set_ctrl)                   \
                                      X(BIO_get_new_index) X(BIO_new) X(BIO_set_data)          \
                                          X(BIO_get_data) X(BIO_set_init) X(BIO_set_flags)     \
                                              X(BIO_clear_flags) X(SSL_set_cert_cb)            \
                                                  X(SSL_get_certificate) X(X509_get0_notAfter) \
                                                      X(X509_cmp_current_time)                 \
                                                          X(SSL_CTX_up_ref) X(ERR_peek_error)  \
                                                              X(SSL_alert_desc_string_long)

static struct {
#define DECLARE(name) __typeof__(&name) name;
  OPENSSL_FUNCTIONS(DECLARE)
#undef DECLARE
  BIO_METHOD *socket_method;
  char problem[200]; /* "" if all is well */
} ssl;

/* What tells one state of a file from another. All zero: it is not there. */
typedef struct file_state {
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec modified, changed;
} file_state;

enum { CA_FILE, CERT_FILE, KEY_FILE, FILES };

struct gsq_tls {
  char *files[FILES]; /* NULL: none */
  pthread_mutex_t mutex;
  SSL_CTX *context;            /* protected by mutex */
  file_state states[FILES];    /* the files that it was made of; protected by mutex */
  atomic_uint_fast64_t serial; /* of the context; changed under mutex */
};

struct gsq_tls_stream {
  const gsq_tls *tls;
  uint64_t serial; /* of the context that it was made with */
  SSL *ssl;
  int fd;
  int asked;       /* the server asked for our certificate, … */
  int own_given;   /* … and we have one, … */
  int own_expired; /* … which has expired */
  int heard;       /* something came that the server sent after its handshake */
  int alert;       /* with which the server ended the connection; 0: none */
  char record[RECORD_BYTES];
};

/* OpenSSL's own socket BIO writes with write(), which can raise SIGPIPE in the host program. */

static int bio_fd(BIO *bio) {
  return ((gsq_tls_stream *)ssl.BIO_get_data(bio))->fd;
}

static int bio_result(BIO *bio, ssize_t result, int retry_flag) {
  ssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    ssl.BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
  }
  return (int)result;
}

static int bio_read(BIO *bio, char *to, int size) {
  return bio_result(bio, recv(bio_fd(bio), to, (size_t)size, 0), BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *from, int size) {
  return bio_result(bio, send(bio_fd(bio), from, (size_t)size, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static void load_openssl(void) {
  static const char *const names[] = {"libssl.so.3", "libssl.so.1.1", "libssl.so"};
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++) {
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  }
  if (!library) {
    strcpy(ssl.problem, "libssl.so.3 is not installed (on Debian and Ubuntu: package libssl3)");
    return;
  }
#define LOAD(name)                                                     \
  *(void **)&ssl.name = dlsym(library, #name);                         \
  if (!ssl.name) {                                                     \
    strcpy(ssl.problem, "the libssl that is installed has no " #name); \
    return;                                                            \
  }
  OPENSSL_FUNCTIONS(LOAD)
#undef LOAD
  int type = ssl.BIO_get_new_index();
  ssl.socket_method = ssl.BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "grpsqlite socket");
  if (!ssl.socket_method || !ssl.BIO_meth_set_read(ssl.socket_method, bio_read) ||
      !ssl.BIO_meth_set_write(ssl.socket_method, bio_write) ||
      !ssl.BIO_meth_set_ctrl(ssl.socket_method, bio_ctrl)) {
    strcpy(ssl.problem, "libssl ran out of memory");
  }
}

/* The oldest entry of the thread's error queue, which is emptied: it may be the host's too. */
static const char *openssl_problem(void) {
  unsigned long code = ssl.ERR_get_error();
  const char *text = code ? ssl.ERR_reason_error_string(code) : NULL;
  ssl.ERR_clear_error();
  return text ? text : "no further reason";
}

/* An encrypted key must not make the host program ask for a password on its terminal. */
static int no_password(char *to, int size, int for_writing, void *arg) {
  (void)to, (void)size, (void)for_writing, (void)arg;
  return -1;
}

static int make_context(char *const *files, SSL_CTX **out, gsq_error *error) {
  const char *ca_file = files[CA_FILE], *cert_file = files[CERT_FILE];
  const char *key_file = files[KEY_FILE] ? files[KEY_FILE] : cert_file;
  ssl.ERR_clear_error();
  static const uint8_t h2[] = {2, 'h', '2'};
  SSL_CTX *context = ssl.SSL_CTX_new(ssl.TLS_client_method());
  if (!context ||
      !ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) ||
      ssl.SSL_CTX_set_alpn_protos(context, h2, sizeof h2) != 0) {
    gsq_error_set(error, GSQ_NOMEM, "OpenSSL cannot be set up (%s)", openssl_problem());
    goto fail;
  }
  ssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, NULL);
  ssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  ssl.SSL_CTX_set_default_passwd_cb(context, no_password);
  if (ca_file ? !ssl.SSL_CTX_load_verify_locations(context, ca_file, NULL)
              : !ssl.SSL_CTX_set_default_verify_paths(context)) {
    gsq_error_set(error, GSQ_BAD_URL, "the CA file %s cannot be used (%s)",
                  ca_file ? ca_file : "of the system", openssl_problem());
    goto fail;
  }
  if (cert_file) {
    if (ssl.SSL_CTX_use_certificate_chain_file(context, cert_file) != 1) {
      gsq_error_set(error, GSQ_BAD_URL, "the client certificate %s cannot be used (%s)",
                    cert_file, openssl_problem());
      goto fail;
    }
    if (ssl.SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
        ssl.SSL_CTX_check_private_key(context) != 1) {
      gsq_error_set(error, GSQ_BAD_URL, "the client's private key %s cannot be used (%s)",
                    key_file, openssl_problem());
      goto fail;
    }
  }
  ssl.ERR_clear_error();
  *out = context;
  return GSQ_OK;

fail:
  ssl.ERR_clear_error();
  if (context) ssl.SSL_CTX_free(context);
  return error->code;
}

static void look_at(char *const *files, file_state *states) {
  memset(states, 0, FILES * sizeof *states);
  for (int i = 0; i < FILES; i++) {
    struct stat now;
    if (!files[i] || stat(files[i], &now) != 0) continue;
    states[i].device = now.st_dev;
    states[i].inode = now.st_ino;
    states[i].size = now.st_size;
    states[i].modified = now.st_mtim;
    states[i].changed = now.st_ctim;
  }
}

static int same_files(const file_state *a, const file_state *b) {
  return memcmp(a, b, FILES * sizeof *a) == 0;
}

int gsq_tls_new(const char *ca_file, const char *cert_file, const char *key_file, gsq_tls **out,
                gsq_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load_openssl);
  if (ssl.problem[0]) {
    return gsq_error_set(error, GSQ_BAD_URL, "https needs OpenSSL, but %s", ssl.problem);
  }
  const char *const files[FILES] = {ca_file, cert_file, cert_file ? key_file : NULL};
  gsq_tls *tls = calloc(1, sizeof *tls);
  if (!tls) return gsq_error_nomem(error);
  pthread_mutex_init(&tls->mutex, NULL);
  for (int i = 0; i < FILES; i++) {
    if (files[i] && !(tls->files[i] = strdup(files[i]))) {
      gsq_error_nomem(error);
      goto fail;
    }
  }
  look_at(tls->files, tls->states);
  if (make_context(tls->files, &tls->context, error) != GSQ_OK) goto fail;
  *out = tls;
  return GSQ_OK;

fail:
  gsq_tls_free(tls);
  return error->code;
}

void gsq_tls_free(gsq_tls *tls) {
  if (!tls) return;
  if (tls->context) ssl.SSL_CTX_free(tls->context);
  for (int i = 0; i < FILES; i++) free(tls->files[i]);
  pthread_mutex_destroy(&tls->mutex);
  free(tls);
}

int gsq_tls_renew(gsq_tls *tls, gsq_error *error) {
  file_state now[FILES], after[FILES];
  look_at(tls->files, now);
  pthread_mutex_lock(&tls->mutex);
  const uint64_t serial = atomic_load(&tls->serial);
  const int changed = !same_files(now, tls->states);
  pthread_mutex_unlock(&tls->mutex);
  if (!changed) return GSQ_OK;
  SSL_CTX *context;
  int code = make_context(tls->files, &context, error);
  if (code != GSQ_OK) return code;
  look_at(tls->files, after);
  if (!same_files(now, after)) {
    ssl.SSL_CTX_free(context);
    return gsq_error_set(error, GSQ_UNAVAILABLE, "they change as they are read");
  }
  pthread_mutex_lock(&tls->mutex);
  SSL_CTX *needless = context; /* if another thread was faster */
  if (atomic_load(&tls->serial) == serial) {
    needless = tls->context;
    tls->context = context;
    memcpy(tls->states, now, sizeof now);
    atomic_store(&tls->serial, serial + 1);
  }
  pthread_mutex_unlock(&tls->mutex);
  ssl.SSL_CTX_free(needless);
  return GSQ_OK;
}

int gsq_tls_is_newest(const gsq_tls_stream *stream) {
  return stream->serial == atomic_load(&stream->tls->serial);
}

static int set_expected_peer(SSL *handle, const gsq_url *url) {
  X509_VERIFY_PARAM *param = ssl.SSL_get0_param(handle);
  if (url->is_address) {
    return ssl.X509_VERIFY_PARAM_set1_ip_asc(param, url->host);
  }
  ssl.X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return ssl.X509_VERIFY_PARAM_set1_host(param, url->host, 0) &&
         ssl.SSL_ctrl(handle, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                      (void *)(uintptr_t)url->host);
}

/* The server asks for our certificate. It would refuse one that has expired; but with TLS 1.3 only
** after the handshake, and mostly without a word that gets here. */
static int on_certificate_wanted(SSL *handle, void *arg) {
  gsq_tls_stream *stream = arg;
  const X509 *own = ssl.SSL_get_certificate(handle);
  stream->asked = 1;
  stream->own_given = own != NULL;
  stream->own_expired = own && ssl.X509_cmp_current_time(ssl.X509_get0_notAfter(own)) < 0;
  return !stream->own_expired;
}

/* Keeps the alert that the peer sent, if that is what went wrong. */
static void note_alert(gsq_tls_stream *stream) {
  /* OpenSSL 1.1 and 3 have the reason in other bits, but these in common, which are enough. */
  const int reason = (int)(ssl.ERR_peek_error() & 0xfff);
  if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    stream->alert = reason - SSL_AD_REASON_OFFSET;
  }
}

static int is_about_our_certificate(const gsq_tls_stream *stream) {
  if (!stream->asked) return 0;
  switch (stream->alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return 1;
    case SSL_AD_HANDSHAKE_FAILURE: /* with TLS 1.2, also that there is none */
      return !stream->heard;
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_INTERNAL_ERROR:
      /* After it asked for the certificate a server has nothing to do but to look at it. BoringSSL
      ** calls an authority so of which its Java program does not know. */
      return stream->own_given && !stream->heard;
    default:
      return 0;
  }
}

int gsq_tls_alert(const gsq_tls_stream *stream, const gsq_url *url, gsq_error *error) {
  if (!stream->alert) return GSQ_OK;
  const char *name = stream->alert == SSL_AD_CERTIFICATE_REQUIRED
                         ? "certificate required" /* OpenSSL 3 knows the others */
                         : ssl.SSL_alert_desc_string_long(stream->alert);
  if (!is_about_our_certificate(stream)) {
    return gsq_error_set(error, GSQ_UNAVAILABLE, "%s ended the connection (TLS alert %d: %s)",
                         url->text, stream->alert, name);
  }
  if (!stream->own_given) {
    return gsq_error_set(error, GSQ_UNAUTHENTICATED,
                         "%s wants a client certificate; name it with cert_file and key_file "
                         "(GRPSQLITE_CERT_FILE, GRPSQLITE_KEY_FILE)",
                         url->text);
  }
  return gsq_error_set(error, GSQ_UNAUTHENTICATED,
                       "%s does not accept this client's certificate: %s%s", url->text, name,
                       stream->alert == SSL_AD_INTERNAL_ERROR
                           ? ", as some servers call it that they do not know its authority"
                           : "");
}

static int handshake_failed(gsq_tls_stream *stream, const gsq_url *url, int how, int problem,
                            const gsq_error *renewal, gsq_error *error) {
  long verdict = ssl.SSL_get_verify_result(stream->ssl);
  if (how == SSL_ERROR_SSL && stream->own_expired) {
    return gsq_error_set(error, GSQ_UNAUTHENTICATED,
                         "%s asks for a client certificate, and that of cert_file has expired; "
                         "%s%s",
                         url->text, renewal->code ? "what is there now: " : "renew it",
                         renewal->code ? renewal->message : "");
  }
  if (how == SSL_ERROR_SSL && verdict == X509_V_ERR_CERT_HAS_EXPIRED) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the certificate of %s is not accepted (%s); its operator has to "
                         "renew it",
                         url->text, ssl.X509_verify_cert_error_string(verdict));
  }
  if (how == SSL_ERROR_SSL && verdict != X509_V_OK) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the certificate of %s is not accepted (%s); if it is right, name its "
                         "CA with ca_file",
                         url->text, ssl.X509_verify_cert_error_string(verdict));
  }
  if (how == SSL_ERROR_SSL && is_about_our_certificate(stream)) {
    return gsq_tls_alert(stream, url, error);
  }
  if (how == SSL_ERROR_SSL && problem != ECONNRESET) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "%s does not answer with TLS that can be used (%s); is it an http:// "
                         "server?",
                         url->text, openssl_problem());
  }
  return gsq_error_set(error, GSQ_UNAVAILABLE,
                       "%s closed the connection during the TLS handshake; does it speak TLS?",
                       url->text);
}

int gsq_tls_connect(gsq_tls *tls, const gsq_url *url, int fd, int cancel_fd,
                    int64_t deadline_ms, gsq_tls_stream **out, gsq_error *error) {
  gsq_tls_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return gsq_error_nomem(error);
  gsq_error renewal = {0};
  gsq_tls_renew(tls, &renewal);
  pthread_mutex_lock(&tls->mutex);
  SSL_CTX *context = tls->context;
  ssl.SSL_CTX_up_ref(context);
  stream->serial = atomic_load(&tls->serial);
  pthread_mutex_unlock(&tls->mutex);
  ssl.ERR_clear_error();
  stream->tls = tls;
  stream->fd = fd;
  stream->ssl = ssl.SSL_new(context);
  ssl.SSL_CTX_free(context);
  BIO *bio = stream->ssl ? ssl.BIO_new(ssl.socket_method) : NULL;
  if (!bio) {
    gsq_error_nomem(error);
    goto fail;
  }
  ssl.BIO_set_data(bio, stream);
  ssl.BIO_set_init(bio, 1);
  ssl.SSL_set_bio(stream->ssl, bio, bio);
  if (!set_expected_peer(stream->ssl, url)) {
    gsq_error_nomem(error);
    goto fail;
  }
  ssl.SSL_set_cert_cb(stream->ssl, on_certificate_wanted, stream);
  ssl.SSL_set_connect_state(stream->ssl);
  for (;;) {
    ssl.ERR_clear_error();
    errno = 0;
    int result = ssl.SSL_do_handshake(stream->ssl);
    if (result == 1) break;
    int problem = errno;
    int how = ssl.SSL_get_error(stream->ssl, result);
    if (how != SSL_ERROR_WANT_READ && how != SSL_ERROR_WANT_WRITE) {
      note_alert(stream);
      handshake_failed(stream, url, how, problem, &renewal, error);
      goto fail;
    }
    int waited = gsq_io_wait(fd, how == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, cancel_fd, -1,
                             deadline_ms);
    if (waited == GSQ_WAIT_CANCELLED) {
      gsq_error_set(error, GSQ_CANCELLED, "shutting down");
      goto fail;
    }
    if (waited == GSQ_WAIT_TIMEOUT) {
      gsq_error_set(error, GSQ_UNAVAILABLE, "%s does not finish the TLS handshake", url->text);
      goto fail;
    }
  }
  const uint8_t *protocol = NULL;
  unsigned size = 0;
  ssl.SSL_get0_alpn_selected(stream->ssl, &protocol, &size);
  if (size != 2 || memcmp(protocol, "h2", 2) != 0) {
    gsq_error_set(error, GSQ_BAD_ANSWER,
                  "%s speaks TLS, but not HTTP/2 (no ALPN h2); it is no gRPC server",
                  url->text);
    goto fail;
  }
  *out = stream;
  return GSQ_OK;

fail:
  ssl.ERR_clear_error();
  if (stream->ssl) ssl.SSL_free(stream->ssl);
  free(stream);
  return error->code;
}

static int64_t result_of(gsq_tls_stream *stream, int result) {
  int problem = errno;
  int how = ssl.SSL_get_error(stream->ssl, result);
  if (how == SSL_ERROR_SSL) note_alert(stream);
  ssl.ERR_clear_error();
  switch (how) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return GSQ_IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
      return GSQ_IO_END;
    case SSL_ERROR_SYSCALL:
      if (problem == 0) return GSQ_IO_END; /* closed without TLS's good-bye */
      errno = problem;
      return GSQ_IO_LOST;
    default:
      errno = problem ? problem : EPROTO;
      return GSQ_IO_LOST;
  }
}

int64_t gsq_tls_read(gsq_tls_stream *stream, void *to, size_t size) {
  ssl.ERR_clear_error();
  errno = 0;
  int got = ssl.SSL_read(stream->ssl, to, size > 1 << 30 ? 1 << 30 : (int)size);
  if (got > 0) stream->heard = 1;
  return got > 0 ? got : result_of(stream, got);
}

int64_t gsq_tls_write(gsq_tls_stream *stream, const struct iovec *from, int count) {
  /* A write that has to be repeated must be repeated with the same bytes, and perhaps more: so it
  ** is, for the caller's bytes stay the same until they are written. */
  size_t size = 0;
  for (int i = 0; i < count && size < sizeof stream->record; i++) {
    size_t room = sizeof stream->record - size;
    size_t part = from[i].iov_len < room ? from[i].iov_len : room;
    memcpy(stream->record + size, from[i].iov_base, part);
    size += part;
  }
  ssl.ERR_clear_error();
  errno = 0;
  int sent = ssl.SSL_write(stream->ssl, stream->record, (int)size);
  return sent > 0 ? sent : result_of(stream, sent);
}

int gsq_tls_has_buffered(const gsq_tls_stream *stream) {
  return ssl.SSL_pending(stream->ssl) > 0;
}

void gsq_tls_close(gsq_tls_stream *stream) {
  ssl.ERR_clear_error();
  ssl.SSL_shutdown(stream->ssl);
  ssl.ERR_clear_error();
  ssl.SSL_free(stream->ssl);
  free(stream);
}
