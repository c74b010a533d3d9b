/*
** What the relay says to the program that started it: lines, each with the number of what was asked
** for. One that cannot be said has no reader, and so ends the process. Thread-safe.
*/
#ifndef GSQ_RELAY_ANSWERS_H
#define GSQ_RELAY_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* "ready", once. */
void gsq_answer_ready(void);

/* "message NUMBER SIZE", and behind it so many bytes: an answer of the server. */
void gsq_answer_message(uint64_t number, const uint8_t *data, size_t size);

/* "sent NUMBER BYTES": so many more of an upload are the server's. */
void gsq_answer_sent(uint64_t number, uint64_t bytes);

/* "end NUMBER CODE REASON MESSAGE": nothing more comes. The code is one of gRPC's, 0 if all went well;
** REASON is the server's, "BAD_URL" if that or a file for TLS cannot be used, or "-"; MESSAGE is for
** people. */
void gsq_answer_end(uint64_t number, int code, const gsq_error *error);

#endif
