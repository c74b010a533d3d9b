#include "rpc/status.h"

#include <string.h>

#include "base/wire.h"

/* Longer details are not looked at; servers send some hundred bytes. */
#define MAX_DETAILS_BYTES 8192

int gsq_status_code(const uint8_t *value, size_t size) {
  if (size == 0 || size > 2) return GSQ_UNKNOWN;
  int code = 0;
  for (size_t i = 0; i < size; i++) {
    if (value[i] < '0' || value[i] > '9') return GSQ_UNKNOWN;
    code = code * 10 + (value[i] - '0');
  }
  return code <= 16 ? code : GSQ_UNKNOWN;
}

static int hex_digit(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* How many bytes a UTF-8 sequence at `at` has; 0 if it is none, or not to be printed. */
static size_t printable_bytes(const unsigned char *at) {
  if (at[0] < 0x80) return at[0] >= 0x20 && at[0] != 0x7f;
  size_t size = at[0] >= 0xf0 && at[0] < 0xf5   ? 4
                : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                                                : 0;
  for (size_t i = 1; i < size; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  if (size == 2 && at[0] == 0xc2 && at[1] < 0xa0) return 0; /* C1 controls */
  if (size == 3 && ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f)))
    return 0;
  if (size == 4 && ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f)))
    return 0;
  return size;
}

void gsq_make_printable(char *text) {
  for (unsigned char *at = (unsigned char *)text; *at;) {
    size_t size = printable_bytes(at);
    if (size == 0) *at = '?';
    at += size ? size : 1;
  }
}

void gsq_status_message(const uint8_t *value, size_t size, char *out, size_t out_size) {
  size_t used = 0;
  for (size_t i = 0; i < size && used + 1 < out_size; i++) {
    uint8_t c = value[i];
    if (c == '%' && size - i > 2 && hex_digit(value[i + 1]) >= 0 &&
        hex_digit(value[i + 2]) >= 0) {
      c = (uint8_t)(hex_digit(value[i + 1]) << 4 | hex_digit(value[i + 2]));
      i += 2;
    }
    out[used++] = c ? (char)c : '?';
  }
  out[used] = 0;
  gsq_make_printable(out);
}

static int base64_digit(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

/* With or without padding. Returns how many bytes, 0 if it is no base64. */
static size_t decode_base64(const uint8_t *value, size_t size, uint8_t *out) {
  while (size > 0 && value[size - 1] == '=') size--;
  size_t used = 0;
  uint32_t bits = 0;
  unsigned have = 0;
  for (size_t i = 0; i < size; i++) {
    int digit = base64_digit(value[i]);
    if (digit < 0) return 0;
    bits = bits << 6 | (uint32_t)digit;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out[used++] = (uint8_t)(bits >> have);
    }
  }
  return used;
}

static int is_error_info(const gsq_field *url) {
  static const char name[] = "/google.rpc.ErrorInfo";
  size_t size = sizeof name - 1;
  return url->size >= size && memcmp(url->data + url->size - size, name, size) == 0;
}

/* google.rpc.ErrorInfo: reason = 1. */
static int reason_of_error_info(const uint8_t *data, size_t size, char *out, size_t out_size) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  while (gsq_next_field(&reader, &field) == 1) {
    if (field.number != 1 || field.type != GSQ_BYTES) continue;
    if (field.size == 0 || field.size >= out_size) return 0;
    for (size_t i = 0; i < field.size; i++) {
      uint8_t c = field.data[i];
      if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_') return 0;
    }
    memcpy(out, field.data, field.size);
    out[field.size] = 0;
    return 1;
  }
  return 0;
}

void gsq_status_reason(const uint8_t *value, size_t size, char *out, size_t out_size) {
  uint8_t details[MAX_DETAILS_BYTES];
  out[0] = 0;
  if (size > sizeof details) return;
  size_t bytes = decode_base64(value, size, details);
  /* google.rpc.Status: details = 3, each a google.protobuf.Any: type_url = 1, value = 2. */
  gsq_reader status = gsq_reader_of(details, bytes);
  gsq_field field;
  while (gsq_next_field(&status, &field) == 1) {
    if (field.number != 3 || field.type != GSQ_BYTES) continue;
    gsq_reader any = gsq_reader_of(field.data, field.size);
    gsq_field part, url = {0}, content = {0};
    while (gsq_next_field(&any, &part) == 1) {
      if (part.type != GSQ_BYTES) continue;
      if (part.number == 1) url = part;
      if (part.number == 2) content = part;
    }
    if (url.data && content.data && is_error_info(&url) &&
        reason_of_error_info(content.data, content.size, out, out_size)) {
      return;
    }
  }
}

const char *gsq_code_name(int code) {
  static const char *const names[] = {"OK",
                                      "CANCELLED",
                                      "UNKNOWN",
                                      "INVALID_ARGUMENT",
                                      "DEADLINE_EXCEEDED",
                                      "NOT_FOUND",
                                      "ALREADY_EXISTS",
                                      "PERMISSION_DENIED",
                                      "RESOURCE_EXHAUSTED",
                                      "FAILED_PRECONDITION",
                                      "ABORTED",
                                      "OUT_OF_RANGE",
                                      "UNIMPLEMENTED",
                                      "INTERNAL",
                                      "UNAVAILABLE",
                                      "DATA_LOSS",
                                      "UNAUTHENTICATED"};
  return code >= 0 && code <= 16 ? names[code] : "UNKNOWN";
}
