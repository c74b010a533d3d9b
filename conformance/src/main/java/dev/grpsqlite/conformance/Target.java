package dev.grpsqlite.conformance;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.concurrent.TimeUnit;

/** A server to be looked at, and how it knows us. Thread-safe; whoever made it closes it. */
final class Target implements AutoCloseable {
  /** No call of a server that works takes longer. */
  static final long CALL_SECONDS = 10;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final ManagedChannel connection;
  private final Channel channel;
  private final String address;
  private final String token;

  /**
   * @param address for people
   * @param token empty: none
   */
  Target(ManagedChannel connection, String address, String token) {
    this.connection = connection;
    this.channel = ClientInterceptors.intercept(connection, new Caller(token));
    this.address = address;
    this.token = token;
  }

  Channel channel() {
    return channel;
  }

  String address() {
    return address;
  }

  String token() {
    return token;
  }

  @Override
  public void close() {
    connection.shutdownNow();
    try {
      boolean unused = connection.awaitTermination(CALL_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Says who we are; and of what failed, which call it was. */
  private record Caller(String token) implements ClientInterceptor {
    @Override
    public <ReqT, RespT> ClientCall<ReqT, RespT> interceptCall(
        MethodDescriptor<ReqT, RespT> method, CallOptions options, Channel next) {
      return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void start(Listener<RespT> listener, Metadata headers) {
          if (!token.isEmpty()) {
            headers.put(AUTHORIZATION, "Bearer " + token);
          }
          super.start(
              new SimpleForwardingClientCallListener<>(listener) {
                @Override
                public void onClose(Status status, Metadata trailers) {
                  super.onClose(
                      status.isOk()
                          ? status
                          : status.augmentDescription("in " + method.getFullMethodName()),
                      trailers);
                }
              },
              headers);
        }
      };
    }
  }
}
