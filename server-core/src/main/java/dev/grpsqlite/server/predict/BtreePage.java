package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.spi.PageImage;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A page of a b-tree, as it lies there. It has passed a check that few other pages pass, and is
 * still not trusted: whatever is asked of it is within its bounds, or is answered with 0.
 *
 * <p>Not thread-safe: decoding a number notes where it ends.
 */
final class BtreePage {
  private static final int INTERIOR_INDEX = 2;
  private static final int INTERIOR_TABLE = 5;
  private static final int LEAF_INDEX = 10;
  private static final int LEAF_TABLE = 13;
  private static final int DATABASE_HEADER = 100;
  private static final int LEAST_USABLE = 480;

  final long number;
  private final ByteBuffer bytes;
  private final int usable;
  private final long pageCount;
  private final int type;
  private final int pointers;
  private final int cells;
  private final Work work;

  /** Where the number that was decoded last ends; -1: outside the page. */
  private int end;

  private BtreePage(
      long number,
      ByteBuffer bytes,
      int usable,
      long pageCount,
      int type,
      int pointers,
      int cells,
      Work work) {
    this.number = number;
    this.bytes = bytes;
    this.usable = usable;
    this.pageCount = pageCount;
    this.type = type;
    this.pointers = pointers;
    this.cells = cells;
    this.work = work;
  }

  /**
   * The page as one of a b-tree; null if it is none.
   *
   * @param usable bytes of each page that SQLite uses
   * @param work is spent where it is gone through
   */
  static @Nullable BtreePage of(PageImage image, int usable, long pageCount, Work work) {
    ByteBuffer bytes = image.data().slice();
    int header = image.number() == 1 ? DATABASE_HEADER : 0;
    if (usable < LEAST_USABLE || bytes.limit() < usable) {
      return null;
    }
    int type = bytes.get(header);
    boolean interior = type == INTERIOR_INDEX || type == INTERIOR_TABLE;
    if (!interior && type != LEAF_INDEX && type != LEAF_TABLE) {
      return null;
    }
    int cells = bytes.getShort(header + 3) & 0xffff;
    int pointers = header + (interior ? 12 : 8);
    int content = bytes.getShort(header + 5) & 0xffff;
    if (content == 0) {
      content = 65_536;
    }
    int freeBlock = bytes.getShort(header + 1) & 0xffff;
    boolean sane =
        pointers + 2L * cells <= content
            && content <= usable
            && freeBlock < usable
            && (cells > 0 || !interior);
    return sane
        ? new BtreePage(image.number(), bytes, usable, pageCount, type, pointers, cells, work)
        : null;
  }

  boolean isLeaf() {
    return type == LEAF_INDEX || type == LEAF_TABLE;
  }

  boolean isIndex() {
    return type == LEAF_INDEX || type == INTERIOR_INDEX;
  }

  int cells() {
    return cells;
  }

  /** Bytes of a page that SQLite uses. */
  int usable() {
    return usable;
  }

  ByteBuffer bytes() {
    return bytes;
  }

  Work work() {
    return work;
  }

  /** A child of an interior page, in key order, from 0 to {@link #cells}; 0 if it can't be one. */
  long child(int index) {
    int at = index == cells ? pointers - 4 : cell(index);
    return at < 0 || at + 4 > usable ? 0 : pageNumber(at);
  }

  /** The rowid of a table's cell: a row's, or the highest below the child. 0 if it has none. */
  long rowid(int index) {
    int at = cell(index);
    if (at < 0) {
      return 0;
    }
    if (!isLeaf()) {
      return varint(at + 4);
    }
    varint(at);
    return varint(end);
  }

  /** The child below which a rowid is, if it is anywhere. */
  int childFor(long rowid) {
    return atOrAbove(rowid);
  }

  /** Which cell of a table's leaf has the rowid; -1: none. */
  int find(long rowid) {
    int index = atOrAbove(rowid);
    return index < cells && rowid(index) == rowid ? index : -1;
  }

  private int atOrAbove(long rowid) {
    int low = 0;
    int high = cells;
    work.spend(Integer.SIZE - Integer.numberOfLeadingZeros(cells));
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (rowid(middle) < rowid) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Where a cell's payload begins; -1: it has none. */
  int payload(int index) {
    int at = cell(index);
    if (at < 0 || type == INTERIOR_TABLE) {
      return -1;
    }
    varint(type == INTERIOR_INDEX ? at + 4 : at);
    if (type == LEAF_TABLE) {
      varint(end);
    }
    return end;
  }

  /** The length of a cell's payload, of which a part may be elsewhere. */
  long payloadLength(int index) {
    int at = cell(index);
    return at < 0 || type == INTERIOR_TABLE ? 0 : varint(type == INTERIOR_INDEX ? at + 4 : at);
  }

  /** How much of a cell's payload is on this page. */
  int local(long length) {
    int most = type == LEAF_TABLE ? usable - 35 : (usable - 12) * 64 / 255 - 23;
    if (length <= most) {
      return (int) Math.max(0, length);
    }
    int least = (usable - 12) * 32 / 255 - 23;
    long fitting = least + (length - least) % (usable - 4);
    return (int) (fitting <= most ? fitting : least);
  }

  /** The first page of what a cell has elsewhere; 0: it has all here. */
  long overflow(int index) {
    long length = payloadLength(index);
    int local = local(length);
    if (local >= length) {
      return 0; // As of most: each leaf of a scan is looked through.
    }
    int payload = payload(index);
    int at = payload + local;
    return payload < 0 || at + 4 > usable ? 0 : pageNumber(at);
  }

  /** How many pages a cell's payload takes elsewhere. */
  long overflowPages(int index) {
    long length = payloadLength(index);
    return length <= 0 ? 0 : (length - local(length) + usable - 5) / (usable - 4);
  }

  /** The page that an overflow page names as the next; 0: none. */
  static long nextOverflow(PageImage image, long pageCount) {
    ByteBuffer bytes = image.data();
    if (bytes.remaining() < 4) {
      return 0;
    }
    long next = bytes.getInt(bytes.position()) & 0xffff_ffffL;
    return next > 1 && next <= pageCount ? next : 0;
  }

  private long pageNumber(int at) {
    long page = bytes.getInt(at) & 0xffff_ffffL;
    return page > 1 && page <= pageCount ? page : 0;
  }

  private int cell(int index) {
    if (index < 0 || index >= cells) {
      return -1;
    }
    int at = bytes.getShort(pointers + 2 * index) & 0xffff;
    return at >= pointers + 2 * cells && at + 4 <= usable ? at : -1;
  }

  private long varint(int at) {
    if (at < 0) {
      return 0;
    }
    long value = 0;
    for (int i = 0; i < 9; i++) {
      if (at + i >= usable) {
        break;
      }
      int next = bytes.get(at + i);
      if (i == 8) {
        end = at + 9;
        return (value << 8) | (next & 0xff);
      }
      value = (value << 7) | (next & 0x7f);
      if (next >= 0) {
        end = at + i + 1;
        return value;
      }
    }
    end = -1;
    return 0;
  }
}
