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
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * A {@link StagePagesRequest} that is written page by page, from where the pages are to where gRPC
 * sends from: hundreds of pages are in one, and a message object and some copies for each are most
 * of what an upload would cost.
 */
final class StageMessage {
  /** The call whose request is written here. */
  static final MethodDescriptor<StageMessage, StagePagesResponse> METHOD =
      PageStoreGrpc.getStagePagesMethod().toBuilder(
              new AsItIs(), PageStoreGrpc.getStagePagesMethod().getResponseMarshaller())
          .build();

  /** Tags, lengths, number and checksum. */
  private static final int MOST_PAGE_HEAD_BYTES = 32;

  private final ByteString head;
  private final int pageSize;
  private final byte[] pages;
  private final long firstPage;
  private final int count;

  /** Of each page; 0 for one of zeros. */
  private final long[] checksums;

  private final int length;

  /**
   * Looks at pages that follow each other.
   *
   * @param head the request without its pages
   * @param pages of them all, from the beginning of the array; not changed until this was sent
   */
  StageMessage(ByteString head, int pageSize, long firstPage, int count, byte[] pages) {
    this.head = head;
    this.pageSize = pageSize;
    this.firstPage = firstPage;
    this.count = count;
    this.pages = pages;
    this.checksums = new long[count];
    int bytes = head.size();
    for (int i = 0; i < count; i++) {
      checksums[i] = PageData.checksum(pages, i * pageSize, pageSize);
      int page = pageBytes(i);
      bytes +=
          CodedOutputStream.computeTagSize(StagePagesRequest.PAGES_FIELD_NUMBER)
              + CodedOutputStream.computeUInt32SizeNoTag(page)
              + page;
    }
    this.length = bytes;
  }

  private int number(int index) {
    return (int) (firstPage + index);
  }

  private boolean isZero(int index) {
    return checksums[index] == 0 && PageData.isZero(pages, index * pageSize, pageSize);
  }

  private int pageBytes(int index) {
    return CodedOutputStream.computeUInt32Size(Page.NUMBER_FIELD_NUMBER, number(index))
        + (isZero(index)
            ? 0
            : CodedOutputStream.computeFixed64Size(Page.CHECKSUM_FIELD_NUMBER, 0)
                + CodedOutputStream.computeTagSize(Page.DATA_FIELD_NUMBER)
                + CodedOutputStream.computeUInt32SizeNoTag(pageSize)
                + pageSize);
  }

  private void writeTo(OutputStream target) throws IOException {
    head.writeTo(target);
    byte[] pageHead = new byte[MOST_PAGE_HEAD_BYTES];
    for (int i = 0; i < count; i++) {
      CodedOutputStream out = CodedOutputStream.newInstance(pageHead);
      out.writeTag(StagePagesRequest.PAGES_FIELD_NUMBER, WireFormat.WIRETYPE_LENGTH_DELIMITED);
      out.writeUInt32NoTag(pageBytes(i));
      out.writeUInt32(Page.NUMBER_FIELD_NUMBER, number(i));
      if (!isZero(i)) {
        out.writeFixed64(Page.CHECKSUM_FIELD_NUMBER, checksums[i]);
        out.writeTag(Page.DATA_FIELD_NUMBER, WireFormat.WIRETYPE_LENGTH_DELIMITED);
        out.writeUInt32NoTag(pageSize);
      }
      target.write(pageHead, 0, out.getTotalBytesWritten());
      if (!isZero(i)) {
        target.write(pages, i * pageSize, pageSize);
      }
    }
  }

  private static final class AsItIs implements Marshaller<StageMessage> {
    @Override
    public InputStream stream(StageMessage message) {
      return new Content(message);
    }

    @Override
    public StageMessage parse(InputStream stream) {
      throw new UnsupportedOperationException("requests are not read here");
    }
  }

  /** Gives gRPC all at once, and says before how much it is. */
  private static final class Content extends InputStream implements Drainable, KnownLength {
    private final StageMessage message;
    private int left;

    Content(StageMessage message) {
      this.message = message;
      this.left = message.length;
    }

    @Override
    public int available() {
      return left;
    }

    @Override
    public int drainTo(OutputStream target) throws IOException {
      int drained = left;
      if (drained > 0) {
        left = 0;
        message.writeTo(target);
      }
      return drained;
    }

    @Override
    public int read() {
      throw new UnsupportedOperationException("gRPC drains it");
    }

    @Override
    public int read(byte[] to, int offset, int length) {
      throw new UnsupportedOperationException("gRPC drains it");
    }
  }
}
