package dev.grpsqlite.server.wire;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import com.google.protobuf.UnsafeByteOperations;
import io.grpc.KnownLength;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;

/**
 * Parses requests so that their pages are parts of the bytes that arrived. As gRPC does it, each
 * page is copied once more, into an array of its own, which for large uploads is most of the work.
 */
public final class SharedBytes {
  private SharedBytes() {}

  /**
   * The same service; the requests of one of its methods are parsed so.
   *
   * @param arrays they are read into
   */
  public static <T extends MessageLite> ServerServiceDefinition in(
      ServerServiceDefinition service,
      MethodDescriptor<T, ?> method,
      Parser<T> parser,
      RequestArrays arrays) {
    List<ServerMethodDefinition<?, ?>> methods = new ArrayList<>();
    ServiceDescriptor.Builder descriptor =
        ServiceDescriptor.newBuilder(service.getServiceDescriptor().getName())
            .setSchemaDescriptor(service.getServiceDescriptor().getSchemaDescriptor());
    for (ServerMethodDefinition<?, ?> each : service.getMethods()) {
      boolean wanted =
          each.getMethodDescriptor().getFullMethodName().equals(method.getFullMethodName());
      ServerMethodDefinition<?, ?> parsed = wanted ? parsing(each, parser, arrays) : each;
      methods.add(parsed);
      descriptor.addMethod(parsed.getMethodDescriptor());
    }
    ServerServiceDefinition.Builder result = ServerServiceDefinition.builder(descriptor.build());
    methods.forEach(result::addMethod);
    return result.build();
  }

  @SuppressWarnings("unchecked") // the method's name says what its requests are
  private static <T extends MessageLite, A> ServerMethodDefinition<T, A> parsing(
      ServerMethodDefinition<?, A> method, Parser<T> parser, RequestArrays arrays) {
    ServerMethodDefinition<T, A> typed = (ServerMethodDefinition<T, A>) method;
    MethodDescriptor<T, A> descriptor = typed.getMethodDescriptor();
    Marshaller<T> requests = new Parsing<>(descriptor.getRequestMarshaller(), parser, arrays);
    return ServerMethodDefinition.create(
        descriptor.toBuilder(requests, descriptor.getResponseMarshaller()).build(),
        typed.getServerCallHandler());
  }

  private record Parsing<T extends MessageLite>(
      Marshaller<T> other, Parser<T> parser, RequestArrays arrays) implements Marshaller<T> {
    @Override
    public InputStream stream(T value) {
      return other.stream(value);
    }

    /** Without the copies of readAllBytes, where the length is known. */
    private ByteString read(InputStream stream) throws IOException {
      if (!(stream instanceof KnownLength)) {
        return UnsafeByteOperations.unsafeWrap(stream.readAllBytes());
      }
      int length = stream.available();
      byte[] bytes = arrays.take(length);
      if (stream.readNBytes(bytes, 0, length) < length) {
        throw new EOFException("the request ends before its length");
      }
      return UnsafeByteOperations.unsafeWrap(bytes, 0, length);
    }

    @Override
    public T parse(InputStream stream) {
      try {
        CodedInputStream bytes = read(stream).newCodedInput();
        bytes.enableAliasing(true);
        T message = parser.parseFrom(bytes);
        bytes.checkLastTagWas(0);
        return message;
      } catch (InvalidProtocolBufferException e) {
        throw Status.INTERNAL
            .withDescription("the request is not a message of this method")
            .withCause(e)
            .asRuntimeException();
      } catch (IOException e) {
        throw Status.INTERNAL
            .withDescription("cannot read the request")
            .withCause(e)
            .asRuntimeException();
      }
    }
  }
}
