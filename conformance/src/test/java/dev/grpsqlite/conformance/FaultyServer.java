package dev.grpsqlite.conformance;

import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Forwards every call to a good server, but for its faults. */
final class FaultyServer implements AutoCloseable {
  private static final int MAX_MESSAGE_BYTES = 64 << 20;

  private final Channel good;
  private final Faults faults;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final Server server;

  FaultyServer(Faults faults) throws IOException {
    this.good = faults.good();
    this.faults = faults;
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .executor(threads)
            .maxInboundMessageSize(MAX_MESSAGE_BYTES);
    for (ServiceDescriptor service :
        List.of(
            GrpsqliteGrpc.getServiceDescriptor(),
            PageStoreGrpc.getServiceDescriptor(),
            AdminGrpc.getServiceDescriptor(),
            HealthGrpc.getServiceDescriptor())) {
      ServerServiceDefinition.Builder definition =
          ServerServiceDefinition.builder(service.getName());
      for (MethodDescriptor<?, ?> method : service.getMethods()) {
        add(definition, method);
      }
      builder.addService(definition.build());
    }
    server = builder.build().start();
  }

  Target target() {
    return GoodServer.target("127.0.0.1:" + server.getPort());
  }

  private <Q, R> void add(
      ServerServiceDefinition.Builder definition, MethodDescriptor<Q, R> generated) {

    MethodDescriptor<Q, R> method =
        generated.toBuilder()
            .setRequestMarshaller(
                faults.isLenient()
                    ? new Lenient<>(generated.getRequestMarshaller())
                    : generated.getRequestMarshaller())
            .build();
    if (method.getType() == MethodType.UNARY) {
      definition.addMethod(
          method, ServerCalls.asyncUnaryCall((request, out) -> unary(generated, request, out)));
    } else {
      definition.addMethod(
          method,
          ServerCalls.asyncServerStreamingCall(
              (request, out) -> stream(generated, request, (ServerCallStreamObserver<R>) out)));
    }
  }

  private <Q, R> void unary(MethodDescriptor<Q, R> method, Q request, StreamObserver<R> out) {
    try {
      String name = method.getFullMethodName();
      Q asked = cast(faults.asked(name, request));
      Faults.@Nullable Unary<Object, Object> fault = faults.unary(name);
      R answer =
          fault == null
              ? forward(method, asked)
              : cast(fault.answer(asked, changed -> forward(method, cast(changed))));
      R told = cast(faults.told(name, answer));
      out.onNext(told);
      out.onCompleted();
    } catch (StatusRuntimeException e) {
      out.onError(e);
    }
  }

  @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals", "NullAway"})
  private static <T> T cast(@Nullable Object value) {
    return (T) value;
  }

  private <Q, R> R forward(MethodDescriptor<Q, R> method, Q request) {
    return ClientCalls.blockingUnaryCall(
        good,
        method,
        CallOptions.DEFAULT.withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS),
        request);
  }

  private <Q, R> void stream(
      MethodDescriptor<Q, R> method, Q request, ServerCallStreamObserver<R> out) {
    String name = method.getFullMethodName();
    ClientCall<Q, R> call = good.newCall(method, CallOptions.DEFAULT);
    out.setOnCancelHandler(() -> call.cancel("the client is gone", null));
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(R message) {
            R told = cast(faults.told(name, message));
            if (told != null) {
              out.onNext(told);
            }
            call.request(1);
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            Status changed = faults.end().apply(status);
            if (changed.isOk()) {
              out.onCompleted();
            } else {
              out.onError(new StatusRuntimeException(changed, trailers));
            }
          }
        },
        new Metadata());
    call.request(1);
    Q asked = cast(faults.asked(name, request));
    call.sendMessage(asked);
    call.halfClose();
  }

  /** What cannot be parsed is as if nothing had been sent. */
  private record Lenient<T>(MethodDescriptor.Marshaller<T> strict)
      implements MethodDescriptor.Marshaller<T> {
    @Override
    public InputStream stream(T value) {
      return strict.stream(value);
    }

    @Override
    public T parse(InputStream stream) {
      try {
        return strict.parse(stream);
      } catch (StatusRuntimeException e) {
        return strict.parse(InputStream.nullInputStream());
      }
    }
  }

  @Override
  public void close() {
    server.shutdownNow();
    threads.shutdownNow();
  }
}
