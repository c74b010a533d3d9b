package dev.grpsqlite.server.wire;

import io.grpc.Status;

/** The machine-readable reasons of page_store.proto, each with its gRPC code. */
public enum Reason {
  NO_SUCH_SESSION(Status.Code.NOT_FOUND),
  NO_SUCH_DATABASE(Status.Code.NOT_FOUND),
  ALREADY_EXISTS(Status.Code.ALREADY_EXISTS),
  INVALID_NAME(Status.Code.INVALID_ARGUMENT),
  INVALID_REQUEST(Status.Code.INVALID_ARGUMENT),
  LEASE_LOST(Status.Code.FAILED_PRECONDITION),
  HEAD_MOVED(Status.Code.FAILED_PRECONDITION),
  NO_SUCH_STAGE(Status.Code.FAILED_PRECONDITION),
  LEASE_HELD(Status.Code.FAILED_PRECONDITION),
  SNAPSHOT_TOO_OLD(Status.Code.OUT_OF_RANGE),
  NO_SUCH_VERSION(Status.Code.OUT_OF_RANGE),
  OUTCOME_UNKNOWN(Status.Code.ABORTED),
  CHECKSUM_MISMATCH(Status.Code.DATA_LOSS),
  QUOTA(Status.Code.RESOURCE_EXHAUSTED),
  LIMIT(Status.Code.RESOURCE_EXHAUSTED),
  UNSUPPORTED(Status.Code.UNIMPLEMENTED),
  NOT_ALLOWED(Status.Code.PERMISSION_DENIED),
  BAD_TOKEN(Status.Code.UNAUTHENTICATED),
  STORE_FULL(Status.Code.RESOURCE_EXHAUSTED),
  STORE_READ_ONLY(Status.Code.FAILED_PRECONDITION),
  STORE_FAILED(Status.Code.INTERNAL),
  BUSY(Status.Code.UNAVAILABLE),
  SHUTTING_DOWN(Status.Code.UNAVAILABLE);

  private final Status.Code code;

  Reason(Status.Code code) {
    this.code = code;
  }

  Status.Code code() {
    return code;
  }
}
