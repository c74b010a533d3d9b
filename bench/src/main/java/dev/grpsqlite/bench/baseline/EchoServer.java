package dev.grpsqlite.bench.baseline;

import io.grpc.InsecureServerCredentials;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.grpc.netty.shaded.io.netty.channel.WriteBufferWaterMark;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;

/**
 * A gRPC server that does nothing but answer with as many bytes as it is asked for: what any server
 * on this library costs. A request begins with two numbers of four bytes: how long the answer is in
 * all, and how long each message of it. No protobuf, no thread but the event loop's.
 */
public final class EchoServer {
  static final String SERVICE = "grpsqlite.bench.Echo";
  private static final int MAX_MESSAGE_BYTES = 16 << 20;

  /** As our servers have it. */
  private static final int FLOW_CONTROL_WINDOW_BYTES = 1 << 20;

  /** As our servers have it. */
  private static final WriteBufferWaterMark WRITE_BUFFER =
      new WriteBufferWaterMark(64 << 10, 256 << 10);

  private EchoServer() {}

  /** Serves on a free port, which it prints, until its standard input ends. */
  public static void main(String[] arguments) throws Exception {
    Server server =
        NettyServerBuilder.forAddress(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                InsecureServerCredentials.create())
            .directExecutor()
            .flowControlWindow(FLOW_CONTROL_WINDOW_BYTES)
            .withChildOption(ChannelOption.WRITE_BUFFER_WATER_MARK, WRITE_BUFFER)
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            .addService(service())
            .build()
            .start();
    System.out.println("listening on " + server.getPort());
    while (System.in.read() >= 0) {
      // Nothing is said to it: its end is what is waited for.
    }
    server.shutdownNow();
  }

  private static ServerServiceDefinition service() {
    return ServerServiceDefinition.builder(SERVICE)
        .addMethod(method("Unary", MethodType.UNARY), ServerCalls.asyncUnaryCall(EchoServer::unary))
        .addMethod(
            method("Stream", MethodType.SERVER_STREAMING),
            ServerCalls.asyncServerStreamingCall(EchoServer::stream))
        .build();
  }

  private static void unary(byte[] request, StreamObserver<byte[]> answer) {
    answer.onNext(new byte[ByteBuffer.wrap(request).getInt()]);
    answer.onCompleted();
  }

  /** One message at a time is made, when the client has room for it. */
  private static void stream(byte[] request, StreamObserver<byte[]> answer) {
    ByteBuffer wanted = ByteBuffer.wrap(request);
    ServerCallStreamObserver<byte[]> call = (ServerCallStreamObserver<byte[]>) answer;
    Rest rest = new Rest(wanted.getInt(), wanted.getInt());
    call.setOnReadyHandler(() -> rest.send(call));
  }

  /** What is still to be sent; the event loop's. */
  private static final class Rest {
    private final int messageBytes;
    private int bytes;
    private boolean isComplete;

    Rest(int bytes, int messageBytes) {
      this.bytes = bytes;
      this.messageBytes = messageBytes;
    }

    void send(ServerCallStreamObserver<byte[]> call) {
      while (bytes > 0 && call.isReady()) {
        int n = Math.min(bytes, messageBytes);
        bytes -= n;
        call.onNext(new byte[n]);
      }
      if (bytes <= 0 && !isComplete) {
        isComplete = true;
        call.onCompleted();
      }
    }
  }

  private static MethodDescriptor<byte[], byte[]> method(String name, MethodType type) {
    return MethodDescriptor.<byte[], byte[]>newBuilder()
        .setType(type)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(SERVICE, name))
        .setRequestMarshaller(new Bytes())
        .setResponseMarshaller(new Bytes())
        .build();
  }

  private static final class Bytes implements Marshaller<byte[]> {
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
  }
}
