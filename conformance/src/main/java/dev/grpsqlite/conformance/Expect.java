package dev.grpsqlite.conformance;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Comparisons whose failure is a {@link Violation} that tells what was done. */
final class Expect {
  private static final String DOMAIN = "grpsqlite";
  private static final int SHOWN_BYTES = 16;

  private Expect() {}

  @FunctionalInterface
  interface Action {
    void run() throws Exception;
  }

  static void that(boolean condition, String problem) throws Violation {
    if (!condition) {
      throw new Violation(problem);
    }
  }

  static void equal(@Nullable Object expected, @Nullable Object seen, String what)
      throws Violation {
    if (!Objects.equals(expected, seen)) {
      throw new Violation(what + ": expected " + shown(expected) + ", got " + shown(seen));
    }
  }

  static void bytes(byte[] expected, byte[] seen, String what) throws Violation {
    int at = Arrays.mismatch(expected, seen);
    if (at < 0) {
      return;
    }
    String lengths =
        expected.length == seen.length
            ? expected.length + " bytes"
            : "expected " + expected.length + " bytes, got " + seen.length;
    throw new Violation(
        what
            + ": "
            + lengths
            + ", which differ from byte "
            + at
            + " on: expected "
            + hex(expected, at)
            + ", got "
            + hex(seen, at));
  }

  private static String hex(byte[] bytes, int from) {
    int to = Math.min(bytes.length, from + SHOWN_BYTES);
    return from >= to ? "nothing" : HexFormat.of().formatHex(bytes, from, to);
  }

  /** A status in a message for people. */
  static String shown(Status status) {
    String description = String.valueOf(status.getDescription()).replaceAll("\\s*\n\\s*", ", ");
    return status.getCode() + " (" + description + ")";
  }

  private static String shown(@Nullable Object value) {
    String text = String.valueOf(value).strip().replaceAll("\\s+", " ");
    return text.length() > 300 ? text.substring(0, 300) + "…" : text;
  }

  /** The action fails with one of these codes. */
  static StatusRuntimeException refused(Set<Code> codes, String what, Action action)
      throws Exception {
    try {
      action.run();
    } catch (StatusRuntimeException e) {
      if (codes.contains(e.getStatus().getCode())) {
        return e;
      }
      throw new Violation(what + ": expected " + names(codes) + ", got " + shown(e.getStatus()));
    }
    throw new Violation(what + ": expected " + names(codes) + ", got an answer");
  }

  private static String names(Set<Code> codes) {
    return String.join(" or ", codes.stream().map(Code::name).sorted().toList());
  }

  /** The action fails with any status that says that the request was understood to be bad. */
  static void refused(String what, Action action) throws Exception {
    StatusRuntimeException unused =
        refused(
            Set.of(
                Code.INVALID_ARGUMENT,
                Code.OUT_OF_RANGE,
                Code.FAILED_PRECONDITION,
                Code.RESOURCE_EXHAUSTED,
                Code.DATA_LOSS,
                Code.UNIMPLEMENTED,
                Code.NOT_FOUND,
                Code.INTERNAL,
                Code.UNKNOWN),
            what,
            action);
  }

  /** The action fails with this reason, and the code that belongs to it. */
  static void refused(Reason reason, String what, Action action) throws Exception {
    StatusRuntimeException e = refused(Set.of(reason.code()), what, action);
    reason(reason, what, e);
  }

  /** The status names this reason. */
  static void reason(Reason reason, String what, StatusRuntimeException e) throws Violation {
    String found = reasonOf(e);
    if (!reason.name().equals(found)) {
      throw new Violation(
          what
              + ": expected a google.rpc.ErrorInfo with domain "
              + DOMAIN
              + " and reason "
              + reason
              + " in the details of "
              + shown(e.getStatus())
              + ", got "
              + (found.isEmpty() ? "none" : found));
    }
  }

  private static String reasonOf(StatusRuntimeException e) throws Violation {
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    List<Any> details = status == null ? List.of() : status.getDetailsList();
    for (Any detail : details) {
      if (!detail.is(ErrorInfo.class)) {
        continue;
      }
      try {
        ErrorInfo info = detail.unpack(ErrorInfo.class);
        if (info.getDomain().equals(DOMAIN)) {
          return info.getReason();
        }
      } catch (InvalidProtocolBufferException broken) {
        throw new Violation("an ErrorInfo that cannot be parsed: " + broken.getMessage());
      }
    }
    return "";
  }
}
