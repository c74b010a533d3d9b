package dev.grpsqlite.server.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteOutput;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import io.grpc.KnownLength;
import io.grpc.MethodDescriptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Requests whose pages are not copied out of what arrived. */
class SharedBytesTest {
  private static final int PAGE_SIZE = 4096;

  private final ServerServiceDefinition plain =
      new PageStoreGrpc.PageStoreImplBase() {}.bindService();
  private final RequestArrays arrays = new RequestArrays();
  private final ServerServiceDefinition shared =
      SharedBytes.in(
          plain, PageStoreGrpc.getStagePagesMethod(), StagePagesRequest.parser(), arrays);

  private static StagePagesRequest request(int pages) {
    StagePagesRequest.Builder request = StagePagesRequest.newBuilder().setEpoch(7).setBulk(true);
    for (int i = 1; i <= pages; i++) {
      byte[] content = new byte[PAGE_SIZE];
      Arrays.fill(content, (byte) i);
      request.addPages(
          Page.newBuilder().setNumber(i).setChecksum(i).setData(ByteString.copyFrom(content)));
    }
    return request.build();
  }

  @SuppressWarnings("unchecked") // the method's name says what its requests are
  private StagePagesRequest parse(InputStream stream) {
    MethodDescriptor<StagePagesRequest, ?> method =
        (MethodDescriptor<StagePagesRequest, ?>)
            shared
                .getMethod(PageStoreGrpc.getStagePagesMethod().getFullMethodName())
                .getMethodDescriptor();
    return method.parseRequest(stream);
  }

  /** Says how long it is, and gives it a part at a time, as what came in several frames. */
  private static final class Frames extends FilterInputStream implements KnownLength {
    private int left;

    Frames(byte[] bytes, int claimed) {
      super(new ByteArrayInputStream(bytes));
      this.left = claimed;
    }

    @Override
    public int available() {
      return left;
    }

    @Override
    public int read(byte[] to, int offset, int length) throws IOException {
      int read = super.read(to, offset, Math.min(length, 1000));
      left -= Math.max(0, read);
      return read;
    }
  }

  /** Shows the array that bytes are in. */
  private static final class Arrayed extends ByteOutput {
    private byte[] array = new byte[0];

    static byte[] of(ByteString bytes) {
      Arrayed seen = new Arrayed();
      try {
        UnsafeByteOperations.unsafeWriteTo(bytes, seen);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return seen.array;
    }

    @Override
    public void write(byte value) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void write(byte[] value, int offset, int length) {
      array = value;
    }

    @Override
    public void writeLazy(byte[] value, int offset, int length) {
      array = value;
    }

    @Override
    public void write(ByteBuffer value) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void writeLazy(ByteBuffer value) {
      throw new UnsupportedOperationException();
    }
  }

  @Test
  void allPagesAreInTheOneArrayThatWasRead() {
    StagePagesRequest sent = request(20);
    StagePagesRequest parsed = parse(new Frames(sent.toByteArray(), sent.getSerializedSize()));
    assertEquals(sent, parsed);
    List<byte[]> arrays = new ArrayList<>();
    for (Page page : parsed.getPagesList()) {
      arrays.add(Arrayed.of(page.getData()));
    }
    for (byte[] array : arrays) {
      assertSame(arrays.get(0), array);
      assertEquals(sent.getSerializedSize(), array.length);
    }
    byte[] own = Arrayed.of(plainly(sent).getPages(0).getData());
    assertNotSame(own, Arrayed.of(plainly(sent).getPages(1).getData()));
  }

  private StagePagesRequest plainly(StagePagesRequest sent) {
    return PageStoreGrpc.getStagePagesMethod()
        .parseRequest(new ByteArrayInputStream(sent.toByteArray()));
  }

  @Test
  void aStreamOfUnknownLengthIsReadToItsEnd() {
    StagePagesRequest sent = request(3);
    assertEquals(sent, parse(new ByteArrayInputStream(sent.toByteArray())));
  }

  @Test
  void theOtherMethodsAreAsTheyWere() {
    assertEquals(plain.getMethods().size(), shared.getMethods().size());
    plain
        .getMethods()
        .forEach(
            method -> {
              String name = method.getMethodDescriptor().getFullMethodName();
              boolean wanted = name.equals(PageStoreGrpc.getStagePagesMethod().getFullMethodName());
              assertEquals(
                  !wanted,
                  method.getMethodDescriptor() == shared.getMethod(name).getMethodDescriptor(),
                  name);
              assertSame(
                  method.getServerCallHandler(), shared.getMethod(name).getServerCallHandler());
            });
  }

  @Test
  void p9_whatIsNoMessageOrEndsEarlyIsRefused() {
    byte[] bytes = request(2).toByteArray();
    byte[] cut = Arrays.copyOf(bytes, bytes.length - 1);
    for (InputStream stream :
        List.of(
            new ByteArrayInputStream(cut),
            new Frames(cut, cut.length),
            new Frames(cut, bytes.length),
            // Ends a group that was not begun.
            new ByteArrayInputStream(new byte[] {4}))) {
      StatusRuntimeException e = assertThrows(StatusRuntimeException.class, () -> parse(stream));
      assertEquals(Status.Code.INTERNAL, e.getStatus().getCode());
    }
  }
}
