/*
** What went wrong, below SQLite's result codes: a gRPC status code or one of our own, the
** machine-readable reason that the server gave, and a sentence for a person.
*/
#ifndef GSQ_BASE_ERROR_H
#define GSQ_BASE_ERROR_H

/* The gRPC status codes (https://grpc.io/docs/guides/status-codes/), then our own. */
enum gsq_code {
  GSQ_OK = 0,
  GSQ_CANCELLED = 1,
  GSQ_UNKNOWN = 2,
  GSQ_INVALID_ARGUMENT = 3,
  GSQ_DEADLINE_EXCEEDED = 4,
  GSQ_NOT_FOUND = 5,
  GSQ_ALREADY_EXISTS = 6,
  GSQ_PERMISSION_DENIED = 7,
  GSQ_RESOURCE_EXHAUSTED = 8,
  GSQ_FAILED_PRECONDITION = 9,
  GSQ_ABORTED = 10,
  GSQ_OUT_OF_RANGE = 11,
  GSQ_UNIMPLEMENTED = 12,
  GSQ_INTERNAL = 13,
  GSQ_UNAVAILABLE = 14,
  GSQ_DATA_LOSS = 15,
  GSQ_UNAUTHENTICATED = 16,
  GSQ_NOMEM = 100,      /* an allocation of ours failed */
  GSQ_BAD_ANSWER = 101, /* the peer is no gRPC server, or its message breaks the schema */
  GSQ_BAD_URL = 102,    /* the server's URL cannot be used */
};

typedef struct gsq_error {
  int code;          /* enum gsq_code */
  int sent_before;   /* a sending of this call other than the one that the server answered with
                     ** this very status may have reached it */
  char reason[40];   /* google.rpc.ErrorInfo.reason, or "" */
  char message[472]; /* for people: what was tried, on what, what happened, what to do */
} gsq_error;

/* Sets all but sent_before; returns code. */
int gsq_error_set(gsq_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As that, of GSQ_NOMEM. */
int gsq_error_nomem(gsq_error *error);

/* True if the server gave this reason. */
int gsq_error_is(const gsq_error *error, const char *reason);

#endif
