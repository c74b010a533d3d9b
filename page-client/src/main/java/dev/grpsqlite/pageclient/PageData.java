package dev.grpsqlite.pageclient;

import com.dynatrace.hash4j.hashing.Hasher64;
import com.dynatrace.hash4j.hashing.Hashing;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.grpsqlite.proto.v1.Page;
import io.grpc.Status;
import java.util.Arrays;

/** Pages as they travel: with their checksums, those of zeros without their bytes. */
final class PageData {
  private static final Hasher64 XXH3 = Hashing.xxh3_64();

  /** Of zeros, as long as the largest page. */
  private static final byte[] ZEROS = new byte[1 << 16];

  private PageData() {}

  /**
   * Makes a page of bytes that stay where they are.
   *
   * @param bytes not changed until the page was sent
   */
  static Page outgoing(long number, byte[] bytes, int offset, int pageSize) {
    Page.Builder page = Page.newBuilder().setNumber((int) number);
    if (!isZero(bytes, offset, pageSize)) {
      page.setChecksum(hash(bytes, offset, pageSize))
          .setData(UnsafeByteOperations.unsafeWrap(bytes, offset, pageSize));
    }
    return page.build();
  }

  /** Puts a page's bytes into a buffer of its size, having looked at its checksum. */
  static void incoming(Page page, int pageSize, byte[] to, int offset) {
    ByteString data = page.getData();
    if (data.isEmpty()) {
      Arrays.fill(to, offset, offset + pageSize, (byte) 0);
      return;
    }
    if (data.size() != pageSize) {
      throw damaged(page, "has " + data.size() + " bytes instead of " + pageSize);
    }
    data.copyTo(to, offset);
    if (hash(to, offset, pageSize) != page.getChecksum()) {
      throw damaged(page, "does not have its checksum");
    }
  }

  /** As it travels: 0 for a page of zeros. */
  static long checksum(byte[] bytes, int offset, int pageSize) {
    return isZero(bytes, offset, pageSize) ? 0 : hash(bytes, offset, pageSize);
  }

  static long hash(byte[] bytes, int offset, int length) {
    return XXH3.hashBytesToLong(bytes, offset, length);
  }

  static boolean isZero(byte[] bytes, int offset, int length) {
    return bytes[offset] == 0 && Arrays.equals(bytes, offset, offset + length, ZEROS, 0, length);
  }

  private static RemoteException damaged(Page page, String how) {
    return new RemoteException(
        Status.Code.DATA_LOSS,
        "CHECKSUM_MISMATCH",
        "page " + Integer.toUnsignedLong(page.getNumber()) + " came damaged: it " + how);
  }
}
