package dev.grpsqlite.pageclient;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import io.grpc.Drainable;
import io.grpc.KnownLength;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * A {@link StagePagesRequest} as the bytes that travel, written page by page: hundreds of pages are
 * in one, and a message object and some copies for each are most of what an upload would cost.
 */
final class StageMessage {
  /** The call whose request is written here. */
  static final MethodDescriptor<StageMessage, StagePagesResponse> METHOD =
      PageStoreGrpc.getStagePagesMethod().toBuilder(
              new AsItIs(), PageStoreGrpc.getStagePagesMethod().getResponseMarshaller())
          .build();

  private final byte[] bytes;
  private final CodedOutputStream out;

  /**
   * Begins a message.
   *
   * @param head the request without its pages
   * @param space for all of it; not written to by anybody else until it was sent
   */
  StageMessage(ByteString head, byte[] space) throws IOException {
    this.bytes = space;
    this.out = CodedOutputStream.newInstance(space);
    out.writeRawBytes(head);
  }

  void add(long number, byte[] from, int offset, int pageSize) throws IOException {
    boolean zeros = PageData.isZero(from, offset, pageSize);
    int length =
        CodedOutputStream.computeUInt32Size(Page.NUMBER_FIELD_NUMBER, (int) number)
            + (zeros
                ? 0
                : CodedOutputStream.computeFixed64Size(Page.CHECKSUM_FIELD_NUMBER, 0)
                    + CodedOutputStream.computeTagSize(Page.DATA_FIELD_NUMBER)
                    + CodedOutputStream.computeUInt32SizeNoTag(pageSize)
                    + pageSize);
    out.writeTag(StagePagesRequest.PAGES_FIELD_NUMBER, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    out.writeUInt32NoTag(length);
    out.writeUInt32(Page.NUMBER_FIELD_NUMBER, (int) number);
    if (!zeros) {
      out.writeFixed64(Page.CHECKSUM_FIELD_NUMBER, PageData.hash(from, offset, pageSize));
      out.writeByteArray(Page.DATA_FIELD_NUMBER, from, offset, pageSize);
    }
  }

  private int length() {
    return out.getTotalBytesWritten();
  }

  private static final class AsItIs implements Marshaller<StageMessage> {
    @Override
    public InputStream stream(StageMessage message) {
      return new Content(message.bytes, message.length());
    }

    @Override
    public StageMessage parse(InputStream stream) {
      throw new UnsupportedOperationException("requests are not read here");
    }
  }

  /** Gives gRPC all at once, and says before how much it is. */
  private static final class Content extends ByteArrayInputStream
      implements Drainable, KnownLength {
    Content(byte[] bytes, int length) {
      super(bytes, 0, length);
    }

    @Override
    public int drainTo(OutputStream target) throws IOException {
      return (int) transferTo(target);
    }
  }
}
