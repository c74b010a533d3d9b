/*
** What a call came to that the server did not simply answer: whoever reads it is to know what to do
** about it, so it says what the peer seems to be.
*/
#include <errno.h>
#include <string.h>

#include "rpc/connection_state.h"
#include "rpc/status.h"

/* The peer spoke, but not HTTP/2: what was it? */
static int not_http2(gsq_connection *c) {
  if (c->first_size >= 5 && memcmp(c->first, "HTTP/", 5) == 0) {
    char line[sizeof c->first + 1];
    size_t size = 0;
    while (size < c->first_size && c->first[size] != '\r' && c->first[size] != '\n') size++;
    gsq_status_message(c->first, size, line, sizeof line);
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s answered, but not as a gRPC server (%s)",
                         c->url->text, line);
  }
  if (c->first_size >= 2 && (c->first[0] == 0x15 || c->first[0] == 0x16) && c->first[1] == 3) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER,
                         "%s answered, but with TLS; is it an https:// server?", c->url->text);
  }
  return gsq_error_set(c->error, GSQ_BAD_ANSWER,
                       "%s answered, but not as a gRPC server (no HTTP/2%s%s)", c->url->text,
                       c->violation_text[0] ? ": " : "", c->violation_text);
}

static int looks_like_http2(const gsq_connection *c) {
  /* A server's first frame is SETTINGS: a length below 2^14, type 4, stream 0. */
  return c->first_size >= 9 && c->first[0] == 0 && c->first[1] < 0x40 && c->first[3] == 4 &&
         c->first[5] == 0 && c->first[6] == 0 && c->first[7] == 0 && c->first[8] == 0;
}

int gsq_outcome_violated(gsq_connection *c) {
  c->broken = 1;
  if (!looks_like_http2(c)) return not_http2(c);
  return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s broke the protocol: %s", c->url->text,
                       c->violation_text[0] ? c->violation_text : "an HTTP/2 error");
}

int gsq_outcome_ended_early(gsq_connection *c, int problem) {
  c->broken = 1;
  c->attempt->lost = 1;
  if (c->first_size > 0 && !looks_like_http2(c) && c->first_size >= 9) {
    c->attempt->lost = 0;
    return not_http2(c);
  }
  const int said = gsq_io_alert(&c->io, c->url, c->error);
  if (said == GSQ_UNAUTHENTICATED) {
    c->attempt->lost = 0;
    /* With TLS 1.3 the server judges our certificate when the request is on its way already. It
    ** looks at none before that: who has not even sent its SETTINGS did nothing with it. */
    c->attempt->refused = c->first_size == 0;
  }
  if (said != GSQ_OK) return said;
  if (problem == 0) {
    return gsq_error_set(
        c->error, GSQ_UNAVAILABLE, "%s closed the connection %s", c->url->text,
        c->first_size ? "before it answered" : "at once; is it a gRPC server?");
  }
  char text[128];
  const char *why = strerror_r(problem, text, sizeof text);
  return gsq_error_set(c->error, GSQ_UNAVAILABLE, "lost the connection to %s (%s)",
                       c->url->text, why);
}

/* The stream is closed without a gRPC status. */
static int no_status(gsq_connection *c) {
  if (c->http_status && c->http_status != 200) {
    int status = c->http_status;
    int busy = status == 502 || status == 503 || status == 504;
    c->attempt->answered = busy;
    return gsq_error_set(c->error, busy ? GSQ_UNAVAILABLE : GSQ_BAD_ANSWER,
                         "%s answered, but not as a gRPC server (HTTP status %d)", c->url->text,
                         status);
  }
  if (c->http_status && !c->is_grpc) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER,
                         "%s answered, but not as a gRPC server (content-type %s)",
                         c->url->text, c->saw_content_type ? c->content_type : "missing");
  }
  if (c->close_code == NGHTTP2_REFUSED_STREAM) {
    c->attempt->refused = 1;
    return gsq_error_set(c->error, GSQ_UNAVAILABLE, "%s takes no calls now", c->url->text);
  }
  if (c->close_code == NGHTTP2_NO_ERROR && !c->peer_reset) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s ended the call %s without a status",
                         c->url->text, c->call->method);
  }
  if (!c->peer_reset) return gsq_outcome_violated(c);
  if (c->close_code == NGHTTP2_CANCEL || c->close_code == NGHTTP2_NO_ERROR) {
    c->attempt->lost = 1; /* what a server does to its calls when it stops */
    return gsq_error_set(c->error, GSQ_UNAVAILABLE, "%s dropped the call %s", c->url->text,
                         c->call->method);
  }
  int code = c->close_code == NGHTTP2_ENHANCE_YOUR_CALM     ? GSQ_RESOURCE_EXHAUSTED
             : c->close_code == NGHTTP2_INADEQUATE_SECURITY ? GSQ_PERMISSION_DENIED
                                                            : GSQ_INTERNAL;
  return gsq_error_set(c->error, code, "%s dropped the call %s (%s)", c->url->text,
                       c->call->method, nghttp2_http2_strerror(c->close_code));
}

int gsq_outcome_of_status(gsq_connection *c) {
  if (c->grpc_status < 0 || c->http_status != 200 || !c->is_grpc) return no_status(c);
  if (c->close_code != NGHTTP2_NO_ERROR && !c->peer_reset) return gsq_outcome_violated(c);
  c->attempt->answered = 1;
  if (c->grpc_status != GSQ_OK) {
    gsq_error_set(c->error, c->grpc_status, "%s%s(%s from %s)", c->grpc_message,
                  c->grpc_message[0] ? " " : "", gsq_code_name(c->grpc_status), c->url->text);
    memcpy(c->error->reason, c->reason, sizeof c->reason);
    return c->grpc_status;
  }
  if (c->prefix_have > 0) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s ended the call %s within a message",
                         c->url->text, c->call->method);
  }
  if (c->message_count == 0 && !(c->call->flags & GSQ_CALL_STREAM)) {
    return gsq_error_set(c->error, GSQ_BAD_ANSWER, "%s answered the call %s without a message",
                         c->url->text, c->call->method);
  }
  return GSQ_OK;
}
