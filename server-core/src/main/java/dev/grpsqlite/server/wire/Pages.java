package dev.grpsqlite.server.wire;

import com.dynatrace.hash4j.hashing.Hasher64;
import com.dynatrace.hash4j.hashing.Hashing;
import com.google.protobuf.ByteOutput;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.server.spi.PageImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Pages on the wire, and their checksums. No bytes are copied. */
public final class Pages {
  /** SQLite's own limit. */
  public static final long MAX_PAGE_NUMBER = 4_294_967_294L;

  public static final int MIN_PAGE_SIZE = 512;
  public static final int MAX_PAGE_SIZE = 65_536;

  private static final Hasher64 XXH3 = Hashing.xxh3_64();

  private Pages() {}

  public static boolean isPageSize(int size) {
    return size >= MIN_PAGE_SIZE && size <= MAX_PAGE_SIZE && Integer.bitCount(size) == 1;
  }

  public static int checkedPageSize(int size) {
    if (!isPageSize(size)) {
      throw RequestException.invalid(
          "page_size is "
              + Integer.toUnsignedString(size)
              + ", not a power of two from 512 to 65536");
    }
    return size;
  }

  public static long checkedNumber(int unsigned) {
    long number = Integer.toUnsignedLong(unsigned);
    if (number < 1 || number > MAX_PAGE_NUMBER) {
      throw RequestException.invalid("page number " + number + " is out of range");
    }
    return number;
  }

  /**
   * The pages of a commit, or of a part of one: each number once, each of one page's size or empty,
   * checksums right.
   */
  public static List<PageImage> incoming(List<Page> pages, int pageSize) {
    List<PageImage> result = new ArrayList<>(pages.size());
    boolean ascending = true;
    long before = 0;
    for (Page page : pages) {
      PageImage image = incoming(page, pageSize);
      ascending &= image.number() > before;
      before = image.number();
      result.add(image);
    }
    if (!ascending) {
      Set<Long> numbers = new HashSet<>();
      for (PageImage image : result) {
        if (!numbers.add(image.number())) {
          throw RequestException.invalid("page " + image.number() + " is there twice");
        }
      }
    }
    return result;
  }

  private static PageImage incoming(Page page, int pageSize) {
    long number = checkedNumber(page.getNumber());
    ByteString data = page.getData();
    if (!data.isEmpty() && data.size() != pageSize) {
      throw RequestException.invalid(
          "page " + number + " has " + data.size() + " bytes instead of " + pageSize);
    }
    Piece bytes = Piece.of(data);
    if (page.getChecksum() != bytes.checksum()) {
      throw new RequestException(
          Reason.CHECKSUM_MISMATCH, "page " + number + " does not have its checksum");
    }
    return new PageImage(number, 0, page.getChecksum(), bytes.buffer());
  }

  public static Page outgoing(PageImage image) {
    return Page.newBuilder()
        .setNumber((int) image.number())
        .setVersion(image.version())
        .setChecksum(image.checksum())
        .setData(UnsafeByteOperations.unsafeWrap(image.data()))
        .build();
  }

  /** XXH3-64 (seed 0); 0 for no bytes. */
  public static long checksum(ByteString data) {
    return Piece.of(data).checksum();
  }

  /** XXH3-64 (seed 0); 0 for no bytes. */
  public static long checksum(byte[] data, int offset, int length) {
    return length == 0 ? 0 : XXH3.hashBytesToLong(data, offset, length);
  }

  /** XXH3-64 (seed 0); 0 for no bytes. */
  public static long checksum(ByteBuffer data) {
    if (data.hasArray()) {
      return checksum(data.array(), data.arrayOffset() + data.position(), data.remaining());
    }
    return checksum(UnsafeByteOperations.unsafeWrap(data));
  }

  /** The bytes of a ByteString where they are, if they are in one array; else a copy. */
  private static final class Piece extends ByteOutput {
    private byte[] array = {};
    private int offset;
    private int length;
    private int pieces;

    static Piece of(ByteString data) {
      Piece piece = new Piece();
      try {
        UnsafeByteOperations.unsafeWriteTo(data, piece);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      if (piece.pieces > 1) {
        piece.is(data.toByteArray(), 0, data.size());
      }
      return piece;
    }

    long checksum() {
      return Pages.checksum(array, offset, length);
    }

    ByteBuffer buffer() {
      return ByteBuffer.wrap(array, offset, length).slice();
    }

    private void is(byte[] bytes, int from, int count) {
      pieces++;
      array = bytes;
      offset = from;
      length = count;
    }

    @Override
    public void write(byte value) {
      pieces = 2;
    }

    @Override
    public void write(byte[] value, int from, int count) {
      is(Arrays.copyOfRange(value, from, from + count), 0, count); // the caller may use it again
    }

    @Override
    public void writeLazy(byte[] value, int from, int count) {
      is(value, from, count);
    }

    @Override
    public void write(ByteBuffer value) {
      writeLazy(value);
    }

    @Override
    public void writeLazy(ByteBuffer value) {
      ByteBuffer bytes = value.duplicate();
      byte[] copy = new byte[bytes.remaining()];
      bytes.get(copy);
      is(copy, 0, copy.length);
    }
  }
}
