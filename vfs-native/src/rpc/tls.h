/*
** TLS by OpenSSL, which is opened with dlopen by the first channel that needs it: nobody else
** pays for it, or needs it installed. TLS 1.2 at least, ALPN h2, the peer's name or address verified.
*/
#ifndef GSQ_RPC_TLS_H
#define GSQ_RPC_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "rpc/url.h"

typedef struct gsq_tls gsq_tls;
typedef struct gsq_tls_stream gsq_tls_stream;

/* PEM files; NULL: the system's CAs, no client certificate. key_file NULL: within cert_file.
** GSQ_BAD_URL if a file or OpenSSL itself cannot be used; GSQ_NOMEM. Thread-safe, but for
** gsq_tls_free. */
int gsq_tls_new(const char *ca_file, const char *cert_file, const char *key_file, gsq_tls **out,
                gsq_error *error);
/* After its streams are closed. */
void gsq_tls_free(gsq_tls *tls);

/* Reads the files again if they have changed. If that cannot be done, with what was there before
** everything goes on. */
int gsq_tls_renew(gsq_tls *tls, gsq_error *error);

/* Shakes hands on a connected, non-blocking socket, which stays the caller's; with what is in the
** files now. GSQ_BAD_ANSWER: the peer speaks no TLS or no HTTP/2, or is not who it should be.
** GSQ_UNAUTHENTICATED: it does not take us for whom it should. */
int gsq_tls_connect(gsq_tls *tls, const gsq_url *url, int fd, int cancel_fd,
                    int64_t deadline_ms, gsq_tls_stream **out, gsq_error *error);

/* As gsq_io_read and gsq_io_write. */
int64_t gsq_tls_read(gsq_tls_stream *stream, void *to, size_t size);
int64_t gsq_tls_write(gsq_tls_stream *stream, const struct iovec *from, int count);
/* Why the peer ended the connection, if it said so: GSQ_UNAUTHENTICATED (it wants another certificate
** of us) or GSQ_UNAVAILABLE, *error set. GSQ_OK: it did not say. */
int gsq_tls_alert(const gsq_tls_stream *stream, const gsq_url *url, gsq_error *error);
/* False once the files were read again after it was made. */
int gsq_tls_is_newest(const gsq_tls_stream *stream);
int gsq_tls_has_buffered(const gsq_tls_stream *stream);
void gsq_tls_close(gsq_tls_stream *stream);

#endif
