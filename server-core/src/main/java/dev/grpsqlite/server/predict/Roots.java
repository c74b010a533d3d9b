package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.predict.CellRecord.Order;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The b-trees of a database, as its schema names them; and which of them a page is of. */
final class Roots {
  /** Of a larger schema, the first ones. */
  private static final int MOST = 256;

  private static final int MOST_SCHEMA_PAGES = 64;

  /** Views and triggers too; of pages that name an entry more than once, there can be more. */
  private static final int MOST_SCHEMA_ENTRIES = 1 << 14;

  /** It is "table" or "index", in UTF-16 perhaps. */
  private static final int MOST_TYPE_BYTES = 16;

  /** Longer names have no indexes that are known to be theirs. */
  private static final int MOST_NAME_BYTES = 512;

  /** Trees that a page is looked for in, those used last first. */
  private static final int CANDIDATES = 8;

  /** Where so many pages in a row belonged to no tree, only each so many-th is looked for. */
  private static final int FRUITLESS = 16;

  private static final int RESERVED_AT = 20;
  private static final int COOKIE_AT = 40;
  private static final int ENCODING_AT = 56;

  /** One b-tree. */
  static final class Tree {
    final long root;
    final boolean isIndex;

    /** Of an index: its table's root, 0 if its entries do not name rowids. */
    final long table;

    /** Interior levels; -1: not known. */
    int levels = -1;

    /** How an index is ordered; null: not known. */
    @Nullable Order order;

    long lastUse;

    Tree(long root, boolean isIndex, long table) {
      this.root = root;
      this.isIndex = isIndex;
      this.table = table;
    }

    /** What is known of it, but not who used it when. */
    private Tree copy() {
      Tree copy = new Tree(root, isIndex, table);
      copy.levels = levels;
      copy.order = order;
      return copy;
    }
  }

  private List<Tree> trees = List.of();
  private boolean known;
  private int cookie;
  private int usable;
  private long checkedAt = -1;
  private long uses;
  private int fruitless;

  /** Learns the trees, if that was not done for this version. */
  Step learn(Hand hand) {
    if (checkedAt == hand.shape.version()) {
      hand.setUsable(usable);
      return known ? Step.DONE : Step.NONE;
    }
    if (!hand.look(1)) {
      return Step.BLOCKED;
    }
    ByteBuffer header = hand.image(1).data();
    if (header.remaining() < ENCODING_AT + 4) {
      return forget(hand);
    }
    int start = header.position();
    usable = hand.shape.pageSize() - (header.get(start + RESERVED_AT) & 0xff);
    hand.setUsable(usable);
    int cookieNow = header.getInt(start + COOKIE_AT);
    if (!known || cookie != cookieNow) {
      List<BtreePage> leaves = new ArrayList<>();
      Step step = schemaLeaves(hand, 1, 0, leaves, new LinkedHashSet<>());
      if (step == Step.BLOCKED) {
        return step;
      }
      trees = read(leaves, charset(header.getInt(start + ENCODING_AT)));
      known = true;
      cookie = cookieNow;
    }
    checkedAt = hand.shape.version();
    trees.forEach(tree -> tree.levels = -1);
    return Step.DONE;
  }

  /** Knows what another knows. */
  void become(Roots other) {
    trees = other.trees.stream().map(Tree::copy).toList();
    known = other.known;
    cookie = other.cookie;
    usable = other.usable;
    checkedAt = other.checkedAt;
  }

  private Step forget(Hand hand) {
    trees = List.of();
    known = false;
    checkedAt = hand.shape.version();
    return Step.NONE;
  }

  private static Charset charset(int encoding) {
    return switch (encoding) {
      case 2 -> StandardCharsets.UTF_16LE;
      case 3 -> StandardCharsets.UTF_16BE;
      default -> StandardCharsets.UTF_8;
    };
  }

  /**
   * Collects the pages of the schema, each once; all that are missing are wanted at once.
   *
   * @param all the pages that were come to
   */
  static Step schemaLeaves(Hand hand, long page, int level, List<BtreePage> leaves, Set<Long> all) {
    if (page == 0 || level > 8 || all.size() >= MOST_SCHEMA_PAGES || !all.add(page)) {
      return Step.DONE;
    }
    if (!hand.look(page)) {
      return Step.BLOCKED;
    }
    BtreePage tree = hand.tree(page);
    if (tree == null || tree.isIndex()) {
      return Step.DONE;
    }
    if (tree.isLeaf()) {
      leaves.add(tree);
      return Step.DONE;
    }
    Step step = Step.DONE;
    for (int i = 0; i <= tree.cells() && all.size() < MOST_SCHEMA_PAGES; i++) {
      hand.work().spend(1);
      if (schemaLeaves(hand, tree.child(i), level + 1, leaves, all) == Step.BLOCKED) {
        step = Step.BLOCKED;
      }
    }
    return step;
  }

  /** A b-tree that the schema names, and its table's name; null: it is too long to be read. */
  private record Named(long root, @Nullable String table) {}

