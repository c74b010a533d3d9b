package dev.grpsqlite.conformance;

import io.grpc.Status.Code;

/** The machine-readable reasons of page_store.proto that rules ask for, with their codes. */
enum Reason {
  NO_SUCH_SESSION(Code.NOT_FOUND),
  NO_SUCH_DATABASE(Code.NOT_FOUND),
  ALREADY_EXISTS(Code.ALREADY_EXISTS),
  INVALID_NAME(Code.INVALID_ARGUMENT),
  INVALID_REQUEST(Code.INVALID_ARGUMENT),
  LEASE_LOST(Code.FAILED_PRECONDITION),
  HEAD_MOVED(Code.FAILED_PRECONDITION),
  NO_SUCH_STAGE(Code.FAILED_PRECONDITION),
  LEASE_HELD(Code.FAILED_PRECONDITION),
  SNAPSHOT_TOO_OLD(Code.OUT_OF_RANGE),
  NO_SUCH_VERSION(Code.OUT_OF_RANGE),
  CHECKSUM_MISMATCH(Code.DATA_LOSS),
  UNSUPPORTED(Code.UNIMPLEMENTED);

  private final Code code;

  Reason(Code code) {
    this.code = code;
  }

  Code code() {
    return code;
  }
}
