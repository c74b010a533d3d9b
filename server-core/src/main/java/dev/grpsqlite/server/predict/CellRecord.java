package dev.grpsqlite.server.predict;

import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import org.jspecify.annotations.Nullable;

/** The part of a record that is on the page of its cell. */
final class CellRecord {
  /** How an index may be ordered. One that mixes them is not recognised. */
  enum Order {
    BINARY,
    NOCASE,
    DESCENDING
  }

  /**
   * Of what has more, which indexes seldom do, the first ones. A page has room for thousands, which
   * each of its cells may have.
   */
  private static final int MOST_COLUMNS = 64;

  private static final int NULL = 0;
  private static final int NUMBER = 1;
  private static final int TEXT = 2;
  private static final int BLOB = 3;

  private final ByteBuffer bytes;
  private final int start;

  /** Of what is here. */
  private final int limit;

  private final int headerEnd;
  private final Work work;

  private CellRecord(ByteBuffer bytes, int start, int limit, int headerEnd, Work work) {
    this.bytes = bytes;
    this.start = start;
    this.limit = limit;
    this.headerEnd = headerEnd;
    this.work = work;
  }

  /** The record of a cell; null if it does not look like one. */
  static @Nullable CellRecord of(BtreePage page, int cell) {
    Work work = page.work();
    work.spend(1);
    int start = page.payload(cell);
    if (start < 0) {
      return null;
    }
    long length = page.payloadLength(cell);
    long limit = (long) start + page.local(length);
    if (length < 2 || limit > page.usable()) {
      return null;
    }
    Columns header = new Columns(page.bytes(), start, (int) limit, work);
    long headerLength = header.varint();
    return headerLength < 2 || headerLength > limit - start
        ? null
        : new CellRecord(page.bytes(), start, (int) limit, start + (int) headerLength, work);
  }

  private Columns columns() {
    Columns columns = new Columns(bytes, start, headerEnd, work);
    columns.varint();
    columns.body = headerEnd;
    return columns;
  }

  int columnCount() {
    Columns columns = columns();
    int count = 0;
    while (columns.next()) {
      count++;
    }
    return count;
  }

  /** The text of a column; null if it is no text, longer than that, or not all of it is here. */
  @Nullable String text(int column, Charset charset, int mostBytes) {
    Columns columns = at(column);
    if (columns == null
        || columns.kind() != TEXT
        || columns.length > mostBytes
        || columns.body + columns.length > limit) {
      return null;
    }
    work.spend((int) columns.length);
    byte[] text = new byte[(int) columns.length];
    bytes.get((int) columns.body, text);
    return new String(text, charset);
  }

  /** An integer column; 0 if it is none, or not here. */
  long integer(int column) {
    Columns columns = at(column);
    return columns == null ? 0 : integer(columns);
  }

  /** The rowid, which an index has in its last column; {@link Long#MIN_VALUE} if it is not here. */
  long rowid() {
    Columns columns = columns();
    long type = -1;
    long length = 0;
    long body = 0;
    while (columns.next()) {
      type = columns.type;
      length = columns.length;
      body = columns.body;
    }
    return columns.isCut() ? Long.MIN_VALUE : number(type, length, body);
  }

  /** An integer column; {@link Long#MIN_VALUE} if it is none, or not here. */
  long number(int column) {
    Columns columns = at(column);
    return columns == null ? Long.MIN_VALUE : number(columns.type, columns.length, columns.body);
  }

  /**
   * The integers among the first columns, each in its place; {@link Long#MIN_VALUE} for all else.
   *
   * @return how many columns there are, at most as many as have room
   */
  int numbers(long[] into) {
    Columns columns = columns();
    int count = 0;
    while (count < into.length && columns.next()) {
      into[count++] = number(columns.type, columns.length, columns.body);
    }
    return count;
  }

  private long number(long type, long length, long body) {
    boolean isInteger = (type >= 1 && type <= 6) || type == 8 || type == 9;
    return isInteger && body + length <= limit ? integer(type, length, body) : Long.MIN_VALUE;
  }

  /** How the first column compares with a number. */
  int compareFirst(long number) {
    Columns columns = columns();
    if (!columns.next()) {
      return -1;
    }
    return switch (columns.kind()) {
      case NULL -> -1;
      case NUMBER ->
          columns.type == 7
              ? Double.compare(number(columns), (double) number)
              : Long.compare(integer(columns), number);
      default -> 1;
    };
  }

  private @Nullable Columns at(int column) {
    Columns columns = columns();
    for (int i = 0; i <= column; i++) {
      if (!columns.next()) {
        return null;
      }
    }
    return columns;
  }

  private long integer(Columns column) {
    return integer(column.type, column.length, column.body);
  }

  private long integer(long type, long length, long body) {
    if (type == 9) {
      return 1;
    }
    if (type < 1 || type > 6 || body + length > limit) {
      return 0;
    }
    long value = bytes.get((int) body);
    for (int i = 1; i < length; i++) {
      value = (value << 8) | (bytes.get((int) body + i) & 0xff);
    }
    return value;
  }