  private static List<Tree> read(List<BtreePage> leaves, Charset charset) {
    List<Named> tables = new ArrayList<>();
    List<Named> indexes = new ArrayList<>();
    int entries = 0;
    for (BtreePage leaf : leaves) {
      // Tables come first, and once there are enough, no index has room.
      for (int cell = 0; cell < leaf.cells() && tables.size() < MOST; cell++) {
        if (entries++ == MOST_SCHEMA_ENTRIES) {
          return trees(tables, indexes);
        }
        CellRecord entry = CellRecord.of(leaf, cell);
        long root = entry == null ? 0 : entry.integer(3);
        String type = entry == null || root <= 1 ? null : entry.text(0, charset, MOST_TYPE_BYTES);
        if (entry == null || type == null) {
          continue;
        }
        if (type.equals("table")) {
          tables.add(new Named(root, lower(entry.text(2, charset, MOST_NAME_BYTES))));
        } else if (type.equals("index") && indexes.size() < MOST) {
          indexes.add(new Named(root, lower(entry.text(2, charset, MOST_NAME_BYTES))));
        }
      }
    }
    return trees(tables, indexes);
  }

  private static @Nullable String lower(@Nullable String name) {
    return name == null ? null : name.toLowerCase(Locale.ROOT);
  }

  private static List<Tree> trees(List<Named> tables, List<Named> indexes) {
    List<Tree> found = new ArrayList<>();
    Map<String, Long> roots = new HashMap<>();
    for (Named each : tables) {
      found.add(new Tree(each.root, false, each.root));
      if (each.table != null) {
        roots.put(each.table, each.root);
      }
    }
    for (Named each : indexes) {
      if (found.size() == MOST) {
        break;
      }
      long table = each.table == null ? 0 : roots.getOrDefault(each.table, 0L);
      found.add(new Tree(each.root, true, table));
    }
    return found;
  }

  /** Bytes of a page that SQLite uses; 0: not known yet. */
  int usable() {
    return known ? usable : 0;
  }

  /** Tells schemas of a database apart. */
  int cookie() {
    return cookie;
  }

  @Nullable Tree tree(long root) {
    for (Tree tree : trees) {
      if (tree.root == root) {
        return tree;
      }
    }
    return null;
  }

  List<Tree> trees() {
    return trees;
  }

  int levels(long root) {
    Tree tree = tree(root);
    return tree == null ? -1 : tree.levels;
  }

  void setLevels(long root, int levels) {
    Tree tree = tree(root);
    if (tree != null) {
      tree.levels = levels;
    }
  }

  /** What {@link #locate} found last. */
  private @Nullable Tree located;

  Tree located() {
    if (located == null) {
      throw new IllegalStateException("nothing was located");
    }
    return located;
  }

  /** Finds a page of any level in its tree. */
  Step locate(Hand hand, BtreePage page, Cursor cursor) {
    if (page.cells() == 0 || (fruitless >= FRUITLESS && fruitless % FRUITLESS != 0)) {
      fruitless++;
      return Step.NONE;
    }
    CellRecord key = page.isIndex() ? CellRecord.of(page, 0) : null;
    long rowid = page.isIndex() ? 0 : page.rowid(0);
    for (Tree tree : candidates(page.isIndex())) {
      Step step =
          key != null && tree.root != page.number
              ? locateIn(hand, tree, page, key, cursor)
              : cursor.findPage(
                  hand, tree.root, page.number, page.isIndex(), above -> above.childFor(rowid));
      if (step == Step.DONE) {
        located = tree;
        tree.lastUse = ++uses;
        fruitless = 0;
      }
      if (step != Step.NONE) {
        return step;
      }
    }
    fruitless++;
    return Step.NONE;
  }

  private static Step locateIn(
      Hand hand, Tree tree, BtreePage page, CellRecord key, Cursor cursor) {
    if (!hand.look(tree.root)) {
      return Step.BLOCKED;
    }
    BtreePage root = hand.interior(tree.root);
    CellRecord first = root == null ? null : CellRecord.of(root, 0);
    if (first == null || first.columnCount() != key.columnCount()) {
      return Step.NONE;
    }
    for (Order order : Order.values()) {
      if (tree.order != null && tree.order != order) {
        continue;
      }
      Step step =
          cursor.findPage(hand, tree.root, page.number, true, above -> childFor(above, key, order));
      if (step == Step.DONE) {
        tree.order = order;
      }
      if (step != Step.NONE) {
        return step;
      }
    }
    return Step.NONE;
  }

  /** In which child an entry is, which is not on this page. */
  private static int childFor(BtreePage above, CellRecord key, Order order) {
    int low = 0;
    int high = above.cells();
    while (low < high) {
      int middle = (low + high) >>> 1;
      CellRecord there = CellRecord.of(above, middle);
      if (there != null && there.compareTo(key, order) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** The trees of a kind: those that were used last, and some of the others in turn. */
  private List<Tree> candidates(boolean index) {
    List<Tree> all = new ArrayList<>();
    for (Tree tree : trees) {
      if (index || !tree.isIndex) {
        all.add(tree);
      }
    }
    all.sort(Comparator.comparingLong((Tree tree) -> tree.lastUse).reversed());
    if (all.size() > CANDIDATES) {
      List<Tree> others = all.subList(CANDIDATES / 2, all.size());
      Collections.rotate(others, -fruitless * CANDIDATES / 2);
    }
    return all.subList(0, Math.min(all.size(), CANDIDATES));
  }
}
