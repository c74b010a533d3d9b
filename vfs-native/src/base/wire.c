#include "base/wire.h"

#include <string.h>

gsq_reader gsq_reader_of(const uint8_t *data, size_t size) {
  /* An empty message may come without an address, and NULL + 0 is not defined. */
  static const uint8_t nothing[1];
  if (!data) data = nothing;
  return (gsq_reader){data, data + size};
}

int gsq_next_varint(gsq_reader *reader, uint64_t *value) {
  const uint8_t *at = reader->at;
  if (at == reader->end) return 0;
  uint64_t got = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at == reader->end) return -1;
    uint8_t byte = *at++;
    got |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
    if (shift == 63 && byte > 1) return -1;
    if (!(byte & 0x80)) {
      reader->at = at;
      *value = got;
      return 1;
    }
  }
  return -1;
}

static uint64_t little_endian(const uint8_t *at, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

int gsq_next_field(gsq_reader *reader, gsq_field *out) {
  uint64_t key, value;
  int more = gsq_next_varint(reader, &key);
  if (more <= 0) return more;
  if (key >> 32 || key >> 3 == 0) return -1;
  out->number = (uint32_t)(key >> 3);
  out->type = (enum gsq_wire_type)(key & 7);
  out->value = 0;
  out->data = NULL;
  out->size = 0;
  size_t left = (size_t)(reader->end - reader->at);
  switch (key & 7) {
    case GSQ_VARINT:
      return gsq_next_varint(reader, &out->value) == 1 ? 1 : -1;
    case GSQ_FIXED64:
    case GSQ_FIXED32: {
      unsigned bytes = (key & 7) == GSQ_FIXED64 ? 8 : 4;
      if (left < bytes) return -1;
      out->value = little_endian(reader->at, bytes);
      reader->at += bytes;
      return 1;
    }
    case GSQ_BYTES:
      if (gsq_next_varint(reader, &value) != 1) return -1;
      left = (size_t)(reader->end - reader->at);
      if (value > left) return -1;
      out->data = reader->at;
      out->size = (size_t)value;
      reader->at += value;
      return 1;
    default: /* groups, which proto3 has not */
      return -1;
  }
}

uint8_t *gsq_put_varint(uint8_t *to, uint64_t value) {
  while (value > 0x7f) {
    *to++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *to++ = (uint8_t)value;
  return to;
}

uint8_t *gsq_put_tag(uint8_t *to, uint32_t number, enum gsq_wire_type type) {
  return gsq_put_varint(to, (uint64_t)number << 3 | type);
}

uint8_t *gsq_put_fixed64(uint8_t *to, uint64_t value) {
  for (unsigned i = 0; i < 8; i++) *to++ = (uint8_t)(value >> (8 * i));
  return to;
}

uint8_t *gsq_put_uint(uint8_t *to, uint32_t number, uint64_t value) {
  return value ? gsq_put_varint(gsq_put_tag(to, number, GSQ_VARINT), value) : to;
}

uint8_t *gsq_put_bytes(uint8_t *to, uint32_t number, const void *data, size_t size) {
  if (size == 0) return to;
  to = gsq_put_varint(gsq_put_tag(to, number, GSQ_BYTES), size);
  memcpy(to, data, size);
  return to + size;
}

size_t gsq_varint_size(uint64_t value) {
  size_t size = 1;
  while (value >>= 7) size++;
  return size;
}
