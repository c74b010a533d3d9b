package dev.grpsqlite.server.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;

import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import io.grpc.Attributes;
import io.grpc.Drainable;
import io.grpc.KnownLength;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the service of a method that was wrapped is given, and what it gives. */
class UnreadableRequestsTest {
  private static final RefreshResponse ANSWER =
      RefreshResponse.newBuilder().setReadDelegationMs(7).build();

  private final List<RefreshRequest> asked = new ArrayList<>();

  @SuppressWarnings("unchecked") // they are streams: that is what the class does
  private final ServerMethodDefinition<InputStream, InputStream> refresh =
      (ServerMethodDefinition<InputStream, InputStream>)
          UnreadableRequests.refused(
                  new PageStoreGrpc.PageStoreImplBase() {
                    @Override
                    public void refresh(
                        RefreshRequest request, StreamObserver<RefreshResponse> observer) {
                      asked.add(request);
                      observer.onNext(ANSWER);
                      observer.onCompleted();
                    }
                  }.bindService())
              .getMethod(PageStoreGrpc.getRefreshMethod().getFullMethodName());

  private final class Call extends ServerCall<InputStream, InputStream> {
    final List<InputStream> sent = new ArrayList<>();
    final List<Status> closed = new ArrayList<>();

    @Override
    public void request(int count) {}

    @Override
    public void sendHeaders(Metadata headers) {}

    @Override
    public void sendMessage(InputStream message) {
      sent.add(message);
    }

    @Override
    public void close(Status status, Metadata trailers) {
      closed.add(status);
    }

    @Override
    public boolean isCancelled() {
      return false;
    }

    @Override
    public Attributes getAttributes() {
      return Attributes.EMPTY;
    }

    @Override
    public MethodDescriptor<InputStream, InputStream> getMethodDescriptor() {
      return refresh.getMethodDescriptor();
    }
  }

  private Call call(byte[] request) {
    Call call = new Call();
    ServerCall.Listener<InputStream> listener =
        refresh.getServerCallHandler().startCall(call, new Metadata());
    listener.onMessage(
        refresh.getMethodDescriptor().parseRequest(new ByteArrayInputStream(request)));
    listener.onHalfClose();
    return call;
  }

  /** gRPC copies any other stream by way of small buffers. */
  @Test
  void anAnswerDrainsItselfAndSaysHowLongItIs() throws Exception {
    RefreshRequest request = RefreshRequest.newBuilder().setHaveVersion(3).build();
    Call call = call(request.toByteArray());
    assertEquals(List.of(request), asked);
    InputStream answer = call.sent.get(0);
    assertInstanceOf(Drainable.class, answer);
    assertInstanceOf(KnownLength.class, answer);
    assertEquals(ANSWER, RefreshResponse.parseFrom(answer));
    assertEquals(Status.Code.OK, call.closed.get(0).getCode());
  }

  @Test
  void aRequestComesAsItIs() {
    InputStream request = new ByteArrayInputStream(new byte[0]);
    assertSame(request, refresh.getMethodDescriptor().parseRequest(request));
  }

  @Test
  void bytesThatAreNoMessageAreRefusedOnce() {
    Call call = call(new byte[] {(byte) 0xff, 1, 2});
    assertEquals(List.of(), asked);
    assertEquals(List.of(), call.sent);
    assertEquals(1, call.closed.size());
    assertEquals(Status.Code.INVALID_ARGUMENT, call.closed.get(0).getCode());
  }
}
