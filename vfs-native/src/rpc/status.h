/*
** How a gRPC call ended, from HTTP/2 header fields. Everything here comes from the peer, and is
** bounded and cleaned before anybody sees it. Pure.
*/
#ifndef GSQ_RPC_STATUS_H
#define GSQ_RPC_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The value of grpc-status: 0 to 16, or GSQ_UNKNOWN. */
int gsq_status_code(const uint8_t *value, size_t size);

/* The value of grpc-message: percent-decoded, with '?' for what cannot be printed, cut to fit.
 */
void gsq_status_message(const uint8_t *value, size_t size, char *out, size_t out_size);

/* The reason of the google.rpc.ErrorInfo in a grpc-status-details-bin; "" if there is none. */
void gsq_status_reason(const uint8_t *value, size_t size, char *out, size_t out_size);

/* "NOT_FOUND" and the like. */
const char *gsq_code_name(int code);

/* Replaces what cannot be printed or is no UTF-8 by '?', in place. */
void gsq_make_printable(char *text);

#endif
