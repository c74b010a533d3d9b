package dev.grpsqlite.server.wire;

import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.InputStream;

/**
 * Answers bytes that are no message with INVALID_REQUEST. gRPC itself parses requests out of the
 * reach of interceptors, answers such a one with UNKNOWN, and logs a stack trace for each: a client
 * could fill the operator's disk with them.
 */
public final class UnreadableRequests implements ServerInterceptor {
  /**
   * Streams as they are. gRPC's own puts a buffer around each, so that an answer cannot drain
   * itself and is copied thrice on its way instead of once.
   */
  private static final Marshaller<InputStream> AS_IT_IS =
      new Marshaller<>() {
        @Override
        public InputStream stream(InputStream message) {
          return message;
        }

        @Override
        public InputStream parse(InputStream message) {
          return message;
        }
      };

  private UnreadableRequests() {}

  /** The same service; its requests are parsed where this can see it. */
  public static ServerServiceDefinition refused(ServerServiceDefinition service) {
    return ServerInterceptors.intercept(
        ServerInterceptors.useMarshalledMessages(service, AS_IT_IS), new UnreadableRequests());
  }

  @Override
  public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
      ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
    return new SimpleForwardingServerCallListener<>(next.startCall(call, headers)) {
      private boolean refused;

      @Override
      public void onMessage(ReqT message) {
        if (refused) {
          return;
        }
        try {
          super.onMessage(message);
        } catch (StatusRuntimeException e) {
          refused = true;
          StatusRuntimeException answer =
              Statuses.of(RequestException.invalid("the request is not a message of this method"));
          Metadata trailers = Status.trailersFromThrowable(answer);
          call.close(answer.getStatus(), trailers == null ? new Metadata() : trailers);
        }
      }

      @Override
      public void onHalfClose() {
        // The service would complain that there was no request.
        if (!refused) {
          super.onHalfClose();
        }
      }
    };
  }
}
