/*
** Protocol buffers on the wire (https://protobuf.dev/programming-guides/encoding/), by hand: a
** reader that walks over a message's fields in place, and what it takes to write field headers.
** Whatever the bytes are, the reader stays within them.
*/
#ifndef GSQ_BASE_WIRE_H
#define GSQ_BASE_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum gsq_wire_type { GSQ_VARINT = 0, GSQ_FIXED64 = 1, GSQ_BYTES = 2, GSQ_FIXED32 = 5 };

typedef struct gsq_field {
  uint32_t number;
  enum gsq_wire_type type;
  uint64_t value;      /* of a number */
  const uint8_t *data; /* of GSQ_BYTES; within the message */
  size_t size;
} gsq_field;

typedef struct gsq_reader {
  const uint8_t *at, *end;
} gsq_reader;

gsq_reader gsq_reader_of(const uint8_t *data, size_t size);

/* 1: *out is the next field. 0: there is none. -1: this is no message. */
int gsq_next_field(gsq_reader *reader, gsq_field *out);

/* 1: *value is the next varint. 0: there is none. -1: it is none. For packed numbers. */
int gsq_next_varint(gsq_reader *reader, uint64_t *value);

#define GSQ_MAX_VARINT_BYTES 10

/* Each writes at `to` and returns where it ended. */
uint8_t *gsq_put_varint(uint8_t *to, uint64_t value);
uint8_t *gsq_put_tag(uint8_t *to, uint32_t number, enum gsq_wire_type type);
uint8_t *gsq_put_fixed64(uint8_t *to, uint64_t value);
/* A field with a number; nothing if it is 0, as proto3 has it. */
uint8_t *gsq_put_uint(uint8_t *to, uint32_t number, uint64_t value);
/* A field with bytes; nothing if there are none. */
uint8_t *gsq_put_bytes(uint8_t *to, uint32_t number, const void *data, size_t size);

size_t gsq_varint_size(uint64_t value);

#endif
