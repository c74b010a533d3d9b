package dev.grpsqlite.conformance;

import io.grpc.CallOptions;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServiceDescriptor;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

/** Bytes that no client would send. */
final class Garbage {
  private static final MethodDescriptor.Marshaller<byte[]> BYTES =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
          return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
          try {
            return stream.readAllBytes();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        }
      };

  private Garbage() {}

  /** Sends what is no message to each method, which must refuse it. */
  static void send(Trial trial, ServiceDescriptor service) throws Violation {
    // A length that goes beyond the message; and a wire type that there is not.
    for (byte[] message : new byte[][] {{0x0a, 0x7f, 'x'}, {0x0f, 0x01, 0x01}}) {
      for (MethodDescriptor<?, ?> method : service.getMethods()) {
        Code code = call(trial, method.getFullMethodName(), message);
        Expect.that(
            code != Code.OK && code != Code.DEADLINE_EXCEEDED && code != Code.UNAVAILABLE,
            "bytes that are no message to " + method.getFullMethodName() + ": got " + code);
      }
    }
  }

  private static Code call(Trial trial, String method, byte[] message) {
    MethodDescriptor<byte[], byte[]> raw =
        MethodDescriptor.<byte[], byte[]>newBuilder()
            .setType(MethodType.SERVER_STREAMING)
            .setFullMethodName(method)
            .setRequestMarshaller(BYTES)
            .setResponseMarshaller(BYTES)
            .build();
    CallOptions options =
        CallOptions.DEFAULT.withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS);
    try {
      Iterator<byte[]> answers =
          ClientCalls.blockingServerStreamingCall(trial.channel(), raw, options, message);
      while (answers.hasNext()) {
        byte[] unused = answers.next();
      }
      return Code.OK;
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode();
    }
  }
}
