package dev.grpsqlite.pageclient;

import com.google.protobuf.Int32Value;
import com.google.protobuf.StringValue;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import java.util.Optional;

/** What a server says of itself by gRPC's health checking. Thread-safe. */
public final class Health {
  /**
   * The messages of {@code grpc.health.v1} are on the wire what these are: a string, the service,
   * and an enum, in the field 1.
   */
  private static final MethodDescriptor<StringValue, Int32Value> CHECK =
      MethodDescriptor.<StringValue, Int32Value>newBuilder()
          .setType(MethodType.UNARY)
          .setFullMethodName("grpc.health.v1.Health/Check")
          .setRequestMarshaller(ProtoUtils.marshaller(StringValue.getDefaultInstance()))
          .setResponseMarshaller(ProtoUtils.marshaller(Int32Value.getDefaultInstance()))
          .build();

  private static final int NOT_SERVING = 2;

  private final ServerConnection connection;

  Health(ServerConnection connection) {
    this.connection = connection;
  }

  /** Whether the page service takes writes; empty: the server does not say. */
  public Optional<Boolean> takesWrites() {
    StringValue service = StringValue.of(PageStoreGrpc.SERVICE_NAME);
    try {
      int status = connection.call(() -> connection.unary(CHECK, service)).getValue();
      return Optional.of(status != NOT_SERVING);
    } catch (RemoteException e) {
      if (e.code() == Status.Code.UNIMPLEMENTED || e.code() == Status.Code.NOT_FOUND) {
        return Optional.empty();
      }
      throw e;
    }
  }
}
