package dev.grpsqlite.server.wire;

import com.google.protobuf.UnsafeByteOperations;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.server.spi.PageImage;
import java.nio.ByteBuffer;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;

/**
 * Pages on their way to one client: compressed, if it accepts that and they become clearly smaller.
 * One for each answer; not thread-safe.
 */
public final class OutgoingPages {
  /** A class of its own, for its native code is loaded only where somebody accepts it. */
  private static final class Lz4 {
    static final LZ4Compressor COMPRESSOR = LZ4Factory.fastestInstance().fastCompressor();

    private Lz4() {}
  }

  private static final int MOST_CHUNK_BYTES = 256 << 10;

  private final boolean lz4;

  /**
   * Where compressed pages are, one behind the other. No byte is written a second time: whoever
   * sends the messages may take as long as it likes.
   */
  private byte[] chunk = {};

  private int used;

  /** A page that is not in an array of its own. */
  private byte[] plain = {};

  /**
   * @param lz4 whether the client accepts pages so
   */
  public OutgoingPages(boolean lz4) {
    this.lz4 = lz4;
  }

  public Page of(PageImage image) {
    int size = image.data().remaining();
    if (!lz4 || size == 0) {
      return Pages.outgoing(image);
    }
    int compressed = compress(image.data(), size);
    if (compressed > size - size / 8) {
      return Pages.outgoing(image); // Not worth the client's time.
    }
    Page page =
        Page.newBuilder()
            .setNumber((int) image.number())
            .setVersion(image.version())
            .setChecksum(image.checksum())
            .setLz4(UnsafeByteOperations.unsafeWrap(chunk, used, compressed))
            .build();
    used += compressed;
    return page;
  }

  /** Compresses to the free part of the chunk; returns how many bytes it came to. */
  private int compress(ByteBuffer data, int size) {
    LZ4Compressor compressor = Lz4.COMPRESSOR;
    int room = compressor.maxCompressedLength(size);
    if (chunk.length - used < room) {
      // One page alone gets what it needs.
      chunk = new byte[Math.max(room, Math.min(2 * chunk.length, MOST_CHUNK_BYTES))];
      used = 0;
    }
    if (data.hasArray()) {
      int from = data.arrayOffset() + data.position();
      return compressor.compress(data.array(), from, size, chunk, used, room);
    }
    if (plain.length < size) {
      plain = new byte[size];
    }
    data.duplicate().get(plain, 0, size);
    return compressor.compress(plain, 0, size, chunk, used, room);
  }
}
