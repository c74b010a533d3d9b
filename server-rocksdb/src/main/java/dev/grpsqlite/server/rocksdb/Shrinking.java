package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.PageImage;
import java.util.List;
import java.util.zip.Deflater;

/**
 * Whether pages are worth compressing. RocksDB finds out for each block, by doing it; of images or
 * encrypted data that is a third of what it takes to write them.
 */
final class Shrinking {
  /** Of those that are tried, which takes half a millisecond. */
  private static final int SAMPLE_BYTES = 16 << 10;

  /** RocksDB leaves a block as it is if less than an eighth is saved. */
  private static final int LEAST_SAVED = 8;

  private Shrinking() {}

  /**
   * Tries some of them, with a compression that finds what LZ4 does and more. Yes if all are zeros,
   * of which nothing is stored.
   */
  static boolean isWorthIt(List<PageImage> pages) {
    int step = (int) Math.max(1, PageImage.bytes(pages) / SAMPLE_BYTES);
    byte[] out = new byte[SAMPLE_BYTES];
    long sampled = 0;
    long shrunk = 0;
    Deflater deflater = new Deflater(Deflater.BEST_SPEED);
    try {
      for (int i = 0; i < pages.size(); i += step) {
        sampled += pages.get(i).data().remaining();
        deflater.setInput(pages.get(i).data().duplicate());
        while (!deflater.needsInput()) {
          shrunk += deflater.deflate(out);
        }
      }
      deflater.finish();
      while (!deflater.finished()) {
        shrunk += deflater.deflate(out);
      }
    } finally {
      deflater.end();
    }
    return sampled == 0 || shrunk <= sampled - sampled / LEAST_SAVED;
  }
}