  /** Whether all columns but the last are the same: entries of an index for the same key. */
  boolean hasKeyOf(CellRecord other) {
    Columns mine = columns();
    Columns others = other.columns();
    boolean more = mine.next();
    if (!more || !others.next()) {
      return false;
    }
    while (true) {
      long type = mine.type;
      long length = mine.length;
      long at = mine.body;
      long otherAt = others.body;
      boolean same = type == others.type;
      boolean last = !mine.next();
      if (last != !others.next() || mine.isCut() || others.isCut()) {
        return false;
      }
      if (last) {
        return true;
      }
      if (!same || at + length > limit || otherAt + length > other.limit) {
        return false;
      }
      work.spend((int) length);
      if (!bytes
          .slice((int) at, (int) length)
          .equals(other.bytes.slice((int) otherAt, (int) length))) {
        return false;
      }
    }
  }

  /** As SQLite compares them, as far as what is here tells; 0: equal, or not known. */
  int compareTo(CellRecord other, Order order) {
    Columns mine = columns();
    Columns others = other.columns();
    while (mine.next() && others.next()) {
      int difference = compare(mine, other, others, order);
      if (difference != 0) {
        return order == Order.DESCENDING ? -difference : difference;
      }
      if (mine.body + mine.length > limit || others.body + others.length > other.limit) {
        return 0;
      }
    }
    return 0;
  }

  private int compare(Columns mine, CellRecord other, Columns others, Order order) {
    int kind = mine.kind();
    if (kind != others.kind()) {
      return Integer.compare(kind, others.kind());
    }
    return switch (kind) {
      case NULL -> 0;
      case NUMBER ->
          mine.type == 7 || others.type == 7
              ? Double.compare(number(mine), other.number(others))
              : Long.compare(integer(mine), other.integer(others));
      default -> {
        long length = Math.min(mine.length, limit - mine.body);
        long otherLength = Math.min(others.length, other.limit - others.body);
        for (long i = 0; i < Math.min(length, otherLength); i++) {
          int a = bytes.get((int) (mine.body + i)) & 0xff;
          int b = other.bytes.get((int) (others.body + i)) & 0xff;
          if (kind == TEXT && order == Order.NOCASE) {
            a = lower(a);
            b = lower(b);
          }
          if (a != b) {
            work.spend((int) i);
            yield Integer.compare(a, b);
          }
        }
        work.spend((int) Math.max(0, Math.min(length, otherLength)));
        boolean whole = length == mine.length && otherLength == others.length;
        yield whole ? Long.compare(mine.length, others.length) : 0;
      }
    };
  }

  private static int lower(int letter) {
    return letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter;
  }

  private double number(Columns column) {
    if (column.type != 7) {
      return integer(column);
    }
    return column.body + 8 > limit ? 0 : bytes.getDouble((int) column.body);
  }

  /** The columns of a record, one after the other. */
  private static final class Columns {
    private final ByteBuffer bytes;
    private final int limit;
    private final Work work;
    private int at;
    private int count;

    long type;
    long length;

    /** Where the column's value is. */
    long body;

    Columns(ByteBuffer bytes, int start, int limit, Work work) {
      this.bytes = bytes;
      this.at = start;
      this.limit = limit;
      this.work = work;
    }

    boolean next() {
      body += length;
      length = 0;
      if (at >= limit || count == MOST_COLUMNS) {
        return false;
      }
      count++;
      work.spend(1);
      type = varint();
      length = lengthOf(type);
      // Beyond this nothing is on a page; and sums stay small.
      return length >= 0 && length <= Integer.MAX_VALUE && body <= Integer.MAX_VALUE;
    }

    /** Whether there are more, which are not looked at. */
    boolean isCut() {
      return count == MOST_COLUMNS && at < limit;
    }

    int kind() {
      if (type == 0) {
        return NULL;
      }
      if (type < 12) {
        return NUMBER;
      }
      return type % 2 == 0 ? BLOB : TEXT;
    }

    private static long lengthOf(long type) {
      if (type >= 12) {
        return (type - 12) / 2;
      }
      return switch ((int) Math.max(type, -1)) {
        case 0, 8, 9 -> 0;
        case 1 -> 1;
        case 2 -> 2;
        case 3 -> 3;
        case 4 -> 4;
        case 5 -> 6;
        case 6, 7 -> 8;
        default -> -1;
      };
    }

    long varint() {
      long value = 0;
      for (int i = 0; i < 9 && at < limit; i++) {
        int next = bytes.get(at++);
        if (i == 8) {
          return (value << 8) | (next & 0xff);
        }
        value = (value << 7) | (next & 0x7f);
        if (next >= 0) {
          return value;
        }
      }
      at = limit;
      return -1;
    }
  }
}
